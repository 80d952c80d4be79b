"""Against a baseline the gate says no to what became worse, and not to chance."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import DataError
from ghost_edge.core.gate.baseline import Baseline, Held, Latency
from ghost_edge.core.gate.checks import check_regression, describe_changes, holm, loss_p, mcnemar_p
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import Predictions

COUNT = 2000
LABELS = np.arange(COUNT) % 10
LIMITS = Limits(max_drop=0.01)
BENCH = {"processor": "Cortex-A9", "board": "Zynq", "kernels": "default", "cores": []}


def run(quantized: np.ndarray = LABELS, *, labels: np.ndarray = LABELS, **changes: Any) -> Baseline:
    """A run whose float model is always right by LABELS."""
    blocks = tuple(range(9_990_000, 10_010_000, 1000))
    model = Held("1", 1000, 30.0, Latency(1, 10.0, blocks, 1))
    answers = {"float": LABELS.astype(np.int32), "quantized": np.asarray(quantized, np.int32)}
    whole = Baseline(
        name="m",
        models={"float": model, "quantized": model},
        predictions=Predictions(tuple(map(str, range(COUNT))), labels, answers),
        recipe={"network": {"width": 0.5}},
        weights_sha256="1",
        tools={"numpy": "2.0"},
        bench=BENCH,
    )
    return dataclasses.replace(whole, **changes)


def quantized_model(**changes: Any) -> dict[str, Held]:
    models = run().models
    return {**models, "quantized": dataclasses.replace(models["quantized"], **changes)}


def wrong_on(first: int, last: int) -> np.ndarray:
    answers = LABELS.copy()
    answers[first:last] += 1
    return answers


def reasons(now: Baseline, then: Baseline | None = None, limits: Limits = LIMITS) -> list[str]:
    return [each.reason for each in check_regression(now, then or run(), limits) if each.reason]


def test_the_same_run_passes_in_every_metric() -> None:
    checks = check_regression(run(), run(), LIMITS)
    assert {each.metric for each in checks} == {"top-1", "agreement", "bytes", "SQNR", "latency"}
    assert [each.reason or each.doubt for each in checks] == [""] * len(checks)


def test_answers_that_are_lost_are_refused_by_both_metrics() -> None:
    # 12 lost, none won: p = 0.5 ** 12 = 0.00024, times 3 tests for the smallest, then times 2
    assert reasons(run(wrong_on(0, 12))) == [
        "top-1 fell from 100.00% to 99.40% (p = 0.00073); the limit is 0.00%",
        "agreement fell from 100.00% to 99.40% (p = 0.00073); the limit is 0.00%",
    ]


def test_as_many_won_as_lost_is_chance() -> None:
    assert reasons(run(wrong_on(0, 12)), run(wrong_on(12, 24))) == []


def test_a_loss_within_the_limit_passes() -> None:
    assert reasons(run(wrong_on(0, 12)), limits=Limits(max_drop=0.01, max_loss=0.006)) == []


def test_swapped_labels_are_refused_though_every_answer_is_as_before() -> None:
    swapped = np.where(LABELS == 3, 8, np.where(LABELS == 8, 3, LABELS))
    assert reasons(run(labels=swapped))[0].startswith("top-1 fell from 100.00% to 80.00% (p < 0.0001)")
    assert "labels: 400 of 2000 images have another" in describe_changes(run(labels=swapped), run())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sqnr_db": 28.9}, "SQNR fell from 30.0 to 28.9 dB; it may fall by 1 dB"),
        ({"size_bytes": 1051}, "it grew from 1,000 to 1,051 bytes; the limit is 1.05x"),
    ],
)
def test_noise_and_size_are_refused_over_their_limits(change: dict[str, Any], reason: str) -> None:
    assert reasons(run(models=quantized_model(**change))) == [reason]


@pytest.mark.parametrize("change", [{"sqnr_db": 29.1}, {"size_bytes": 1050}])
def test_noise_and_size_within_their_limits_pass(change: dict[str, Any]) -> None:
    assert reasons(run(models=quantized_model(**change))) == []


def slower(times: float, spread: float = 0.0) -> Baseline:
    rng = np.random.default_rng(0)
    blocks = tuple(round(10e6 * times * (1 + spread * rng.standard_normal())) for _ in range(20))
    return run(models=quantized_model(latency=Latency(1, 10.0 * times, blocks, 1)))


def test_samples_that_are_30_percent_slower_are_refused() -> None:
    (reason,) = reasons(slower(1.3))
    assert reason.startswith("latency is 1.30x (1.27 to 1.33) of the baseline's; the limit is 1.1x")


def test_a_time_within_the_limit_passes() -> None:
    assert reasons(slower(1.07)) == []


def test_a_time_over_the_limit_by_chance_is_a_doubt() -> None:
    checks = check_regression(slower(1.12, spread=0.1), run(), LIMITS)
    (doubt,) = [each.doubt for each in checks if each.doubt]
    assert "bench both with --rounds 6 or more" in doubt
    assert [each.reason for each in checks if each.reason] == []


def test_times_of_another_processor_are_not_compared() -> None:
    now = dataclasses.replace(slower(3.0), bench={**BENCH, "processor": "Cortex-A53"})
    doubts = {each.doubt for each in check_regression(now, run(), LIMITS)}
    assert doubts == {"", "times are not compared: processor not as in the baseline"}


def test_times_of_other_threads_are_not_compared() -> None:
    latency = run().models["quantized"].latency
    assert latency is not None
    now = run(models=quantized_model(latency=dataclasses.replace(latency, threads=4)))
    assert "times are not compared: threads not as in the baseline" in {
        each.doubt for each in check_regression(now, run(), LIMITS)
    }


@pytest.mark.parametrize(
    ("models", "doubt"),
    [
        ({"float": run().models["float"]}, "the baseline has this model, and the run has not"),
        (quantized_model(latency=None), "times are not compared: none were measured"),
    ],
)
def test_what_is_gone_is_a_doubt(models: dict[str, Held], doubt: str) -> None:
    assert doubt in {each.doubt for each in check_regression(run(models=models), run(), LIMITS)}


def test_noise_where_there_was_none_is_refused() -> None:
    then = run(models=quantized_model(sqnr_db=None))
    assert reasons(run(), then) == ["SQNR fell from no noise to 30.0 dB; it may fall by 1 dB"]
    assert reasons(then, run()) == []


def test_too_few_images_are_refused_with_the_number_needed() -> None:
    # 3 tests: 6 lost and none won is the least with p < 0.05 / 3; 6 / 0.002 = 3000
    assert reasons(run(), limits=Limits(max_drop=0.002)) == [
        "2000 images are too few: a loss under 0.30% would go unseen, and max_drop is 0.20%; about 3000 would do, "
        "or --allow-few"
    ]


def test_other_images_are_refused() -> None:
    other = Predictions(tuple(map(str, range(1, COUNT + 1))), LABELS, run().predictions.answers)
    with pytest.raises(DataError, match="not evaluated on the same images"):
        check_regression(run(predictions=other), run(), LIMITS)


def test_a_baseline_of_another_number_of_images_is_refused_with_both_names() -> None:
    seen = run().predictions
    few = Predictions(seen.digests[:9], LABELS[:9], {role: values[:9] for role, values in seen.answers.items()})
    message = r"m \(2000 images\) and the baseline, other \(9\), were not evaluated on the same images"
    with pytest.raises(DataError, match=message):
        check_regression(run(), run(name="other", predictions=few), LIMITS)


def test_the_same_images_in_another_order_are_refused() -> None:
    other = Predictions(tuple(map(str, reversed(range(COUNT)))), LABELS, run().predictions.answers)
    with pytest.raises(DataError, match="not evaluated on the same images"):
        check_regression(run(predictions=other), run(), LIMITS)


def test_what_changed_is_said_key_by_key() -> None:
    now = run(
        recipe={"network": {"width": 1.0, "ratio": 2}},
        tools={"numpy": "2.1"},
        weights_sha256="2",
        models={"quantized": run().models["quantized"]},
    )
    assert describe_changes(now, run()) == [
        "models: float, quantized -> quantized",
        "recipe network.ratio: absent -> 2",
        "recipe network.width: 0.5 -> 1.0",
        "tool numpy: 2.0 -> 2.1",
        "weights: 1 -> 2",
    ]


@pytest.mark.parametrize(
    ("lost", "won", "expected"),
    [(0, 0, 1.0), (5, 0, 1 / 32), (3, 1, 5 / 16), (0, 5, 1.0)],  # (4 + 1) / 2**4 for three or more of four
)
def test_mcnemars_p_value_is_the_binomial_tail(lost: int, won: int, expected: float) -> None:
    assert mcnemar_p(lost, won) == pytest.approx(expected)


def test_holms_p_values_are_those_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 3 * 0.01; 2 * 0.03; then no smaller


def test_on_pairs_without_a_true_loss_it_says_no_in_at_most_5_percent() -> None:
    rng, refused, pairs = np.random.default_rng(0), 0, 300
    for _ in range(pairs):
        # both runs are wrong on the same 9 % and, each by itself, on 3 % more: they differ on 6 % of the images
        both, each = rng.random(COUNT) < 0.09, rng.random((2, 2, COUNT)) < 0.03
        sides = []
        for float_misses, quantized_misses in each:
            answers = {
                "float": np.where(both | float_misses, -1, LABELS).astype(np.int32),
                "quantized": np.where(both | quantized_misses, -2, LABELS).astype(np.int32),
            }
            sides.append(run(predictions=Predictions(run().predictions.digests, LABELS, answers)))
        refused += bool(reasons(*sides))
    assert 0 < refused <= pairs * 0.05  # 7 with this seed: Holm's p-values are careful


def test_a_loss_at_the_limit_is_refused_in_at_most_5_percent_too() -> None:
    rng, refused, limit = np.random.default_rng(0), 0, 0.005
    for _ in range(1000):
        fate = rng.random(COUNT)  # 2.25 % lost and 1.75 % won: half a point is lost
        then, now = np.where(fate > 0.9825, -1, LABELS), np.where(fate < 0.0225, -1, LABELS)
        lost, won = int((now != LABELS).sum()), int((then != LABELS).sum())
        refused += loss_p(lost, won, COUNT, limit) < 0.05
    assert 25 <= refused <= 60  # 50, and its deviation is 7


def test_a_loss_over_the_limit_is_refused() -> None:
    (reason, _) = reasons(run(wrong_on(0, 40)), limits=Limits(max_drop=0.01, max_loss=0.006))
    assert reason.startswith("top-1 fell from 100.00% to 98.00% (p < 0.0001); the limit is 0.60%")


def test_what_a_recipe_says_stays_on_its_line() -> None:
    now = run(recipe={"name": "x\n::error file=x::pwned", "a\n::add-mask::b": 1})
    lines = describe_changes(now, run())
    assert [line for line in lines if "\n" in line or line.startswith("::")] == []
    assert any("x\\n::error" in line for line in lines)


def test_a_baseline_of_another_task_is_refused() -> None:
    with pytest.raises(DataError, match="m is of the task classification, the baseline of detection"):
        check_regression(run(), run(task="detection"), LIMITS)
