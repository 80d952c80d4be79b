"""The bench on real models; speeds are never asserted."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, DeviceError, RecipeError
from ghost_edge.core.stats import summarise
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device import bench
from ghost_edge.device.bench import BenchPlan, bench_models, find_models, judge, random_input
from ghost_edge.device.bench_results import BenchResult
from ghost_edge.device.board import Conditions
from ghost_edge.device.model import DelegateShare

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
ROOT = Path(__file__).resolve().parents[2]
INT8 = "mlperf_tiny_kws_dscnn_int8.tflite"
REFUSED = "tflm_person_detect_int8.tflite"
QUICK = BenchPlan(runs=7, seconds=0, max_seconds=0, warmup=1)
QUICKLY = ("--seconds", "0", "--max-seconds", "0", "--runs", "3")
SOUND = BenchResult(Path("x.tflite"), "", 1, 1, stats=summarise([100] * 50), delegate=DelegateShare(9, 9, 1))
NO_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "onnx", "PIL"):
    sys.modules[name] = None
from ghost_edge.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def models(data_folder: Path) -> Path:
    return data_folder / "models"


def run_bench(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NO_TENSORFLOW, "bench", *QUICKLY, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


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
        ({"max_seconds": float("nan")}, "with max_seconds nan"),
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
    assert judge(SOUND, BenchPlan()) == ()


def test_a_delegate_that_took_a_part_is_a_doubt_with_default_kernels_only() -> None:
    partly = dataclasses.replace(SOUND, delegate=DelegateShare(16, 14, 2))
    assert judge(partly, BenchPlan()) == (
        "the delegate took 14 of 16 ops, in 2 partitions; the rest runs on plain kernels",
    )
    assert judge(partly, BenchPlan(kernels="reference")) == ()
    none = dataclasses.replace(SOUND, delegate=DelegateShare(16, 0, 0))
    assert judge(none, BenchPlan())[0].startswith("the delegate took none of 16 ops; ")


def test_two_speeds_are_a_doubt() -> None:
    speeds, unknown = judge(dataclasses.replace(SOUND, stats=summarise([100, 130] * 25)), BenchPlan())
    assert speeds.startswith("two speeds: ")
    assert unknown.startswith("the median is known to 13.0% only")  # of 10 blocks of five the medians are 100 or 130


def test_a_median_that_is_not_known_is_a_doubt_where_it_was_asked_for() -> None:
    wide = dataclasses.replace(SOUND, stats=summarise([100, 120, 90, 110, 95, 130]))
    spread, unknown = judge(wide, BenchPlan())
    assert spread.startswith("spread too wide")
    assert unknown.startswith("the median is known to 19.0% only after 6 runs, 0.0 s (asked: 1.0%)")  # 90 to 130 by 105
    assert judge(wide, BenchPlan(precision=0)) == (spread,)


def test_a_clock_that_fell_is_a_doubt() -> None:
    fast = Conditions("ondemand", 666667, 666667, 50.0, 0)
    hot = dataclasses.replace(SOUND, before=fast, after=dataclasses.replace(fast, clock_khz=333333))
    (found,) = judge(hot, BenchPlan())
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


def test_the_command_compares_with_an_older_bench_and_fails_above_a_ratio(models: Path, tmp_path: Path) -> None:
    old, table = tmp_path / "old.json", tmp_path / "table.md"
    assert run_bench(models / INT8, "--json", old, "--markdown", table).returncode == 0
    assert table.read_text().startswith("| model | threads |")
    same = run_bench(models / INT8, "--compare", old, "--fail-above", "1000")
    assert same.returncode == 0, same.stderr
    assert "ratio" in same.stdout
    document = json.loads(old.read_text())
    fast = document["results"][0]["stats"]
    fast["samples_ns"] = [max(1, sample // 100) for sample in fast["samples_ns"]]
    old.write_text(json.dumps(document))
    new = tmp_path / "new.json"
    slow = run_bench(models / INT8, "--compare", old, "--fail-above", "1.05", "--json", new, "--kernels", "reference")
    assert slow.returncode == 7
    assert slow.stderr.startswith("ghost-edge: 1 of 1 models are slower: " + INT8)
    assert "not alike: --kernels was default, is reference" in slow.stdout
    assert new.exists()


def test_a_bench_is_written_though_nothing_can_be_compared(models: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    assert run_bench(models / INT8, "--json", old).returncode == 0
    done = run_bench(models / INT8, "--threads", "2", "--compare", old, "--json", new)
    assert (done.returncode, new.exists()) == (4, True)
    assert "no model was measured both times" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--fail-above", "1.05"], 2, "--fail-above needs --compare OLD.json"),
        (["--json", "a", "--csv", "a"], 2, "--json, --csv and --markdown need a file each"),
        (["--compare", "gone.json"], 4, "gone.json cannot be read"),
        (["--threads", "1,x"], 2, "'1,x' is not a whole number or several with commas between them"),
        (["--cpu", "4095"], 2, "--cpu 4095: no such core"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(models: Path, options: list[str], code: int, said: str) -> None:
    done = run_bench(models / INT8, *options)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_command_needs_no_tensorflow_and_its_json_is_all_of_stdout(models: Path) -> None:
    done = run_bench(models / INT8, "--json", "-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["format"] == 2
    assert len(document["results"][0]["stats"]["samples_ns"]) == 3
    assert document["board"]["kernel"] == os.uname().release
    assert "XNNPACK" not in done.stderr


def test_the_command_gives_a_row_a_model_and_exit_8_for_the_one_that_is_refused(models: Path, tmp_path: Path) -> None:
    names = (INT8, REFUSED, "README.md")
    done = run_bench(*(models / name for name in names), "--csv", tmp_path / "bench.csv")
    assert done.returncode == 8
    assert done.stderr.startswith(f"ghost-edge: 1 of 2 models failed: {REFUSED}: litert refuses it")
    rows = [line.split()[0] for line in done.stdout.splitlines() if line.split()[0].endswith(".tflite")]
    assert rows == [INT8, REFUSED]
    assert len((tmp_path / "bench.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(("content", "code"), [(b"", 4), (b"not a model", 4)])
def test_the_command_tells_a_damaged_file_by_its_exit_code(tmp_path: Path, content: bytes, code: int) -> None:
    (tmp_path / "bad.tflite").write_bytes(content)
    done = run_bench(tmp_path / "bad.tflite")
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1


def test_the_command_benches_a_folder_of_artifacts(models: Path, tmp_path: Path) -> None:
    shutil.copy(models / INT8, tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert run_bench(tmp_path).returncode == 0


def test_nothing_heavy_is_imported_before_the_first_model() -> None:
    program = "import sys, ghost_edge.cli.bench; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "onnx", "onnxruntime", "PIL", "ai_edge_litert", "tflite_runtime", "rich"}
    assert heavy.isdisjoint(done.stdout.split())


def test_stopping_the_command_leaves_no_child(models: Path) -> None:
    command = [sys.executable, "-m", "ghost_edge", "bench", str(models / INT8), "--seconds", "60"]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    deadline = time.monotonic() + 20
    while not (found := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(2)
    assert "stopped" in parent.communicate(timeout=20)[1]
    assert parent.returncode == 130
    assert found
    assert not Path(f"/proc/{found[0]}").exists()


def test_a_model_without_an_interpreter_is_left_out_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.onnx").touch()
    (tmp_path / "b.tflite").touch()
    monkeypatch.setattr(bench, "is_runnable", lambda path: path.suffix == ".tflite")
    assert bench.left_out([tmp_path]) == [tmp_path / "a.onnx"]
    assert bench.find_models([tmp_path]) == [tmp_path / "b.tflite"]


def test_a_model_that_is_asked_for_by_name_is_never_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").touch()
    monkeypatch.setattr(bench, "is_runnable", lambda path: False)
    assert bench.find_models([tmp_path / "a.onnx"]) == [tmp_path / "a.onnx"]
