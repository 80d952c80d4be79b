"""The bench on real models; speeds are never asserted."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError, RecipeError
from ghost_edge.core.latency import summarise
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device import bench
from ghost_edge.device.bench import BenchPlan, bench_models, find_doubts, random_input
from ghost_edge.device.bench_results import BenchResult
from ghost_edge.device.board import Conditions
from ghost_edge.device.runtimes.model import DelegateShare
from ghost_edge.device.runtimes.open import find_models

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
INT8 = "mlperf_tiny_kws_dscnn_int8.tflite"
REFUSED = "tflm_person_detect_int8.tflite"
QUICK = BenchPlan(runs=7, seconds=0, max_seconds=0, warmup=1)
SOUND = BenchResult(Path("x.tflite"), "", 1, 1, stats=summarise([100] * 50), delegate=DelegateShare(9, 9, 1))


def test_a_result_has_everything(models: Path) -> None:
    (result,) = bench_models([models / INT8], QUICK)
    assert result.failure is None
    assert result.stats is not None
    assert result.stats.runs == 7
    assert result.size_bytes == 53936
    assert result.sha256 in (models / "SHA256SUMS").read_text()
    assert result.interpreter == "litert"
    assert result.delegate == DelegateShare(13, 11, 2)
    assert min(result.load_ms or 0, result.first_inference_ms or 0, result.peak_rss_bytes or 0) > 0


def test_a_bench_lasts_as_many_seconds_as_asked(models: Path) -> None:
    (result,) = bench_models([models / INT8], BenchPlan(runs=1, seconds=0.2, max_seconds=0))
    assert result.stats is not None
    assert sum(result.stats.samples_ns) > 0.1e9
    assert result.stats.runs > 1


def test_a_refused_model_is_a_row_and_the_next_one_runs(models: Path) -> None:
    seen: list[BenchResult] = []
    refused, good = bench_models([models / REFUSED, models / INT8], QUICK, seen.append)
    assert seen == [refused, good]
    assert refused.stats is None
    assert refused.error is DeviceError
    assert str(refused.failure).startswith("litert refuses it: quantized_dimension")
    assert good.failure is None


def test_a_model_that_takes_too_long_is_a_row(models: Path) -> None:
    (result,) = bench_models([models / INT8], BenchPlan(runs=10**9, timeout_s=1.0))
    assert str(result.failure).startswith("not done after 1 s")


def test_an_interpreter_that_dies_is_a_row(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "time_invokes", lambda *_: os.abort())
    (result,) = bench_models([models / INT8], QUICK)
    assert str(result.failure).startswith("killed by SIGABRT: the interpreter broke")


def test_a_folder_gives_its_models_sorted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.tflite", "a.onnx", "README.md", "manifest.json", ".c.tflite"):
        (tmp_path / name).touch()
    assert find_models([tmp_path, tmp_path / "README.md", tmp_path / "b.tflite"]) == [
        tmp_path / "a.onnx",
        tmp_path / "b.tflite",
    ]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gone\.tflite does not exist"):
        find_models([tmp_path / "gone.tflite"])


def test_nothing_to_bench_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no \.tflite or \.onnx file in"):
        find_models([tmp_path])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"runs": 0}, "with runs 0: it must be 1 to "),
        ({"threads": (1, 0)}, "with threads 0: it must be 1 to 256"),
        ({"threads": ()}, "needs a number of threads"),
        ({"seconds": -1.0}, "with seconds -1.0: it must be 0 to 86400"),
        ({"max_seconds": float("nan")}, "max_seconds must be a finite number, not nan"),
        ({"warmup": -1}, "with warmup -1"),
        ({"timeout_s": 0.0}, "with timeout_s 0.0"),
        ({"precision": 1.0}, "with precision 1.0: it must be 0 to 0.5"),
        ({"cpus": (-1,)}, "with cpus -1"),
        ({"rounds": 0}, "with rounds 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        BenchPlan(**wrong)


def test_inputs_fill_their_dtype_and_are_the_same_each_time() -> None:
    def make(dtype: str) -> Any:
        return random_input(TensorSpec("x", (1, 64, 64, 3), dtype), np.random.default_rng(0))

    assert (make("int8").min(), make("int8").max(), make("int8").dtype) == (-128, 127, np.int8)
    assert (make("uint8").min(), make("uint8").max()) == (0, 255)
    assert abs(float(make("float32").std()) - 1) < 0.05  # 12288 samples: a standard error of 0.006
    assert set(np.unique(make("int64"))) == {0, 1}
    assert np.array_equal(make("float32"), make("float32"))


def test_a_sound_measurement_has_no_doubt() -> None:
    assert find_doubts(SOUND, BenchPlan()) == ()


def test_a_delegate_that_took_a_part_is_a_doubt_with_default_kernels_only() -> None:
    partly = dataclasses.replace(SOUND, delegate=DelegateShare(16, 14, 2))
    assert find_doubts(partly, BenchPlan()) == (
        "the delegate took 14 of 16 ops, in 2 partitions; the rest runs on plain kernels",
    )
    assert find_doubts(partly, BenchPlan(kernels="reference")) == ()
    none = dataclasses.replace(SOUND, delegate=DelegateShare(16, 0, 0))
    assert find_doubts(none, BenchPlan())[0].startswith("the delegate took none of 16 ops; ")


def test_two_speeds_are_a_doubt() -> None:
    speeds, unknown = find_doubts(dataclasses.replace(SOUND, stats=summarise([100, 130] * 25)), BenchPlan())
    assert speeds.startswith("two speeds: ")
    assert unknown.startswith("the median is known to 13.0% only")  # of 10 blocks of five the medians are 100 or 130


def test_a_median_that_is_not_known_is_a_doubt_where_it_was_asked_for() -> None:
    wide = dataclasses.replace(SOUND, stats=summarise([100, 120, 90, 110, 95, 130]))
    spread, unknown = find_doubts(wide, BenchPlan())
    assert spread.startswith("spread too wide")
    assert unknown.startswith("the median is known to 19.0% only after 6 runs, 0.0 s (asked: 1.0%)")  # 90 to 130 by 105
    assert find_doubts(wide, BenchPlan(precision=0)) == (spread,)


def test_a_clock_that_fell_is_a_doubt() -> None:
    fast = Conditions("ondemand", 666667, 666667, 50.0, 0)
    hot = dataclasses.replace(SOUND, before=fast, after=dataclasses.replace(fast, clock_khz=333333))
    (found,) = find_doubts(hot, BenchPlan())
    assert found.startswith("throttled: the clock fell from 667 to 333 MHz at 50 C")


def test_rounds_run_all_rows_in_turn_and_keep_every_sample(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[tuple[str, int]] = []
    run = bench._run

    def noted(path: Path, threads: int, plan: BenchPlan) -> BenchResult:
        order.append((path.name, threads))
        return run(path, threads, plan)

    monkeypatch.setattr(bench, "_run", noted)
    plan = BenchPlan(runs=4, seconds=0, max_seconds=0, warmup=0, threads=(1, 2), rounds=3)
    results = bench_models([models / INT8], plan)
    assert order == [(INT8, threads) for threads in (1, 2, 2, 1, 1, 2)]
    assert [result.threads for result in results] == [1, 2]
    assert [result.stats and result.stats.processes for result in results] == [(4, 4, 4)] * 2


def test_a_model_that_fails_in_one_round_is_not_run_again(models: Path) -> None:
    (result,) = bench_models([models / REFUSED], dataclasses.replace(QUICK, rounds=3))
    assert str(result.failure).startswith("litert refuses it")


def test_a_pinned_model_stays_on_its_core(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = min(os.sched_getaffinity(0))
    monkeypatch.setattr(
        bench, "time_invokes", lambda *_: [1 + sum(os.sched_getaffinity(0)), len(os.sched_getaffinity(0))]
    )
    (result,) = bench_models([models / INT8], dataclasses.replace(QUICK, cpus=(core,)))
    assert result.stats is not None
    assert result.stats.samples_ns == (core + 1, 1)


def test_a_core_that_is_not_there_is_an_error(models: Path) -> None:
    with pytest.raises(RecipeError, match=r"--cpu 4095: no such core for this process; it may use \d"):
        bench_models([models / INT8], BenchPlan(cpus=(4095,)))


def test_the_cold_start_has_three_parts(models: Path) -> None:
    (result,) = bench_models([models / INT8], QUICK)
    assert min(result.import_ms or 0, result.load_ms or 0, result.first_inference_ms or 0) > 0
    assert result.before is not None
