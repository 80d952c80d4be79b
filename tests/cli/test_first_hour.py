"""The first hour with ghost-edge, seen from the shell: completion, --version, recipes, init, doctor --env."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ghost_edge.cli.main import LazyGroup, main

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def complete(words: str) -> list[str]:
    """What bash is told about the last word."""
    variables = {"_GHOST_EDGE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-m", "ghost_edge"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    assert run.stderr == ""
    return run.stdout.split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ghost-edge ben", ["plain,bench"]),
        ("ghost-edge --verb", ["plain,--verbose"]),
        ("ghost-edge bench --ker", ["plain,--kernels"]),
        ("ghost-edge bench --kernels re", ["plain,reference"]),
        ("ghost-edge weights im", ["plain,import"]),
        ("ghost-edge convert mod", ["file,mod"]),
        ("ghost-edge nonsense --x", []),
    ],
)
def test_the_shell_completes(words: str, told: list[str]) -> None:
    assert complete(words) == told


def test_the_script_for_bash_completes_in_bash(tmp_path: Path, ghost_edge: Command) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    (tmp_path / "script").write_text(ghost_edge("completion", "bash").stdout)
    program = tmp_path / "ghost-edge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ghost_edge "$@"\n')
    program.chmod(0o755)
    asked = f"source {tmp_path}/script; COMP_WORDS=(ghost-edge conv); COMP_CWORD=1; _ghost_edge_completion {program}"
    run = subprocess.run([bash, "-c", f'{asked}; echo "${{COMPREPLY[*]}}"'], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("convert\n", "")


@pytest.mark.parametrize(("shell", "said"), [("zsh", "#compdef ghost-edge"), ("fish", "complete --no-files --command")])
def test_other_shells_get_their_script(ghost_edge: Command, shell: str, said: str) -> None:
    assert said in ghost_edge("completion", shell).stdout


@pytest.mark.parametrize("order", [("--version", "--verbose"), ("-v", "-V")])
def test_the_version_with_verbose_says_what_is_installed(ghost_edge: Command, order: tuple[str, str]) -> None:
    said = ghost_edge(*order).stdout
    assert re.search(r"(?ms)^ghost-edge, version .*^Python: 3.*^numpy: \d.*^interpreters: ", said)


def test_the_version_alone_is_one_line(ghost_edge: Command) -> None:
    assert re.fullmatch(r"ghost-edge, version \S+\n", ghost_edge("--version").stdout)


def test_recipes_lists_the_default_with_its_accuracy(ghost_edge: Command) -> None:
    assert re.search(r"ghostnet_mnist +ghostnet 1x +28 +10 +98\.75% +mnist\.npz +yes", ghost_edge("recipes").stdout)


def test_a_broken_npz_is_one_line(ghost_edge: Command, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"")
    run = ghost_edge("init", tmp_path / "a.npz", "-o", tmp_path / "a.toml")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (3, "", 1)


def test_init_says_what_comes_next(ghost_edge: Command, repository: Path, tmp_path: Path) -> None:
    source, recipe = repository / "calibration" / "mnist" / "mnist.npz", tmp_path / "mine.toml"
    run = ghost_edge("init", source, "-o", recipe)
    assert f"next:\n  ghost-edge train {recipe}\n  ghost-edge convert {recipe}\n" in run.stdout


@pytest.mark.slow
def test_what_is_installed_here_is_sound(ghost_edge: Command) -> None:
    run = ghost_edge("doctor", "--env")
    assert run.returncode == 0, run.stdout
    assert re.search(r"convert, train +tensorflow +2\.21\S* +\S+ +ok", run.stdout)


@pytest.mark.parametrize("also", ["mine.toml", "--out=there", "--data=there"])
def test_the_installation_has_no_recipe(ghost_edge: Command, also: str) -> None:
    run = ghost_edge("doctor", "--env", also)
    assert (run.returncode, run.stdout) == (2, "")
    assert "--env looks at what is installed and takes no recipe, --out or --data" in run.stderr


def fail(monkeypatch: pytest.MonkeyPatch, command: str, error: BaseException) -> None:
    """Run a command that ends with an error."""

    def end() -> None:
        raise error

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: click.Command(command, callback=end))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stay
    main([command])


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("init", "stopped; nothing was written"),
        ("train", "stopped; what was finished is kept, the same command goes on from there"),
    ],
)
def test_what_ctrl_c_leaves_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    with pytest.raises(SystemExit, match="130"):
        fail(monkeypatch, command, KeyboardInterrupt())
    assert capsys.readouterr().err == f"\nghost-edge: {told}\n"


def test_a_file_that_the_system_refuses_is_not_called_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # main takes it away
    with pytest.raises(SystemExit, match="1"):
        fail(monkeypatch, "init", PermissionError(13, "Permission denied", "mine"))
    assert capsys.readouterr().err == "ghost-edge: mine could not be used (Permission denied)\n"
