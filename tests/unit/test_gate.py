"""The gate says no, for the right reason, and not by chance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.gate.checks import check_accuracy
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.tasks.classification import compare
from ghost_edge.core.tasks.task import Comparison

GOOD = Comparison(images=5000, metric="top-1", reference=0.9, value=0.899, drop=0.001, margin=0.003, agreement=0.985)
LIMITS = Limits(max_drop=0.005, min_agreement=0.98)


def reasons(found: Comparison, limits: Limits = LIMITS, *, allow_few: bool = False) -> list[str]:
    return [check.reason for check in check_accuracy(found, limits, allow_few=allow_few) if check.reason]


def changed(**values: float) -> Comparison:
    return Comparison(**{**vars(GOOD), **values})  # type: ignore[arg-type]


def test_a_model_within_its_limits_passes() -> None:
    assert reasons(GOOD) == []


def test_a_drop_over_the_limit_is_refused() -> None:
    assert reasons(changed(drop=0.006)) == ["top-1 dropped by 0.60% ± 0.30%; the limit is 0.50%"]


def test_the_metric_is_the_tasks_own() -> None:
    # as detection would have it: the gate knows no metric by name
    found = dataclasses.replace(GOOD, metric="mAP@0.5", drop=0.02)
    assert reasons(found)[0] == "mAP@0.5 dropped by 2.00% ± 0.30%; the limit is 0.50%"


def test_too_little_agreement_is_refused() -> None:
    assert reasons(changed(agreement=0.97)) == ["only 97.00% of the answers agree; the limit is 98.00%"]


def test_too_few_images_are_refused_with_the_number_needed() -> None:
    (reason,) = reasons(changed(margin=0.01))
    assert "5000 images are too few" in reason
    assert "about 20000 would do" in reason  # four times as many for half the margin


def test_allow_few_judges_all_the_same() -> None:
    assert reasons(changed(margin=0.01), allow_few=True) == []


def test_no_number_of_images_shows_a_drop_of_nothing() -> None:
    (reason,) = reasons(changed(drop=0), Limits(max_drop=0, min_agreement=0))
    assert "no finite number would do" in reason


def test_images_needed_is_where_the_margin_meets_the_limit() -> None:
    (reason,) = reasons(changed(margin=0.01))
    assert "about 20000 would do" in reason  # four times as many as there are, for half the margin


@pytest.mark.parametrize(("name", "value"), [("max_drop", -0.1), ("max_drop", 1.5), ("min_agreement", 98.0)])
def test_a_limit_that_is_no_fraction_is_an_error(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"{name} is {value}; it is a fraction"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["max_drop", "min_sqnr_db", "max_sqnr_loss_db", "max_size_ratio", "max_latency_ratio"])
def test_a_limit_that_is_no_number_is_an_error(name: str) -> None:
    # nothing compares as more than NaN: every model would pass
    with pytest.raises(RecipeError, match=f"{name} must be a finite number, not nan"):
        Limits(**{name: float("nan")})


def test_without_a_true_drop_it_says_no_in_at_most_5_percent() -> None:
    rng = np.random.default_rng(0)
    labels, refused = np.zeros(5000, np.int64), 0
    for _ in range(1000):
        fate = rng.random(5000)  # one image in a hundred lost, one in a hundred won
        reference, candidate = np.where(fate < 0.01, 1, 0), np.where(fate > 0.99, 1, 0)
        refused += bool(reasons(compare(reference, candidate, labels), Limits(max_drop=0.005, min_agreement=0)))
    assert refused <= 50


def test_a_limit_in_quotes_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"\[gate\] max_drop must be a number, not '1%'"):
        Limits(max_drop="1%")  # type: ignore[arg-type]
