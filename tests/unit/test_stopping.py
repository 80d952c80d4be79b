"""The stopping rule on recorded timings: when it stops, what it is sure of, what it doubts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.files import read_npz
from ghost_edge.core.latency import doubts, summarise
from ghost_edge.device.bench import BenchPlan, is_precise, time_invokes

RECORDED = read_npz(Path(__file__).parent.parent / "data" / "timings" / "recorded.npz")


class Replay:
    """A model whose invoke() takes as long as it once did, on a clock of its own; then again from the beginning."""

    def __init__(self, samples: Sequence[int]) -> None:
        self._samples, self.now = itertools.cycle(int(sample) for sample in samples), 0

    def invoke(self) -> None:
        self.now += next(self._samples)

    def clock(self) -> int:
        return self.now


def replay(name: str, **plan: Any) -> Sequence[int]:
    model: Any = Replay(RECORDED[name])
    return time_invokes(model, BenchPlan(**{"warmup": 0, **plan}), model.clock)


def seconds(samples: Sequence[int]) -> float:
    return sum(samples) / 1e9


def test_a_quiet_machine_stops_at_the_least_time_and_is_sure() -> None:
    samples = replay("quiet", seconds=0.5, max_seconds=10)
    assert seconds(samples) == pytest.approx(0.5, abs=0.005)  # one run of 3 ms
    assert is_precise(samples, 0.01)
    assert doubts(summarise(samples)) == ()


def test_at_least_so_many_runs_however_sure_it_is() -> None:
    assert len(replay("quiet", seconds=0, max_seconds=10, runs=300)) == 300


def test_more_precision_takes_longer() -> None:
    rough, fine = (replay("quiet", seconds=0, runs=10, precision=precision) for precision in (0.05, 0.003))
    assert len(rough) < len(fine)
    assert is_precise(fine, 0.003)


def test_a_drifting_machine_goes_on_to_the_end_and_says_drift() -> None:
    samples = replay("drift", seconds=2, max_seconds=8)
    assert seconds(samples) == pytest.approx(8, abs=0.15)  # runs that go untimed between looks at the interval
    assert not is_precise(samples, 0.01)
    (found,) = doubts(summarise(samples))
    assert found.startswith("drift: the last third took +")


def test_a_core_that_is_slowed_down_goes_on_to_the_end_and_says_a_step() -> None:
    samples = replay("throttled", seconds=5, max_seconds=6)
    assert seconds(samples) == pytest.approx(6, abs=0.05)
    assert not is_precise(samples, 0.01)
    (found,) = doubts(summarise(samples))
    assert found.startswith("a step: after about 5")
    assert "each took +4" in found  # a third of the clock gone: 1 / (1 - 1/3) is +50 %, less what the hog wasted


def test_a_step_near_the_end_is_doubted_though_the_median_before_it_is_well_known() -> None:
    samples = replay("throttled", seconds=4)
    assert is_precise(samples, 0.01)
    (found,) = doubts(summarise(samples))
    assert found.startswith("a step: after about")


def test_two_speeds_are_named_though_the_median_of_the_fast_ones_is_well_known() -> None:
    samples = replay("two_speeds", seconds=2)
    assert is_precise(samples, 0.01)
    (found,) = doubts(summarise(samples))
    assert found.startswith("two speeds: 3")
    assert "take 1.6" in found


def test_no_precision_asked_is_no_time_taken() -> None:
    assert seconds(replay("drift", seconds=0.5, precision=0)) == pytest.approx(0.5, abs=0.005)


def test_several_rounds_take_the_least_time_each() -> None:
    assert seconds(replay("drift", seconds=0.5, rounds=6)) == pytest.approx(0.5, abs=0.005)


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        stats = summarise(rng.lognormal(0, 0.2, 200).__mul__(1e6).astype(int).tolist())
        assert stats.low_ms is not None
        assert stats.high_ms is not None
        held += stats.low_ms <= 1.0 <= stats.high_ms
    assert held / 500 == pytest.approx(0.96, abs=0.025)  # ranks 6 and 15 of 20: 95.9 %; standard error 0.9 %
