"""Turns of several models, with models that record their calls and samples that were written down: never the clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError, RecipeError
from ghost_edge.core.latency import LatencyStats, summarise, time_ratio
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device import bench as module
from ghost_edge.device.bench import alternate, time_in_turn


class FakeModel:
    """Writes its letter down when it is invoked."""

    inputs = (TensorSpec("x", (1, 2), "float32"),)
    outputs = inputs
    interpreter, version, delegate = "fake", "0", None

    def __init__(self, letter: str, calls: list[str]) -> None:
        self.given: list[Any] = []
        self.invoke = lambda: calls.append(letter)

    def set_inputs(self, arrays: Sequence[Any]) -> None:
        self.given = list(arrays)

    def outputs_now(self) -> list[Any]:
        return []


def turns(*, rounds: int, runs: int, warmup: int) -> tuple[str, list[list[int]]]:
    calls: list[str] = []
    samples = time_in_turn([FakeModel("a", calls), FakeModel("b", calls)], rounds=rounds, runs=runs, warmup=warmup)
    return "".join(calls), samples


def milliseconds(values: list[float]) -> LatencyStats:
    return summarise([round(value * 1e6) for value in values])


def test_each_round_runs_every_model_and_every_second_one_in_reverse() -> None:
    calls, _ = turns(rounds=3, runs=1, warmup=0)
    assert calls == "aabb" + "bbaa" + "aabb"  # of each pair the first run is not timed


def test_models_are_warm_before_the_first_round() -> None:
    calls, _ = turns(rounds=1, runs=1, warmup=2)
    assert calls == "aabb" + "aabb"


def test_a_sample_is_kept_for_each_timed_run_and_none_for_the_others() -> None:
    _, samples = turns(rounds=4, runs=3, warmup=5)
    assert [len(taken) for taken in samples] == [12, 12]


def test_every_model_gets_its_inputs() -> None:
    model = FakeModel("a", [])
    time_in_turn([model], rounds=1, runs=1, warmup=0)
    assert [array.shape for array in model.given] == [(1, 2)]


def test_the_ratio_is_that_of_the_medians() -> None:
    ratio = time_ratio(milliseconds([2, 2, 3, 9]), milliseconds([1, 1, 1, 1]), rounds=4)
    assert (ratio.ratio, ratio.median_ms, ratio.peer_ms) == (2.5, 2.5, 1.0)


def test_drift_that_hits_both_models_does_not_widen_the_quartiles() -> None:
    slow_down = [1.0, 2.0, 3.0, 4.0]
    ratio = time_ratio(milliseconds([3 * value for value in slow_down]), milliseconds(slow_down), rounds=4)
    assert (ratio.low, ratio.high) == (3.0, 3.0)


def test_rounds_that_disagree_widen_the_quartiles() -> None:
    ratio = time_ratio(milliseconds([1, 2, 3, 4, 5]), milliseconds([1, 1, 1, 1, 1]), rounds=5)
    assert (ratio.low, ratio.high) == (2.0, 4.0)


def test_a_slow_run_inside_a_round_does_not_count() -> None:
    ratio = time_ratio(milliseconds([2, 2, 50, 2, 2, 2]), milliseconds([1] * 6), rounds=2)
    assert (ratio.ratio, ratio.low, ratio.high) == (2.0, 2.0, 2.0)


def test_results_of_different_calls_are_our_bug() -> None:
    with pytest.raises(AssertionError, match="not from the same call"):
        time_ratio(milliseconds([1, 1]), milliseconds([1]), rounds=1)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"runs": 0}, {"threads": 0}, {"warmup": -1}])
def test_counts_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match="warmup must be 0 or more"):
        alternate([Path("m.tflite")], **wrong)


def test_files_and_results_are_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # the fork inherits the fakes; each model's time is its file's name
    monkeypatch.setattr(module, "open_model", lambda file, **options: file)
    monkeypatch.setattr(module, "time_in_turn", lambda models, **counts: [[int(model.stem)] for model in models])
    assert [stats.samples_ns for stats in alternate([Path("7.tflite"), Path("3.tflite")])] == [(7,), (3,)]


def test_a_missing_file_among_several_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.tflite").touch()
    real = module.open_model
    monkeypatch.setattr(module, "open_model", lambda file, **options: file.exists() or real(file, **options))
    with pytest.raises(ArtifactError, match=rf"^{tmp_path}/gone\.tflite cannot be read \(No such file"):
        alternate([tmp_path / "there.tflite", tmp_path / "gone.tflite"])


def test_a_process_that_ends_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(module, "open_model", lambda file, **options: os.abort())
    with pytest.raises(DeviceError, match=r"^timing in turn: killed by SIGABRT"):
        alternate([Path("a.tflite"), Path("b.tflite")])
