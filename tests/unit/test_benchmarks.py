"""What the benchmarks conclude from recorded samples; the clock is not asked."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def beside_the_scripts(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    """Scripts find each other in their own folder."""
    monkeypatch.syspath_prepend(repository / "benchmarks")


@pytest.fixture
def figures() -> Any:
    return importlib.import_module("figures")


# seconds, GhostNet 1.0x, two cores of an AMD EPYC of which another job took one, 24 November 2026
OURS = [
    {"build": 8.12, "float": 3.82, "calibrate": 7.42, "quantize": 0.18, "export": 1.30, "total": 20.84},
    {"build": 6.26, "float": 3.22, "calibrate": 5.54, "quantize": 0.27, "export": 1.92, "total": 17.22},
    {"build": 7.30, "float": 3.83, "calibrate": 2.87, "quantize": 0.13, "export": 1.36, "total": 15.51},
]
THEIRS = [
    {"build": 2.65, "float": 17.69, "int8": 18.63, "onnx": 5.97, "total": 45.05},
    {"build": 1.24, "float": 13.16, "int8": 18.53, "onnx": 7.09, "total": 40.13},
    {"build": 1.69, "float": 14.00, "int8": 20.89, "onnx": 7.96, "total": 44.67},
]


@pytest.mark.parametrize(
    ("value", "direction", "short"),
    [
        (0.4, "at most", False),
        (0.41, "at most", True),
        (0.4, "at least", False),
        (0.39, "at least", True),
        (math.nan, "at most", True),
        (math.nan, "at least", True),
    ],
)
def test_a_bar_is_kept_up_to_its_edge_and_never_by_nan(figures: Any, value: float, direction: str, short: bool) -> None:
    assert figures.Figure("ratio", value, bar=0.4, direction=direction).falls_short is short


@pytest.mark.parametrize(("value", "check", "code"), [(0.5, True, 1), (0.5, False, 0), (0.3, True, 0)])
def test_only_check_turns_a_missed_bar_into_exit_1(figures: Any, value: float, check: bool, code: int) -> None:
    assert figures.finish([figures.Figure("ratio", value, bar=0.4), figures.Figure("told", 9)], None, check) == code


def test_the_last_line_is_the_figures_with_their_bars(figures: Any, capsys: pytest.CaptureFixture[str]) -> None:
    figures.finish(
        [figures.Figure("ratio", 0.5, bar=0.4, unit="x"), figures.Figure("ours", 12.3456, unit=" s")], None, False
    )
    assert capsys.readouterr().out == "ratio 0.5x (at most 0.4x: MISSED); ours 12.35 s\n"


def test_the_file_names_what_falls_short_and_keeps_the_samples(figures: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    figures.finish([figures.Figure("gap", math.inf, bar=1)], path, False, samples={"ours": [1, 2]})
    document = json.loads(path.read_text())
    assert (document["falls_short"], document["samples"]) == (["gap"], {"ours": [1, 2]})
    assert document["figures"][0]["value"] is None


def test_speed_is_the_ratio_of_medians_and_the_worst_pair_is_told() -> None:
    judged, worst, *_ = importlib.import_module("convert_speed").summary({"ours": OURS, "theirs": THEIRS})
    assert judged.value == pytest.approx(17.22 / 44.67)
    assert worst.value == pytest.approx(20.84 / 45.05)


def test_a_chain_that_takes_half_their_time_misses_the_bar() -> None:
    slow = [{"total": 22.6}]  # over half of 45.05
    assert importlib.import_module("convert_speed").summary({"ours": slow, "theirs": THEIRS[:1]})[0].falls_short


def test_the_breakdown_gives_each_step_its_share() -> None:
    lines = importlib.import_module("convert_speed").breakdown({"ours": OURS, "theirs": THEIRS})
    assert "  build        7.30 s   42%" in lines
    assert lines[-1] == "pair by pair: 0.463 0.429 0.347"


@pytest.mark.parametrize(
    ("after", "names"),
    [
        ({"a.tflite": (1, "x"), "tools.log": (9, "z")}, []),
        ({"a.tflite": (2, "x"), "tools.log": (1, "y")}, ["a.tflite"]),
        ({"a.tflite": (1, "w"), "tools.log": (1, "y")}, ["a.tflite"]),
        ({"tools.log": (1, "y")}, ["a.tflite"]),
        ({"a.tflite": (1, "x"), "b.part": (1, "x"), "tools.log": (1, "y")}, ["b.part"]),
    ],
)
def test_a_touched_new_or_lost_file_is_seen(after: dict[str, tuple[int, str]], names: list[str]) -> None:
    before = {"a.tflite": (1, "x"), "tools.log": (1, "y")}
    assert importlib.import_module("default_chain").touched(before, after) == names


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ({"a.onnx": (2, "x"), "chain.json": (2, "q")}, []),
        ({"a.onnx": (1, "w")}, ["a.onnx"]),
        ({}, ["a.onnx"]),
        ({"a.onnx": (1, "x"), "b.tflite": (1, "x")}, ["b.tflite"]),
    ],
)
def test_artifacts_are_compared_by_their_bytes_alone(other: dict[str, tuple[int, str]], names: list[str]) -> None:
    one = {"a.onnx": (1, "x"), "chain.json": (1, "p")}
    assert importlib.import_module("default_chain").different(one, other) == names


def row(by: str, drop: float, agreement: float) -> dict[str, Any]:
    return {"by": by, "drop": drop, "margin": 0.003, "agreement": agreement, "sqnr_db": 28.0, "median_ms": 2.0}


@pytest.mark.parametrize(
    ("drop", "agreement", "short"),
    [(0.005, 0.975, []), (0.0052, 0.98, ["drop"]), (-0.001, 0.9748, ["agreement"])],
)
def test_a_drop_or_a_changed_answer_too_many_misses_its_bar(drop: float, agreement: float, short: list[str]) -> None:
    table = [row("ours", drop, agreement), row("tensorflow", 0.001, 0.973), row("litert-quantizer", 0.006, 0.95)]
    judged = importlib.import_module("quantization_cifar10").summary(table)
    assert [figure.name for figure in judged if figure.falls_short] == short


def test_startup_is_judged_by_medians() -> None:
    walls = {
        "python -c pass": [0.02, 0.02, 0.5],
        "ghost-edge --help": [0.08, 0.31, 0.08],
        "interpreter alone": [0.2, 0.2, 0.2],
        "ghost-edge bench": [0.6, 0.6, 0.3],
    }
    judged = importlib.import_module("startup").summary(walls)
    assert [figure.falls_short for figure in judged] == [False, False, True, False]
