"""`ghost-edge bundle`, and `sh run.sh` on this machine as the board."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FAST = ("--runs", "3", "--seconds", "0.01")
# what run.sh uses before it installs; a board that lacks python3 has these
TOOLS = ("sh", "sha256sum", "grep", "head", "dirname", "rm", "uname", "ls")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python() -> str:
    """The version of the python3 that run.sh will find."""
    command = ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, ghost_edge: Command, converted: Path, python: str) -> Path:
    """A bundle of the embedded model for this machine, with 20 images."""
    path = tmp_path_factory.mktemp("bundle") / "b.tar.gz"
    run = bundle(ghost_edge, converted, path, "generic-x86_64", "--python", python, "--images", 20)
    assert run.stdout.splitlines()[-2:] == ["  tar xzf b.tar.gz", "  sh ghostnet_mnist-generic-x86_64/run.sh"]
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, packed: Path) -> Path:
    """The bundle after it has run once."""
    folder = unpack(packed, tmp_path_factory.mktemp("installed"))
    run = run_sh(folder, *FAST)
    assert (run.returncode, run.stderr) == (0, "run.sh: installing\n")
    return folder


def bundle(ghost_edge: Command, source: Path, path: Path, target: str, *options: object) -> subprocess.CompletedProcess:
    run = ghost_edge("bundle", source, "--target", target, "-o", path, *options)
    assert run.returncode == 0, run.stderr
    return run


def unpack(packed: Path, folder: Path) -> Path:
    subprocess.run(["tar", "xzf", packed, "-C", folder], check=True)
    (top,) = folder.iterdir()
    return top


def run_sh(folder: Path, *arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    # from another folder, and with settings of pip that would lead to a network or refuse the pins
    environment = {"PATH": path, "PIP_CONSTRAINT": "/none", "PIP_INDEX_URL": "http://127.0.0.1:1"}
    command = [shutil.which("sh") or "sh", str(folder / "run.sh"), *arguments]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def board(folder: Path, **programs: str) -> str:
    """A PATH on which these programs are scripts, and nothing is but TOOLS."""
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, script in programs.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_run_sh_benches_and_evaluates(installed: Path) -> None:
    found = results(installed)
    assert (found["format"], found["exit_codes"]) == (1, {"bench": 0, "evaluate": 0})
    names = ["ghostnet_mnist_float.tflite", "ghostnet_mnist_int8.tflite"]
    assert [row["path"] for row in found["bench"]["results"]] == names
    assert found["bench"]["plan"]["runs"] == 3
    rows = {row["file"]: row for row in found["evaluation"]["results"]}
    assert [rows[name]["images"] for name in names] == [20, 20]


def test_the_int8_outputs_are_those_of_the_workstation(installed: Path) -> None:
    rows = {row["file"]: row["equal_outputs"] for row in results(installed)["evaluation"]["results"]}
    assert rows == {"ghostnet_mnist_float.tflite": None, "ghostnet_mnist_int8.tflite": 1.0}


def test_a_second_run_does_not_install_again(installed: Path) -> None:
    run = run_sh(installed, *FAST)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_model_that_fails_gives_its_exit_code_and_the_rest_is_in_the_results(installed: Path) -> None:
    assert run_sh(installed, "--timeout", "0.001").returncode == 8
    found = results(installed)
    assert found["exit_codes"] == {"bench": 8, "evaluate": 0}
    assert len(found["evaluation"]["results"]) == 2


def test_a_bench_that_does_not_start_leaves_null(installed: Path) -> None:
    assert run_sh(installed, "--no-such-option").returncode == 2
    assert results(installed)["bench"] is None


def test_the_same_call_gives_the_same_bytes(
    tmp_path: Path, ghost_edge: Command, converted: Path, packed: Path, python: str
) -> None:
    again = tmp_path / "other-name.tar.gz"
    bundle(ghost_edge, converted, again, "generic-x86_64", "--python", python, "--images", 20)
    assert again.read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("file", ["ghostnet_mnist_int8.tflite", "run.sh", "images.npz", "wheels/click"])
def test_one_flipped_byte_is_seen_before_anything_is_installed(tmp_path: Path, packed: Path, file: str) -> None:
    folder = unpack(packed, tmp_path)
    (path,) = folder.glob(f"{file}*")
    content = bytearray(path.read_bytes())
    content[-10] ^= 1  # in run.sh: inside the last line, a comparison
    path.write_bytes(content)
    run = run_sh(folder)
    damaged = f"run.sh: damaged: {path.relative_to(folder)}: FAILED; copy the bundle again\n"
    assert (run.returncode, run.stdout, run.stderr) == (4, "", damaged)
    assert not (folder / "venv").exists()


def test_a_missing_file_is_seen(tmp_path: Path, packed: Path) -> None:
    folder = unpack(packed, tmp_path)
    (folder / "manifest.json").unlink()
    run = run_sh(folder)
    assert (run.returncode, len(run.stderr.splitlines())) == (4, 1)
    assert "manifest.json" in run.stderr


@pytest.mark.parametrize(
    ("programs", "code", "said"),
    [
        ({"uname": "echo armv7l"}, 8, "this board is armv7l, the bundle is for x86_64; bundle again with another"),
        ({}, 5, "this board has no python3; install it"),
        ({"python3": "echo 3.8"}, 5, "this board has Python 3.8, the bundle is for 3"),
        ({"python3": '[ "$2" != venv ] && echo VERSION'}, 5, "python3 lacks its module venv; install it"),
    ],
)
def test_a_board_that_does_not_fit_is_told_so(
    tmp_path: Path, packed: Path, python: str, programs: dict[str, str], code: int, said: str
) -> None:
    folder = unpack(packed, tmp_path)
    scripts = {name: script.replace("VERSION", python) for name, script in programs.items()}
    run = run_sh(folder, path=board(tmp_path / "bin", **scripts))
    assert (run.returncode, said in run.stderr.splitlines()[-1]) == (code, True), run.stderr
    assert not (folder / "venv").exists()


def test_wheels_that_do_not_install_are_tried_again_the_next_time(tmp_path: Path, packed: Path) -> None:
    folder = unpack(packed, tmp_path)
    (click,) = (folder / "wheels").glob("click-*")
    shutil.move(click, tmp_path)
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if "wheels/click" not in line))
    run = run_sh(folder)
    assert (run.returncode, "No matching distribution found for click==8.1.8" in run.stderr) == (5, True)
    assert run.stderr.splitlines()[-1] == "run.sh: the wheels do not install here, see above"
    shutil.move(tmp_path / click.name, click)
    assert run_sh(folder, *FAST).returncode == 0


def test_a_zynq7000_bundle_has_no_numpy_and_asks_the_board_for_it(
    tmp_path: Path, ghost_edge: Command, converted: Path
) -> None:
    run = bundle(ghost_edge, converted, tmp_path / "z.tar.gz", "zynq7000", "--python", "3.9", "--python", "3.11")
    float_model = "left out: ghostnet_mnist_float.tflite: this interpreter's float kernels need VFPv4"
    assert run.stdout.startswith(float_model)
    assert "left out: ghostnet_mnist_float.onnx: the bundle's interpreter runs .tflite files" in run.stdout
    (tmp_path / "z").mkdir()
    folder = unpack(tmp_path / "z.tar.gz", tmp_path / "z")
    wheels = {path.name.partition("-")[0] for path in (folder / "wheels").iterdir()}
    assert wheels == {"click", "ghost_edge", "pip", "tflite_runtime"}
    assert [path.name for path in folder.glob("*.tflite")] == ["ghostnet_mnist_int8.tflite"]
    python3 = "case $2 in *numpy*) exit 1 ;; esac; echo 3.9"
    run = run_sh(folder, path=board(tmp_path / "bin", uname="echo armv7l", python3=python3))
    said = "run.sh: this board has no numpy, and none is published for it; install it"
    assert (run.returncode, run.stderr.startswith(said)) == (5, True)


def test_a_bundle_says_nothing_of_when_and_by_whom_it_was_made(packed: Path) -> None:
    with tarfile.open(packed) as archive:
        entries = archive.getmembers()
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(1, 0, 0, "", "")}
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert packed.read_bytes()[3:8] == bytes(5)  # gzip: no name, no time (RFC 1952)


def test_a_version_without_wheels_is_one_line(tmp_path: Path, ghost_edge: Command, converted: Path) -> None:
    run = ghost_edge("bundle", converted, "--target", "zynq7000", "--python", "3.12", "-o", tmp_path / "b.tar.gz")
    said = "ghost-edge: there are no wheels for Python 3.12 on armv7l; --python takes 3.9, 3.10, 3.11\n"
    assert (run.returncode, run.stderr) == (2, said)
    assert list(tmp_path.iterdir()) == []
