"""Which segments leave int8."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ghost_edge.host.explore.mixed_precision import cheapest_plans, fit_times, segments, spans
from ghost_edge.host.tflite.graph import Model, Operation, Tensor


def graph(*operations: tuple[tuple[int, ...], int]) -> Model:
    """Operations by the activations they read and the one they write; 0 is the input."""
    count = 1 + max(output for _, output in operations)
    tensors = tuple(Tensor(index, f"t{index}", (1, 4), "float32", False) for index in range(count))
    made = tuple(Operation("ADD", inputs, (output,)) for inputs, output in operations)
    return Model(tensors, made, (0,), (operations[-1][1],))


def test_a_chain_can_be_cut_behind_every_operation() -> None:
    assert segments(graph(((0,), 1), ((1,), 2), ((2,), 3))) == ((0, 0), (1, 1), (2, 2))


def test_a_shortcut_is_never_cut() -> None:
    # the stem, a bottleneck of three operations over which tensor 1 is carried, and a head
    assert segments(graph(((0,), 1), ((1,), 2), ((2,), 3), ((3, 1), 4), ((4,), 5))) == ((0, 0), (1, 3), (4, 4))


def test_neighbours_that_leave_are_one_span() -> None:
    parts = ((0, 1), (2, 5), (6, 6), (7, 9))
    assert spans((True, True, False, True), parts) == ((0, 5), (7, 9))
    assert spans((False,) * 4, parts) == ()


def test_times_of_segments_and_cuts_are_found_in_those_of_files() -> None:
    extra, changes = np.array([0.1, 0.02, 0.3]), np.array([0.05, 0.01])
    plans = list(itertools.product((False, True), repeat=3))
    times = [time_of(plan, extra, changes) + 1 for plan in plans]
    found = fit_times(plans, times)
    assert_allclose(found[0], extra, atol=1e-9)
    assert_allclose(found[1], changes, atol=1e-9)


def time_of(plan: tuple[bool, ...], extra: np.ndarray, changes: np.ndarray) -> float:
    cuts = [left != right for left, right in itertools.pairwise(plan)]
    return float(extra @ np.array(plan) + changes @ np.array(cuts))


def noise_of(plan: tuple[bool, ...], noise: np.ndarray) -> float:
    return float(noise @ ~np.array(plan))


@pytest.mark.parametrize("seed", range(20))
def test_no_other_plan_beats_one_in_time_and_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise, extra, changes = rng.uniform(0.1, 1, 7), rng.uniform(0.05, 1, 7), rng.uniform(0, 0.3, 6)
    everything = list(itertools.product((False, True), repeat=7))
    for plan in cheapest_plans(noise, extra, changes):
        mine = time_of(plan, extra, changes), noise_of(plan, noise)
        others = [(time_of(each, extra, changes), noise_of(each, noise)) for each in everything]
        assert not [each for each in others if each[0] < mine[0] - 1e-9 and each[1] < mine[1] - 1e-9]


def test_plans_go_from_plain_int8_to_nothing_left_in_it() -> None:
    plans = cheapest_plans(np.ones(4), np.full(4, 0.1), np.full(3, 0.02))
    assert plans[0] == (False,) * 4
    assert plans[-1] == (True,) * 4


def test_a_cut_that_costs_more_than_a_quiet_neighbour_is_not_made() -> None:
    noise, extra = np.array([1.0, 0.001, 1.0, 0.001]), np.array([0.1, 0.01, 0.1, 0.3])
    dear, free = (cheapest_plans(noise, extra, np.full(3, cost)) for cost in (0.1, 0.0))
    assert (True, False, True, False) not in dear
    assert (True, True, True, False) in dear
    assert (True, False, True, False) in free
