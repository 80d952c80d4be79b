"""What is said about a board that answers over SSH and cannot do it; ssh is a script that runs its command here."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ghost_edge.core.errors import DeviceError
from ghost_edge.host.board import bundle
from ghost_edge.host.board.ssh import bench_over_ssh

WATCH = Path(bundle.__file__).parent / "watch.py"
FakeSsh = Callable[..., Path]


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSsh:
    """fake_ssh(first="", uname="echo x86_64", ...): the board's home, these programs in place of its own."""

    def make(first: str = "", **programs: str) -> Path:
        board, home = tmp_path / "board", tmp_path / "home"
        board.mkdir()
        home.mkdir()
        for name, script in programs.items():
            write_script(board / name, script)
        run = (
            f'export HOME={home} PATH={board}:$PATH\nfor last; do :; done\n{first}\n[ "$last" = board ] || eval "$last"'
        )
        write_script(tmp_path / "ssh", run)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return home

    return make


def write_script(path: Path, script: str) -> None:
    path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
    path.chmod(0o755)


def bundle_of(run_sh: str) -> Callable[..., Path]:
    """In place of make_bundle(): only run.sh and its watchdog."""

    def make(target: str, *, out: Path, pythons: list[str]) -> Path:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name, text in (("run.sh", run_sh.encode()), ("watch.py", WATCH.read_bytes())):
                entry = tarfile.TarInfo(f"m-{target}/{name}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text))
        out.write_bytes(gzip.compress(content.getvalue(), mtime=0))
        return out

    return make


def places(home: Path) -> list[Path]:
    return list((home / ".cache" / "ghost-edge").iterdir())


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({"uname": "echo armv7l", "python3": "echo 3.11 None"}, "board: there is no numpy; install it"),
        ({"uname": "echo riscv64", "python3": "echo 3.11 numpy"}, "the board is 'riscv64'; bundles are made for zynq"),
    ],
)
def test_a_board_that_cannot_run_it_is_told_so(fake_ssh: FakeSsh, programs: dict[str, str], said: str) -> None:
    fake_ssh(**programs)
    with pytest.raises(DeviceError, match=f"^{said}"):
        bench_over_ssh("board", bundle_of(""), say=print)


def test_a_board_without_python_is_told_so(fake_ssh: FakeSsh) -> None:
    fake_ssh("PATH=${PATH%%:*}", sh=f'exec {shutil.which("sh")} "$@"')  # nothing but this sh
    with pytest.raises(DeviceError, match=r"^board: there is no python3; install it and numpy$"):
        bench_over_ssh("board", bundle_of(""), say=print)


def test_results_and_exit_code_come_back_whatever_a_login_says(fake_ssh: FakeSsh) -> None:
    home = fake_ssh("echo Welcome to PetaLinux")
    run_sh = """echo '{"arguments": "'"$@"'"}' >results.json; exit 7"""
    found = bench_over_ssh("board", bundle_of(run_sh), arguments=["a 'b'"], say=print)
    assert found == ({"arguments": "a 'b'"}, 7)
    assert places(home) == []


def test_a_run_without_results_is_said_so_and_leaves_nothing(fake_ssh: FakeSsh) -> None:
    home = fake_ssh()
    with pytest.raises(DeviceError, match=r"board: run\.sh ended with exit code 4 and no results; it says why above"):
        bench_over_ssh("board", bundle_of("exit 4"), say=print)
    assert places(home) == []


def test_a_bundle_that_is_kept_is_not_copied_again(fake_ssh: FakeSsh) -> None:
    home, said = fake_ssh(), []
    for _ in range(2):
        bench_over_ssh("board", bundle_of("echo {} >results.json"), keep=True, say=said.append)
    assert [line.partition(": ")[2][:7] for line in said] == ["x86_64,", "copying", "x86_64,", "the bun"]
    assert len(places(home)) == 1


def test_a_copy_that_fails_leaves_no_part_of_it(fake_ssh: FakeSsh) -> None:
    home = fake_ssh(tar="echo tar: No space left on device >&2; exit 2")
    with pytest.raises(DeviceError, match=r"^board: tar: No space left on device$"):
        bench_over_ssh("board", bundle_of("exit 0"), say=print)
    assert places(home) == []


def test_results_are_not_lost_with_what_cannot_be_removed(fake_ssh: FakeSsh) -> None:
    fake_ssh(rm='case "$2" in *.part) ;; *) echo rm: Read-only file system >&2; exit 1 ;; esac', sleep="")
    said: list[str] = []
    found = bench_over_ssh("board", bundle_of("echo {} >results.json"), say=said.append)
    assert found == ({}, 0)
    assert said[-1].startswith("board: rm: Read-only file system; the bundle stays in ~/.cache/ghost-edge/")
