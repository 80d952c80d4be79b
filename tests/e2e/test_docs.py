"""A new user's run: the commands of the documents as they are printed, in an empty folder with images."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import pytest
import yaml
from digits import MNIST
from documents import DOCUMENTS, REPOSITORY, Line, blocks, command_lines

pytestmark = pytest.mark.slow

CLASSES = ("zero", "one", "two", "three")  # digits of MNIST
EACH = 250  # images of a class
MOST_S = 180  # issue 8; on a quiet machine it is under half of that

# every line of a document that is not run, with the reason; a new one is a decision, and stands here
NOT_RUN = {
    'python -m pip install ".[host]"': "the environment of this test was made so",
    'python -m pip install ".[host]" && ghost-edge convert': ".ci/run does it, in a fresh environment",
    'python -m pip install ".[host,test]" && pytest -n 2 --dist loadfile': ".ci/run does it",
    "ghost-edge train widgets.toml": "80 epochs and more; the tutorial trains 10",
    "ghost-edge bench out/widgets --ssh root@board --images 50 --recipe widgets.toml": "tests/device/test_ssh.py",
    "ghost-edge bench out/widgets --ssh root@board --threads 1,2": "tests/device/test_ssh.py",
    "ghost-edge view out/widgets": "opens a browser and goes on until it is stopped",
    "ghost-edge weights import state_dict_73.98.pth --network ghostnet -o weights/ghostnet_100.safetensors": (
        "tests/numerics/test_checkpoints.py reads the authors' checkpoints"
    ),
    "ghost-edge weights import mine.pth.tar --network ghostnet --width 0.5 --drop-classifier"
    " -o weights/mine.safetensors": "tests/numerics/test_checkpoints.py",
    "ghost-edge fit --arena 256k --flash 512k -o recipes": "a minute; tests/e2e/test_fit.py",
    "ghost-edge compare --size 224": "minutes; tests/cli/test_compare.py",
    "ghost-edge inspect widgets.toml --measure --chart ghosts.svg": "tests/cli/test_inspect.py measures",
}
ONCE = {"ghost-edge init widgets": 2}  # exit code of the second time: the recipe is there
NOT_PRINTED = (  # lines of the tutorial's blocks that are no output: the folders, and what is typed on the board
    *("widgets/", "  one/     0001.png 0002.png ...", "  three/   ...", "  two/     ...", "  zero/    ..."),
    "tar xzf bundle.tar.gz && sh widgets-zynq7000/run.sh",
)
NUMBER = re.compile(r"[-+]?\d[\d,.]*[%x]?")
# the Chinese README has the commands of the English one
RUN = tuple(sorted({*DOCUMENTS} - {"README.zh-CN.md", "docs/tutorial.md", "docs/how-to/board.md"}))
# docs/how-to/board.md: its commands are run by tests/cli/test_bundle.py, tests/device/test_ssh.py and test_emulated.py


class Done(NamedTuple):
    """A command line that was run, and for how long."""

    line: Line
    code: int
    said: str
    seconds: float


def make_images(folder: Path) -> None:
    with np.load(MNIST) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in np.flatnonzero(labels == label)[:EACH]:
            PIL.Image.fromarray(images[number].squeeze()).save(folder / name / f"{number:04}.png")


def run(line: Line, folder: Path, **variables: str) -> Done:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **variables}
    command = ["bash", "-e", "-o", "pipefail", "-c", line.text]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    return Done(line, done.returncode, done.stdout + done.stderr, time.monotonic() - started)


class FirstHour(NamedTuple):
    """What the tutorial left, and what it said."""

    folder: Path
    done: list[Done]


@pytest.fixture(scope="module")
def first_hour(tmp_path_factory: pytest.TempPathFactory) -> FirstHour:
    folder = tmp_path_factory.mktemp("first_hour")
    make_images(folder / "widgets")
    done = [run(line, folder) for line in command_lines("docs/tutorial.md") if line.text not in NOT_RUN]
    return FirstHour(folder, done)


def test_the_tutorial_ends_as_it_says(first_hour: FirstHour) -> None:
    wrong = [
        f"{done.line.text}: {done.code}\n{done.said}" for done in first_hour.done if done.code != done.line.exit_code
    ]
    assert "\n".join(wrong) == ""


def test_the_tutorial_goes_from_images_to_a_report(first_hour: FirstHour) -> None:
    commands = [done.line.text.split()[1] for done in first_hour.done]
    assert [name for name in ("init", "train", "convert", "gate", "bench", "report") if name not in commands] == []
    assert "<html" in (first_hour.folder / "out" / "widgets" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "file",
    [
        *("widgets.toml", "weights/widgets.safetensors", "out/widgets/widgets_int8.tflite"),
        *("out/widgets/widgets_int8.onnx", "baseline.json", "out/few/report.html", "compare.html"),
        *("here.json", "bundle.tar.gz", "kit/main.cc"),
    ],
)
def test_the_tutorial_leaves_what_it_names(first_hour: FirstHour, file: str) -> None:
    assert (first_hour.folder / file).is_file()


def test_the_tutorial_says_no_for_the_reason_that_it_tells(first_hour: FirstHour) -> None:
    (refused,) = [done for done in first_hour.done if done.line.exit_code == 7]
    assert "SQNR fell from" in refused.said
    assert "too few" not in refused.said
    assert "changed: recipe calibration.samples: 100 -> 4" in refused.said


def test_from_a_folder_of_images_to_a_report_takes_less_than_three_minutes(first_hour: FirstHour) -> None:
    seconds: dict[str, float] = {}
    for done in first_hour.done:
        seconds.setdefault(done.line.text.split()[1], done.seconds)
    assert sum(seconds[name] for name in ("init", "train", "convert", "bench", "gate")) < MOST_S


def test_the_tutorial_shows_what_is_printed(first_hour: FirstHour) -> None:
    said = [line.split() for done in first_hour.done for line in done.said.splitlines()]
    shown = [line for block in blocks("docs/tutorial.md", "") for line in block.splitlines()]
    told = [line for line in shown if line not in NOT_PRINTED]
    assert [line for line in told if not any(looks_like(line.split(), each) for each in said)] == []


def looks_like(shown: list[str], said: list[str]) -> bool:
    """Word for word the same, but for numbers, which are those of one machine."""
    return len(shown) == len(said) and all(
        one == other or (NUMBER.fullmatch(one) and NUMBER.fullmatch(other)) for one, other in zip(shown, said)
    )


def test_another_word_is_not_what_is_printed() -> None:
    assert looks_like(["gate", "1.5%", "passed"], ["gate", "20%", "passed"])
    assert not looks_like(["gate", "1.5%", "passed"], ["gate", "1.5%", "NO"])


def others() -> list[Line]:
    lines = [line for document in RUN for line in command_lines(document)]
    return [line for line in dict.fromkeys(lines) if line.text not in NOT_RUN]


@pytest.mark.parametrize("line", others(), ids=lambda line: line.text)
def test_a_command_of_another_document_runs(first_hour: FirstHour, line: Line) -> None:
    if "someones_int8.tflite" in line.text:
        shutil.copy(
            first_hour.folder / "out" / "widgets" / "widgets_int8.tflite", first_hour.folder / "someones_int8.tflite"
        )
    done = run(line, first_hour.folder)
    assert done.code == ONCE.get(line.text, line.exit_code), done.said


def test_no_line_is_left_out_that_no_document_has() -> None:
    lines = {line.text for document in (*RUN, "docs/tutorial.md") for line in command_lines(document)}
    assert set(NOT_RUN) <= lines


@pytest.mark.parametrize(
    ("recipe", "given", "code", "summary"),
    [
        ("widgets.toml", {"baseline": "baseline.json"}, 0, "PASS"),
        ("few.toml", {"baseline": "baseline.json"}, 7, "FAIL"),
        ("widgets.toml", {"max-drop": "0.001"}, 7, "FAIL"),
        ("absent.toml", {}, 2, ""),
    ],
)
def test_the_action_judges(
    first_hour: FirstHour, tmp_path: Path, recipe: str, given: dict[str, str], code: int, summary: str
) -> None:
    action = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
    values = {name: put.get("default", "") for name, put in action["inputs"].items()}
    out = f"out/{Path(recipe).stem}"  # of the tutorial: up to date
    values |= {"recipe": recipe, "out": out, "junit": str(tmp_path / "gate.xml"), **given}
    step = action["runs"]["steps"][-1]
    variables = {
        key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: values[found[1]], text)
        for key, text in step["env"].items()
    }
    (tmp_path / "summary.md").write_text("")
    done = run(
        Line(step["run"], code),
        first_hour.folder,
        **variables,
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"),
        GITHUB_ACTIONS="true",
    )
    assert done.code == code, done.said
    assert summary in (tmp_path / "summary.md").read_text().split("\n", 1)[0]
    assert (tmp_path / "gate.xml").is_file() == bool(summary)
    assert ("::error title=" in done.said) == (summary == "FAIL")
