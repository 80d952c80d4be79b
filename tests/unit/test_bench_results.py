"""What a bench found, as JSON and back, and against an older bench."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError, GateError, RecipeError
from ghost_edge.core.latency import ratio_interval, summarise
from ghost_edge.device.bench import BenchPlan, as_document
from ghost_edge.device.bench_results import (
    BenchResult,
    Change,
    as_row,
    check_changes,
    compare_results,
    differences,
    doubt_lines,
    read_bench_json,
    results_from_document,
)
from ghost_edge.device.board import Conditions, read_board
from ghost_edge.device.runtimes.model import DelegateShare

NOW = Conditions("performance", 666667, 666667, 43.5, 0)


def made(
    name: str = "m.tflite", factor: float = 1.0, seed: int = 0, threads: int = 1, processes: int = 10
) -> BenchResult:
    samples = np.random.default_rng(seed).normal(1e6 * factor, 1e4, 400).astype(int).tolist()
    share = [400 // processes] * processes
    return BenchResult(
        *(Path(name), "0" * 64, 1000, threads, 2.0, 3.0, 4.0, summarise(samples, share)),
        *(2**20, DelegateShare(9, 9, 1), "litert", "2.3.0", NOW, NOW),
    )


def written(folder: Path, results: Sequence[BenchResult]) -> Path:
    path = folder / "old.json"
    path.write_text(json.dumps(as_document(read_board(), BenchPlan(), results)))
    return path


def test_what_was_written_is_read_back_whole(tmp_path: Path) -> None:
    failed = BenchResult(Path("f.tflite"), "1" * 64, 5, 2, failure="killed by SIGILL", error=DeviceError)
    assert results_from_document(read_bench_json(written(tmp_path, [made(), failed])), "old") == [made(), failed]


@pytest.mark.parametrize("harm", [{"format": 1}, {"results": [{}]}, {"results": None}])
def test_another_format_or_damage_is_an_error(tmp_path: Path, harm: dict[str, Any]) -> None:
    document = json.loads(written(tmp_path, [made()]).read_text())
    with pytest.raises(ArtifactError, match=r"old\.json (has format 1, this ghost-edge reads 2|is damaged)"):
        results_from_document({**document, **harm}, "old.json")


@pytest.mark.parametrize(
    "harm",
    [
        {"samples_ns": [10**400]},
        {"samples_ns": [0.5]},
        {"samples_ns": [True]},
        {"samples_ns": [0]},
        {"processes": [0, 400]},
        {"processes": [10, 10**9]},
        {"processes": [399]},
    ],
)
def test_edited_samples_are_an_error(tmp_path: Path, harm: dict[str, Any]) -> None:
    path = written(tmp_path, [made()])
    document = json.loads(path.read_text())
    document["results"][0]["stats"].update(harm)
    path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"old\.json is damaged: .*; run ghost-edge bench --json again"):
        read_bench_json(path)


def test_the_results_of_a_bundle_are_read_too(tmp_path: Path) -> None:
    document = json.loads(written(tmp_path, [made()]).read_text())
    (tmp_path / "results.json").write_text(json.dumps({"format": 1, "bench": document}))
    assert read_bench_json(tmp_path / "results.json") == document


def test_what_is_not_alike_is_said(tmp_path: Path) -> None:
    old = read_bench_json(written(tmp_path, [made(), made("gone.tflite")]))
    assert differences(old, old) == []
    new = {**old, "plan": {**old["plan"], "kernels": "reference"}, "results": old["results"][:1]}
    assert differences(new, old) == [
        "not alike: --kernels was default, is reference",
        "not alike: the list of models was ['gone.tflite', 'm.tflite'], is ['m.tflite']",
    ]


def test_two_models_of_one_name_are_not_compared() -> None:
    with pytest.raises(ArtifactError, match=r"two models are called m\.tflite"):
        compare_results([made("a/m.tflite"), made("b/m.tflite")], [made()])


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_is_no_ratio_is_refused(limit: float) -> None:
    with pytest.raises(RecipeError, match="it must be a ratio over 0"):
        check_changes([], limit)


def test_a_file_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"x\.json is not readable JSON .*; run ghost-edge bench --json again"):
        read_bench_json(tmp_path / "x.json")


def test_the_cold_start_is_the_sum_of_its_parts() -> None:
    assert as_row(made())["cold_start_ms"] == 9.0
    assert dataclasses.replace(made(), load_ms=None).cold_start_ms is None


def test_the_ratio_is_new_to_old_and_its_interval_holds_the_truth() -> None:
    (change,) = compare_results([made(factor=1.1, seed=1)], [made(), made("other.tflite")])
    assert (change.model, change.threads) == ("m.tflite", 1)
    assert change.ratio == pytest.approx(1.1, abs=0.01)
    assert change.low is not None
    assert change.high is not None
    assert change.low < 1.1 < change.high
    assert change.high - change.low < 0.02  # medians of 40 runs with a spread of 1 %
    (rough,) = compare_results([made(factor=1.1, seed=1, processes=1)], [made()])
    assert rough.low == pytest.approx(change.low / 1.02, abs=0.01)  # one process says nothing of others


def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says() -> None:
    held = 0
    for seed in range(0, 600, 2):
        new, old = made(factor=1.2, seed=seed).stats, made(seed=seed + 1).stats
        assert new is not None
        assert old is not None
        low, high = ratio_interval(new, old) or (0.0, 0.0)
        held += low <= 1.2 <= high
    assert held / 300 == pytest.approx(0.95, abs=0.04)  # standard error 1.3 %


def test_threads_are_compared_with_the_same_number_only() -> None:
    with pytest.raises(ArtifactError, match=r"no model was measured both times; the older file has m\.tflite \(2 thr"):
        compare_results([made(threads=1)], [made(threads=2)])


def test_a_model_that_became_slower_fails_with_exit_code_7() -> None:
    with pytest.raises(GateError, match=r"1 of 2 models are slower: m\.tflite takes 1\.\d+x as long, limit 1\.05$"):
        check_changes(compare_results([made(factor=1.1), made("o.tflite")], [made(), made("o.tflite", seed=1)]), 1.05)


def test_a_model_within_the_limit_passes() -> None:
    check_changes(compare_results([made(factor=1.04)], [made()]), 1.05)


def test_a_failure_that_is_not_sure_says_so() -> None:
    with pytest.raises(GateError, match="the interval reaches under the limit: bench both with --rounds 6"):
        check_changes([Change("m.tflite", 1, 1.0, 1.06, 1.06, 1.01, 1.12)], 1.05)


def test_six_processes_that_disagree_are_a_doubt_and_a_wide_interval() -> None:
    fast, slow = [100_000] * 50, [220_000] * 50
    stats = summarise([*fast * 5, *slow], [50] * 6)
    assert (stats.low_ms, stats.high_ms) == (0.1, 0.22)  # of 6 medians the least and the greatest: 96.9 %
    (line,) = doubt_lines([dataclasses.replace(made(), stats=stats, doubts=("x differs",))])
    assert line == "doubt: m.tflite: x differs"


def test_fewer_than_six_processes_have_no_interval() -> None:
    assert summarise([1] * 50, [10] * 5).low_ms is None


def test_a_doubt_names_the_threads_where_there_are_several() -> None:
    results = [dataclasses.replace(made(threads=threads), doubts=("slow",)) for threads in (1, 2)]
    assert doubt_lines([*results, made("n.tflite")]) == ["doubt: m.tflite (1 thread), m.tflite (2 threads): slow"]
