"""A baseline travels through git as it was, and a damaged or edited one is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import seal
from ghost_edge.core.gate.baseline import Baseline, read_baseline, write_baseline
from ghost_edge.core.gate.checks import open_run
from ghost_edge.core.manifest import Manifest
from ghost_edge.device.bench_results import read_bench_json
from ghost_edge.device.gate import hold_run, open_baseline

Make = Callable[..., Manifest]
DIGESTS = tuple(f"{number:016x}" for number in range(1000))


@pytest.fixture
def held(make_manifest: Make, tmp_path: Path) -> Baseline:
    make_manifest(tmp_path / "run", wrong=7, digests=DIGESTS)
    return hold_run(tmp_path / "run", *open_run(tmp_path / "run"))


@pytest.fixture
def file(held: Baseline, tmp_path: Path) -> Path:
    write_baseline(held, tmp_path / "baseline.json")
    return tmp_path / "baseline.json"


def without_float(table: dict[str, Any]) -> dict[str, Any]:
    seen = table["predictions"]
    answers = {role: text for role, text in seen["answers"].items() if role != "float"}
    return {**table, "predictions": {**seen, "answers": answers}}


def test_what_is_written_is_read(held: Baseline, file: Path) -> None:
    read = read_baseline(file)
    assert (read.models, read.tools, read.predictions.digests) == (held.models, held.tools, DIGESTS)
    for role in ("float", "quantized"):
        np.testing.assert_array_equal(read.predictions.answers[role], held.predictions.answers[role])
    np.testing.assert_array_equal(read.predictions.labels, held.predictions.labels)


def test_the_same_run_is_the_same_file(held: Baseline, file: Path, tmp_path: Path) -> None:
    write_baseline(read_baseline(file), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_it_is_small_enough_for_git(file: Path) -> None:
    assert file.stat().st_size < 25_000  # 1,000 digests of 8 bytes are 10,667 as base64


def test_it_needs_no_model_beside_it(file: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "run")
    assert open_baseline(file).name == "m"


def test_a_folder_of_an_earlier_run_is_a_baseline_too(file: Path, tmp_path: Path) -> None:
    assert open_baseline(tmp_path / "run").models == open_baseline(tmp_path / "run" / "manifest.json").models


def test_a_changed_artifact_of_the_baseline_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "m_int8.tflite").unlink()
    with pytest.raises(ArtifactError, match=r"run/m_int8\.tflite is promised and is not there"):
        open_baseline(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: {**table, "weights_sha256": "0"}, "was it edited or merged"),
        (lambda table: {**table, "format": 99}, "has format 99, this ghost-edge reads 1"),
        (lambda table: seal({**table, "more": 1}), "is damaged"),
        (lambda table: seal({key: value for key, value in table.items() if key != "models"}), "is damaged: 'models'"),
        (lambda table: seal({**table, "predictions": {**table["predictions"], "labels": "AA=="}}), "is damaged"),
        (lambda table: seal({**table, "tools": [1]}), "tools must be a table"),
        (lambda table: seal({**table, "weights_sha256": 1}), "weights_sha256 must be a text"),
        (lambda table: seal(without_float(table)), "no answers of the float model"),
        (lambda table: [1], "has format 'list'"),
        (
            lambda table: seal({**table, "models": {"a": {"sha256": "", "size_bytes": 0, "latency": None}}}),
            "not over 0",
        ),
    ],
    ids=[
        "edited",
        "newer",
        "unknown key",
        "no models",
        "labels that are not packed",
        "a list of tools",
        "a number",
        "no float",
        "a list",
        "no bytes",
    ],
)
def test_a_damaged_baseline_is_refused(file: Path, change: Callable[..., object], message: str) -> None:
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(ArtifactError, match=message):
        read_baseline(file)


def test_a_merge_conflict_is_no_baseline(file: Path) -> None:
    file.write_text("<<<<<<< ours\n" + file.read_text())
    with pytest.raises(ArtifactError, match=r"is not readable JSON .*; run ghost-edge gate MANIFEST --update .* again"):
        read_baseline(file)


def test_a_missing_baseline_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gate MANIFEST --update .*gone\.json writes it"):
        read_baseline(tmp_path / "gone.json")


def test_a_bench_of_another_file_is_refused(make_manifest: Make, tmp_path: Path, repository: Path, file: Path) -> None:
    bench = tmp_path / "bench.json"
    row = {"path": "m_int8.tflite", "sha256": "0" * 64, "size_bytes": 5, "threads": 1, "doubts": [], "error": None}
    nothing = ("stats", "delegate", "before", "after", "interpreter", "version", "failure", "peak_rss_bytes")
    board, plan = {"cpu": "x", "model": None}, {"kernels": "default", "cpus": []}
    document = {"format": 2, "board": board, "plan": plan, "results": [{**row, **dict.fromkeys(nothing)}]}
    bench.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"timed another m_int8\.tflite than the manifest's"):
        hold_run(tmp_path / "run", *open_run(tmp_path / "run"), bench)


def test_a_bench_without_its_board_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"format": 2, "board": None, "plan": {}, "results": []}))
    with pytest.raises(ArtifactError, match=r"its board or plan is damaged: .*; run ghost-edge bench --json again"):
        read_bench_json(path)
