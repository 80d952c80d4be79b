"""The comparison from the command line: two networks of which one cannot be, and every mistake."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ghost_edge.cli.main import main

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def run(folder: Path, ghost_edge: Command) -> subprocess.CompletedProcess[str]:
    names = ("--networks", "shufflenet_v2_100", "ghostnet_v2_100")
    files = ("--json", folder / "c.json", "--markdown", folder / "c.md", "--keep", folder / "kept")
    return ghost_edge("compare", "--size", 32, *names, "--rounds", 2, *files)


@pytest.mark.slow
def test_the_table_has_a_row_for_each_and_tells_which_failed(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
    _, titles, shuffle, ghost, note, *_ = run.stdout.splitlines()
    assert re.split("  +", titles)[-2:] == ["source", "result"]
    assert re.fullmatch(r"shufflenet_v2_100 +4\.0 +2\.\d\d +2,\d{3},\d{3} +\d+\.\d+ +\d+\.\d+ +- +- +ok", shuffle)
    assert re.match(r"ghostnet_v2_100( +-){7} +failed: \[network\] .* raise input_size", ghost)
    assert note == "top-1 is left out: it was published for 224 x 224 pixels"


@pytest.mark.slow
def test_progress_is_told_by_network_on_stderr(run: subprocess.CompletedProcess[str]) -> None:
    told = [line.split()[0] for line in run.stderr.splitlines()]
    assert told == ["shufflenet_v2_100", "ghostnet_v2_100", "timing"]


@pytest.mark.slow
def test_json_keeps_every_sample(run: subprocess.CompletedProcess[str], folder: Path) -> None:
    document = json.loads((folder / "c.json").read_text())
    made, failed = document["results"]
    assert [len(made["samples_ns"][kind]) for kind in ("float", "int8")] == [10, 10]  # 2 rounds of 5 runs
    assert failed["samples_ns"] == {}
    assert document["size"] == 32


@pytest.mark.slow
def test_markdown_holds_the_table_and_the_notes(run: subprocess.CompletedProcess[str], folder: Path) -> None:
    lines = (folder / "c.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in lines[:4]] == [
        "| network",
        "| ---",
        "| shufflenet_v2_100",
        "| ghostnet_v2_100",
    ]
    assert "* top-1 is left out: it was published for 224 x 224 pixels" in lines


@pytest.mark.slow
def test_converted_files_are_kept_where_asked(run: subprocess.CompletedProcess[str], folder: Path) -> None:
    kept = sorted(path.name for path in (folder / "kept" / "shufflenet_v2_100_32").glob("[!.]*.tflite"))
    assert kept == ["shufflenet_v2_100_float.tflite", "shufflenet_v2_100_int8.tflite"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--networks", "mobilenet_v4"], r"network 'mobilenet_v4' is not known; did you mean 'mobilenet_v"),
        (["--networks", "ghostnet_100", "resnet"], "network 'resnet' is not known"),
        (["--size", "31"], "'--size': 31 is not in the range 32<=x<=1024"),
        (["--rounds", "0"], "'--rounds': 0 is not in the range x>=1"),
        (["--threads", "0"], "'--threads': 0 is not in the range 1<=x<=256"),
        (["--keep", __file__], "'--keep': Directory '.*' is a file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compare", *arguments])
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(said, line)
