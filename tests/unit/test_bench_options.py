"""The options of `ghost-edge bench` and the fields of its plan are one thing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ghost_edge.cli.bench import bench
from ghost_edge.core.errors import RecipeError
from ghost_edge.device.bench import BenchPlan
from ghost_edge.device.bench import bench as time_models

FIELDS = [field.name for field in dataclasses.fields(BenchPlan)]
OTHER = BenchPlan(
    runs=7,
    seconds=0.25,
    max_seconds=9.5,
    precision=0.02,
    warmup=3,
    threads=(1, 2),
    cpus=(0, 3),
    rounds=6,
    runtime="litert",
    kernels="reference",
    timeout_s=12.5,
)


def parsed(arguments: list[str]) -> BenchPlan:
    """Return the plan of a command line."""
    found = bench.make_context("bench", [*arguments, "model.tflite"]).params
    return BenchPlan(**{field: found[field] for field in FIELDS})


@pytest.mark.parametrize("plan", [BenchPlan(), OTHER], ids=["default", "other"])
def test_the_options_of_a_plan_make_the_plan_again(plan: BenchPlan) -> None:
    assert parsed(plan.as_options()) == plan


@pytest.mark.parametrize("options", [{"threads": 2}, {"runs": "7"}, {"precision": float("nan")}, {"cpus": "0"}])
def test_a_value_of_another_type_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=rf"^bench {next(iter(options))}\S* must be a "):
        BenchPlan(**options)


def test_a_number_is_no_plan() -> None:
    with pytest.raises(RecipeError, match="plan must be a table, not 5"):
        time_models([], 5)  # type: ignore[arg-type]


def test_the_board_gets_no_option_that_is_default_anyway() -> None:
    assert BenchPlan().as_options() == []
    assert BenchPlan(rounds=6).as_options() == ["--rounds", "6"]


def test_the_other_plan_differs_from_the_default_in_every_field() -> None:
    assert [field for field in FIELDS if getattr(OTHER, field) == getattr(BenchPlan(), field)] == []
