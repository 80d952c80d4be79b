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
from ghost_edge.device.bench import BenchPlan, BenchResult, bench_models, find_models, judge, random_input
from ghost_edge.device.runtime import DelegateShare

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
ROOT = Path(__file__).resolve().parents[2]
INT8 = "mlperf_tiny_kws_dscnn_int8.tflite"
REFUSED = "tflm_person_detect_int8.tflite"
QUICK = BenchPlan(runs=7, seconds=0, warmup=1)
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
    command = [sys.executable, "-c", NO_TENSORFLOW, "bench", "--seconds", "0", "--runs", "3", *map(str, arguments)]
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
    (result,) = bench_models([models / INT8], BenchPlan(runs=1, seconds=0.2))
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
    for name in ("b.tflite", "a.onnx", "README.md", "manifest.json"):
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


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"threads": 0}, {"seconds": -1.0}, {"warmup": -1}, {"timeout_s": 0.0}])
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="runs must be 1 or more, threads 1 to 256"):
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


def test_a_wide_spread_is_a_doubt() -> None:
    wide = dataclasses.replace(SOUND, stats=summarise([100, 130] * 25))
    assert judge(wide, BenchPlan())[0].startswith("spread too wide")


def test_the_command_needs_no_tensorflow_and_its_json_is_all_of_stdout(models: Path) -> None:
    done = run_bench(models / INT8, "--json", "-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["format"] == 1
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
