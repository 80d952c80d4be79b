"""The command `ghost-edge bench`: its options, its files, its exit codes; speeds are never asserted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.device.runtimes import open as open_module

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
ROOT = Path(__file__).resolve().parents[2]
INT8 = "mlperf_tiny_kws_dscnn_int8.tflite"
REFUSED = "tflm_person_detect_int8.tflite"
QUICKLY = ("--seconds", "0", "--max-seconds", "0", "--runs", "3")
NO_TENSORFLOW = """
import sys
for name in ("tensorflow", "keras", "onnx", "PIL"):
    sys.modules[name] = None
from ghost_edge.cli.main import main
main(sys.argv[1:])
"""


def run_bench(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NO_TENSORFLOW, "bench", *QUICKLY, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


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
        (["--compare", "gone.json"], 4, "gone.json does not exist"),
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
    monkeypatch.setattr(open_module, "is_runnable", lambda path: path.suffix == ".tflite")
    assert open_module.left_out([tmp_path]) == [tmp_path / "a.onnx"]
    assert open_module.find_models([tmp_path]) == [tmp_path / "b.tflite"]


def test_a_model_that_is_asked_for_by_name_is_never_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").touch()
    monkeypatch.setattr(open_module, "is_runnable", lambda path: False)
    assert open_module.find_models([tmp_path / "a.onnx"]) == [tmp_path / "a.onnx"]
