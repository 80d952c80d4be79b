"""A bench over SSH, against a real sshd on loopback: its own keys, port and home, on this machine as the board."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ghost_edge.core.errors import DeviceError, MissingPackageError
from ghost_edge.host.board.ssh import bench_over_ssh

SSHD = Path("/usr/sbin/sshd")
SHORT = ("--runs", "3", "--seconds", "0.01", "--max-seconds", "0")
LONG = ("--runs", "1000000", "--seconds", "60")


@dataclasses.dataclass(frozen=True)
class Loopback:
    """A board: how ssh reaches it, its home folder, and its sshd."""

    host: str
    options: tuple[str, ...]
    home: Path
    sshd: int

    @property
    def bundles(self) -> list[str]:
        folder = self.home / ".cache" / "ghost-edge"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def processes(self) -> list[str]:
        """Command lines of what runs out of the home folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended while we looked
                if (process / "cwd").resolve().is_relative_to(self.home):
                    found.append((process / "cmdline").read_bytes().decode().replace("\0", " "))
        return found

    def connections(self) -> list[int]:
        return [int(folder.name) for folder in children(self.sshd)]


def children(process: int) -> list[Path]:
    """Folders in /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            if int(stat.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(stat.parent)
    return found


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    if not SSHD.exists() or not shutil.which("ssh"):
        pytest.skip(f"{SSHD} or ssh is not there; apt-get install openssh-server openssh-client")
    folder = tmp_path_factory.mktemp("sshd")
    home = folder / "home"
    home.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nSetEnv HOME={home}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where root's sshd locks a connection in that is not yet known
    command = [SSHD, "-D", "-e", "-f", folder / "sshd_config"]
    with (folder / "sshd.log").open("wb") as log, subprocess.Popen(command, stderr=log) as sshd:
        wait_until(lambda: b"Server listening" in (folder / "sshd.log").read_bytes())
        options = (
            *(f"Port={port}", f"IdentityFile={folder}/user", "IdentitiesOnly=yes", "BatchMode=yes"),
            *(f"UserKnownHostsFile={folder}/known_hosts", "StrictHostKeyChecking=yes"),
        )
        yield Loopback(f"{getpass.getuser()}@127.0.0.1", options, home, sshd.pid)
        sshd.terminate()


def wait_until(true: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"not true within {limit_s} s"
        time.sleep(0.05)


def start(board: Loopback, folder: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    options = [part for option in board.options for part in ("--ssh-option", option)]
    command = [sys.executable, "-m", "ghost_edge", "bench", str(folder), "--ssh", board.host, "--images", "5"]
    command += [*options, "--json", str(log) + ".json", *arguments]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)


def start_long(board: Loopback, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """A bench that is in the middle of its first model."""
    running = start(board, folder, log, *LONG)
    wait_until(lambda: b"\nmodel " in log.read_bytes() or running.poll() is not None)
    assert running.poll() is None, log.read_text()
    assert any("ghost_edge bench" in command for command in board.processes())
    return running


def ask(host: str, *options: str) -> None:
    """One call in this process, for the errors before anything is copied."""

    def make(*_: object, **__: object) -> Path:
        raise AssertionError("the board answered")

    bench_over_ssh(host, make, ssh_options=options, say=print)


@pytest.mark.slow
def test_a_bench_brings_its_results_back_and_leaves_nothing(board: Loopback, converted: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert start(board, converted, log, *SHORT).wait(120) == 0, log.read_text()
    said = log.read_text()
    assert f"{board.host}: copying " in said
    assert "ghostnet_mnist_int8.tflite" in said  # a row of bench's table
    document = json.loads(Path(f"{log}.json").read_text())
    assert [row["failure"] for row in document["results"]] == [None, None]
    assert document["plan"]["runs"] == 3
    assert document["evaluation"]["results"][1]["equal_outputs"] == 1.0
    assert (board.bundles, board.processes(), board.connections()) == ([], [], [])


@pytest.mark.slow
def test_the_boards_exit_code_comes_back(board: Loopback, converted: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert start(board, converted, log, "--timeout", "0.001").wait(120) == 8, log.read_text()
    assert "2 of 2 models failed" in log.read_text().splitlines()[-1]


@pytest.mark.slow
def test_a_lost_connection_leaves_no_process_and_the_next_run_does_not_copy(
    board: Loopback, converted: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    running = start_long(board, converted, log)
    for connection in board.connections():
        os.kill(connection, signal.SIGKILL)
    assert running.wait(30) == 8
    wait_until(lambda: board.processes() == [], 5)
    (bundle,) = board.bundles
    assert f"the bundle lies in ~/.cache/ghost-edge/{bundle}, so the same command goes on" in log.read_text()

    assert start(board, converted, log, *SHORT).wait(120) == 0, log.read_text()
    assert "the bundle is there already, not copied" in log.read_text()
    assert board.bundles == []


@pytest.mark.slow
def test_ctrl_c_stops_the_board_and_leaves_nothing(board: Loopback, converted: Path, tmp_path: Path) -> None:
    running = start_long(board, converted, tmp_path / "log")
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: ssh gets it too
    running.wait(30)
    assert running.returncode == 130
    assert "stopped" in (tmp_path / "log").read_text()
    assert (board.processes(), board.bundles) == ([], [])


@pytest.mark.slow
def test_a_killed_bench_leaves_no_process_on_the_board(board: Loopback, converted: Path, tmp_path: Path) -> None:
    running = start_long(board, converted, tmp_path / "log")
    (ssh,) = children(running.pid)
    command = (ssh / "cmdline").read_text()
    running.kill()
    running.wait()
    wait_until(lambda: board.processes() == [], 5)
    shutil.rmtree(board.home / ".cache")
    shutil.rmtree(command.split("ControlPath=")[1].partition("/ssh\0")[0])  # nobody is left to do it


def test_a_port_where_nobody_listens_is_one_line(board: Loopback) -> None:
    with pytest.raises(
        DeviceError, match=r"^\S+@127.0.0.1: ssh: connect to host 127.0.0.1 port 1: Connection refused$"
    ):
        ask(board.host, "Port=1", *board.options)


def test_a_host_that_nobody_knows_is_one_line(board: Loopback) -> None:
    with pytest.raises(DeviceError, match=r"no-such-board.invalid: ssh: Could not resolve hostname no-such-board"):
        ask("no-such-board.invalid", *board.options)


def test_a_host_key_that_is_not_known_is_one_line(board: Loopback, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r": Host key verification failed\.$"):
        ask(board.host, f"UserKnownHostsFile={tmp_path}/empty", *board.options)


def test_a_refused_key_is_one_line(board: Loopback, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    others = [option for option in board.options if not option.startswith("IdentityFile")]
    with pytest.raises(DeviceError, match=r": Permission denied \(publickey"):
        ask(board.host, f"IdentityFile={tmp_path}/other", *others)


def test_a_host_that_looks_like_an_option_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="hostname contains invalid characters"):
        ask(f"-oProxyCommand=touch {tmp_path}/run")
    assert list(tmp_path.iterdir()) == []


def test_without_ssh_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackageError, match="openssh-client"):
        ask("board")
