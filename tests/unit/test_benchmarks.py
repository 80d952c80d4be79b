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


# seconds, GhostNet 1.0x, an AMD EPYC with two cores of which a training took one, 24 November 2026
OURS = [
    {"build": 4.89, "float": 3.83, "calibrate": 6.07, "quantize": 0.18, "export": 1.32, "total": 16.30, "cpu": 12.74},
    {"build": 4.63, "float": 2.77, "calibrate": 5.77, "quantize": 0.12, "export": 1.23, "total": 14.53, "cpu": 12.22},
    {"build": 6.76, "float": 3.32, "calibrate": 5.97, "quantize": 0.14, "export": 1.36, "total": 17.56, "cpu": 15.28},
]
THEIRS = [
    {"build": 1.45, "float": 13.12, "int8": 18.59, "onnx": 6.07, "total": 39.33, "cpu": 38.80},
    {"build": 1.59, "float": 13.00, "int8": 18.18, "onnx": 5.60, "total": 38.44, "cpu": 38.06},
    {"build": 1.27, "float": 12.32, "int8": 17.97, "onnx": 5.86, "total": 37.51, "cpu": 36.99},
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
    assert judged.value == pytest.approx(16.30 / 38.44)
    assert worst.value == pytest.approx(17.56 / 37.51)


@pytest.mark.parametrize(("total_s", "short"), [(12.58, False), (12.59, True)])
def test_a_chain_misses_the_bar_by_its_median_over_0_32_of_theirs(total_s: float, short: bool) -> None:
    ratio, *_ = importlib.import_module("convert_speed").summary(
        {"ours": [{**OURS[0], "total": total_s}], "theirs": THEIRS[:1]}  # 0.32 * 39.33 s = 12.586 s
    )
    assert ratio.falls_short is short


@pytest.mark.parametrize(("ours_s", "short"), [([9.0, 8.0, 30.0], False), ([9.0, 9.7, 30.0], True)])
def test_convert_misses_the_bar_by_its_median_over_0_8_of_the_script(ours_s: list[float], short: bool) -> None:
    ratio, worst, first, script = importlib.import_module("default_chain").speed(ours_s, [12.0, 11.0, 12.0])
    assert (ratio.falls_short, worst.value, first.value, script.value) == (short, 2.5, sorted(ours_s)[1], 12.0)


def test_the_breakdown_gives_each_step_its_share() -> None:
    lines = importlib.import_module("convert_speed").breakdown({"ours": OURS, "theirs": THEIRS})
    assert lines[:2] == ["ours: 16.30 s, 12.74 s of processor", "  build        4.89 s   30%"]
    assert lines[-1] == "pair by pair: 0.414 0.378 0.468"


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


@pytest.mark.parametrize(
    ("now", "names"),
    [
        ({"m.onnx": b"1", "m.tflite": b"2"}, []),
        ({"m.onnx": b"1", "m.tflite": b"3"}, ["m.tflite"]),
        ({"m.onnx": b"1"}, ["m.tflite"]),
        ({"m.onnx": b"1", "m.tflite": b"2", "new.tflite": b"2"}, ["new.tflite"]),
    ],
)
def test_a_file_with_other_bytes_than_in_the_other_commit_is_named(now: dict[str, bytes], names: list[str]) -> None:
    then = {"m.onnx": b"1", "m.tflite": b"2"}
    assert importlib.import_module("same_artifacts").different(then, now) == names


def test_files_that_a_convert_works_with_are_not_compared(tmp_path: Path) -> None:
    for name in ("m.tflite", ".equalized.tflite", "report.html"):
        (tmp_path / name).write_bytes(b"1")
    assert importlib.import_module("same_artifacts").artifacts(tmp_path) == {"m.tflite": b"1"}


def row(by: str, sqnr_db: float, changed: float, drop: float = 0.0, median_ms: float = 2.0) -> dict[str, Any]:
    return {"by": by, "drop": drop, "changed": changed, "sqnr_db": sqnr_db, "median_ms": median_ms}


@pytest.mark.parametrize(
    ("ours", "short"),
    [
        ((28.0, 0.015, 0.003, 2.06), []),
        ((27.9, 0.015, 0.003, 2.06), ["m: SQNR over the better peer's"]),
        ((28.0, 0.0151, 0.003, 2.06), ["m: changed answers / its"]),
        ((28.0, 0.015, 0.0031, 2.06), ["m: drop"]),
        ((28.0, 0.015, 0.003, 2.07), ["m: latency / the faster peer's"]),
    ],
)
def test_int8_that_is_hardly_better_than_the_better_peer_misses_its_bar(
    ours: tuple[float, float, float, float], short: list[str]
) -> None:
    table = [row("ours", *ours), row("tensorflow", 26.0, 0.02), row("litert-quantizer", 17.0, 0.03, median_ms=2.5)]
    judged = importlib.import_module("quantization_quality").summary(table, "m")
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


@pytest.mark.parametrize(
    ("agreement", "ratio", "short"),
    [
        (0.995, 1.5, []),
        (0.9949, 1.5, ["mix: agreement"]),
        (0.995, 1.51, ["mix: time / int8's"]),
    ],
)
def test_a_mix_that_agrees_too_little_or_costs_too_much_misses_its_bar(
    agreement: float, ratio: float, short: list[str]
) -> None:
    models = [{"accuracy": {"agreement": value}} for value in (0.98, 0.99)]
    found = {"deciding": {"agreement": agreement}, "time": {"ratio": ratio}, "models": models}
    judged = importlib.import_module("mixed_precision").summary(found)
    assert [figure.name for figure in judged if figure.falls_short] == short
