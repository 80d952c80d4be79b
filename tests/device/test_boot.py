"""A bundle on whole Zynq machines, booted without a network and with nothing but Debian's Python and numpy."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulator import SHORT, Run, run_script

pytestmark = pytest.mark.board

MACHINES = {  # what the kernel says of it, its cores' name, the models that run there
    "zynqmp": ("ZynqMP ZCU102", "Cortex-A53", ["ghostnet_mnist_float.tflite", "ghostnet_mnist_int8.tflite"]),
    "zynq7000": ("Xilinx ZC702", "Cortex-A9", ["ghostnet_mnist_int8.tflite"]),
}
IMAGES = 20


@dataclasses.dataclass(frozen=True)
class Booted:
    """A machine that ran a bundle: which one, and its results.json."""

    target: str
    results: dict[str, Any]


def make_bundle(target: str, converted: Path, ghost_edge: Run, folder: Path) -> Path:
    path = folder / f"{target}.tar.gz"
    run = ghost_edge("bundle", converted, "--target", target, "--images", IMAGES, "-o", path)
    assert run.returncode == 0, run.stderr
    return path


@pytest.fixture(scope="module", params=MACHINES)
def booted(
    request: pytest.FixtureRequest, converted: Path, ghost_edge: Run, tmp_path_factory: pytest.TempPathFactory
) -> Booted:
    target, folder = str(request.param), tmp_path_factory.mktemp("booted")
    bundle = make_bundle(target, converted, ghost_edge, folder)
    run = run_script("boot.sh", target, bundle, folder / "results.json", *SHORT)
    assert run.returncode == 0, run.stderr
    return Booted(target, json.loads((folder / "results.json").read_text()))


def test_the_machine_is_the_board(booted: Booted) -> None:
    board = booted.results["bench"]["board"]
    model, cpu, _ = MACHINES[booted.target]
    assert board["model"].startswith(model)
    assert board["cpu"] == cpu


def test_every_model_of_the_bundle_has_a_row(booted: Booted) -> None:
    rows = booted.results["bench"]["results"]
    assert [(Path(row["path"]).name, row["failure"]) for row in rows] == [
        (name, None) for name in MACHINES[booted.target][2]
    ]
    assert all(row["stats"]["median_ms"] > 0 for row in rows)
    assert booted.results["exit_codes"] == {"bench": 0, "evaluate": 0}


def test_the_answers_are_the_workstations_byte_for_byte(booted: Booted) -> None:
    rows = {row["file"]: row for row in booted.results["evaluation"]["results"]}
    int8 = rows["ghostnet_mnist_int8.tflite"]
    assert (int8["images"], int8["equal_outputs"]) == (IMAGES, 1.0)
    assert int8["top1"] >= 0.9  # 98.75 % on 1,600 (README.md)


def test_a_damaged_bundle_is_refused_by_the_machine(converted: Path, ghost_edge: Run, tmp_path: Path) -> None:
    whole = make_bundle("zynq7000", converted, ghost_edge, tmp_path)
    with tarfile.open(whole) as read, tarfile.open(tmp_path / "damaged.tar.gz", "w:gz", compresslevel=1) as written:
        for entry in read:
            file = read.extractfile(entry)
            content = bytearray(file.read() if file else b"")
            if entry.name.endswith("int8.tflite"):
                content[len(content) // 2] ^= 1
            written.addfile(entry, io.BytesIO(content))
    run = run_script("boot.sh", "zynq7000", tmp_path / "damaged.tar.gz", tmp_path / "results.json")
    assert run.returncode == 4
    assert "run.sh: damaged: ghostnet_mnist_int8.tflite" in run.stderr
    assert not (tmp_path / "results.json").exists()


def write_bundle(folder: Path, run_sh: str, content: bytes = b"") -> Path:
    """A bundle with another run.sh, to try the way there and back."""
    top, path = folder / "any-zynq7000", folder / "bundle.tar.gz"
    top.mkdir()
    (top / "run.sh").write_text(run_sh)
    (top / "content").write_bytes(content)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(top, top.name)
    return path


def test_results_come_back_whole_with_the_exit_code_and_options_arrive_as_they_are(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(1_000_000)  # 18,000 lines of console
    bundle = write_bundle(tmp_path, "cp content results.json\nprintf '%s|' \"$@\" >>results.json\nexit 7\n", content)
    options = ("--one", "two words", "$(three) * \\n")
    run = run_script("boot.sh", "zynq7000", bundle, tmp_path / "results.json", *options)
    assert run.returncode == 7, run.stderr
    assert (tmp_path / "results.json").read_bytes() == content + "".join(f"{each}|" for each in options).encode()


def test_results_that_the_console_changed_are_not_taken(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, "echo '@ AAAA'\necho {} >results.json\n")
    run = run_script("boot.sh", "zynq7000", bundle, tmp_path / "results.json")
    assert run.returncode == 125
    assert "the console lost a part of results.json" in run.stderr
    assert not (tmp_path / "results.json").exists()


def test_a_machine_that_does_not_answer_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(b"")
    arguments = ("zynq7000", tmp_path / "bundle.tar.gz", tmp_path / "results.json")
    run = run_script("boot.sh", *arguments, BOOT_TIMEOUT_S="1")
    assert run.returncode == 125
    assert "still running after 1 s" in run.stderr
