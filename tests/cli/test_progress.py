"""What a command shows while it works, and what of the tools' chatter it does not show."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from ghost_edge.cli.progress import TerminalProgress, open_progress
from ghost_edge.core.errors import GhostEdgeError


def test_chatter_on_stderr_lands_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_progress(tmp_path / "new" / "tools.log"):
        os.write(2, b"a C++ library says hello\n")  # past sys.stderr, as TensorFlow does
    assert (tmp_path / "new" / "tools.log").read_text() == "a C++ library says hello\n"
    assert capfd.readouterr().err == ""


def test_stages_are_said_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_progress(tmp_path / "tools.log") as progress:
        progress.started("build")
        progress.finished("build", 1.25)
        progress.finished("float", None)
    assert capfd.readouterr().err == "build      1.2 s\nfloat      up to date\n"


def test_stderr_comes_back_after_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError, match="division by zero"), open_progress(tmp_path / "tools.log"):
        1 / 0  # noqa: B018
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_a_log_is_added_to(tmp_path: Path) -> None:
    for word in (b"one\n", b"two\n"):
        with open_progress(tmp_path / "tools.log"):
            os.write(2, word)
    assert (tmp_path / "tools.log").read_text() == "one\ntwo\n"


def test_a_log_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with (
        pytest.raises(GhostEdgeError, match=r"out/tools\.log cannot be written \(.*\); choose another --out"),
        open_progress(tmp_path / "out" / "tools.log"),
    ):
        pass


def test_a_long_stage_is_not_told_for_every_image() -> None:
    terminal = io.StringIO()
    progress = TerminalProgress(terminal)
    progress.started("evaluate")
    for done in range(1000):
        progress.progress("evaluate", done / 1000, "an image")
    assert terminal.getvalue() == ""  # a line comes after ten seconds at the earliest
