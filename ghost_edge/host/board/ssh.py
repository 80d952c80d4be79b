"""Bench on a board over SSH: copy a bundle, run it, bring the results back, leave nothing there."""

from __future__ import annotations

import contextlib
import functools
import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from ghost_edge.core.errors import DeviceError, GhostEdgeError, MissingPackageError, RecipeError
from ghost_edge.core.files import sha256_file
from ghost_edge.device.bench import Bench, BenchPlan
from ghost_edge.device.bench_results import results_from_document
from ghost_edge.device.board import TARGETS, target_for
from ghost_edge.host.board.bundle import make_bundle

Say = Callable[[str], None]
_LOST, _BUSY = 255, 75  # ssh's own exit code, and watch.py's
_BEAT_S, _SILENCE_S = 5, 60
_BEGIN = "ghost-edge:"  # what a .bashrc writes comes before it
# one authentication for all calls; a dead connection is known as such after 30 s
_OPTIONS = ("ControlMaster=auto", "ControlPersist=60", "ServerAliveInterval=10", "ConnectTimeout=20")
_PROBE = """command -v python3 >/dev/null || { echo "there is no python3; install it and numpy" >&2; exit 1; }
uname -m
python3 -c 'import sys, importlib.util as i; print("%d.%d" % sys.version_info[:2], i.find_spec("numpy") and "numpy")'
cat /proc/device-tree/model /proc/device-tree/compatible 2>/dev/null | tr "\\000" " "; echo"""


def bench_folder(
    host: str,
    folders: Sequence[Path],
    plan: BenchPlan,
    *,
    images: int = 0,
    recipe: Path | None = None,
    data: Path | None = None,
    ssh_options: Sequence[str] = (),
    keep: bool = False,
    say: Say,
    stdout: IO[Any] | None = None,
) -> Bench:
    """Bench the one folder that convert made on a board over SSH, and evaluate `images` images there.

    What was evaluated is in the document under "evaluation". recipe, data: of the images. The rest, and what is
    raised: as bench_over_ssh(); RecipeError where folders are several or files, and the error of the exit code with
    which bench ended on the board without results.
    """
    if len(folders) != 1 or not folders[0].is_dir():
        raise RecipeError("bench --ssh takes one folder, such as out/ghostnet_mnist, which ghost-edge convert made")
    make = functools.partial(make_bundle, folders[0], images=images, recipe=recipe, data=data, say=say)
    found, code = bench_over_ssh(
        host, make, arguments=plan.as_options(), ssh_options=ssh_options, keep=keep, say=say, stdout=stdout
    )
    if found["bench"] is None:
        error = next((each for each in GhostEdgeError.__subclasses__() if each.exit_code == code), DeviceError)
        raise error(f"{host}: bench ended there with exit code {code} and no results; it says why above")
    document = {**found["bench"], "evaluation": found["evaluation"]}
    return Bench(document, results_from_document(found["bench"], host), code)


class _Board(NamedTuple):
    """A board: the ssh command that reaches it, and the name that the user gave it."""

    ssh: tuple[str, ...]
    host: str

    def command(self, script: str) -> list[str]:
        return [*self.ssh, "--", self.host, f"exec sh -c {shlex.quote('cd && ' + script)}"]

    def ask(self, script: str, stdin: Any = subprocess.DEVNULL) -> str:
        """Return what a script prints on the board; DeviceError with the last line of its or ssh's stderr."""
        with tempfile.TemporaryFile() as log:  # no pipe: the connection that stays for the next call holds it open
            pipe = subprocess.PIPE
            command = self.command(f"echo {_BEGIN} && {script}")
            done = subprocess.run(command, stdin=stdin, stdout=pipe, stderr=log, check=False)
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
        if done.returncode:
            raise DeviceError(f"{self.host}: {lines[-1].strip() if lines else f'exit code {done.returncode}'}")
        return done.stdout.decode(errors="replace").rpartition(f"{_BEGIN}\n")[2]


def bench_over_ssh(
    host: str,
    make: Callable[..., Path],
    *,
    arguments: Sequence[str] = (),
    ssh_options: Sequence[str] = (),
    keep: bool = False,
    say: Say,
    stdout: IO[Any] | None = None,
) -> tuple[dict[str, Any], int]:
    """Bench a bundle on the board; return results.json of its run.sh, and the exit code.

    make(target, out=, pythons=): make_bundle() with its other arguments. arguments: for bench on the board.
    ssh_options: for ssh, each with -o. keep: leave the bundle on the board. stdout: where the board's output goes
    (None: ours); its stderr goes to ours. Raises DeviceError where ssh fails, the connection is lost or no results
    come, and as make().
    """
    if not shutil.which("ssh"):
        raise MissingPackageError("there is no ssh here; install OpenSSH's client (Debian: openssh-client)")
    # in /tmp whatever TMPDIR says: a socket's path has at most 107 bytes
    with tempfile.TemporaryDirectory(prefix="ghost-edge-", dir="/tmp") as work:
        options = (*ssh_options, *_OPTIONS, f"ControlPath={work}/ssh")
        board = _Board(("ssh", *(f"-o{option}" for option in options)), host)
        try:
            target, python = _probe(board, say)
            bundle = make(target, out=Path(work) / "bundle.tar.gz", pythons=[python])
            place = f".cache/ghost-edge/{sha256_file(bundle)[:16]}"
            _copy(board, bundle, place, say)
            return _run(board, place, arguments, keep, say, stdout)
        finally:
            subprocess.run([*board.ssh, "-Oexit", "--", host], capture_output=True, check=False)


def _probe(board: _Board, say: Say) -> tuple[str, str]:
    """Return target and Python version of the board."""
    try:
        machine, python, device_tree = board.ask(_PROBE).splitlines()
        version, numpy = python.split()
    except ValueError as error:
        raise DeviceError(f"{board.host} runs no commands of ours; it needs a shell and python3") from error
    target = target_for(machine, device_tree)
    if TARGETS[target].expected and numpy != "numpy":
        raise DeviceError(f"{board.host}: there is no numpy; install it (Debian: apt-get install python3-numpy)")
    say(f"{board.host}: {device_tree.strip() or machine}, Python {version}: {target}")
    return target, version


def _copy(board: _Board, bundle: Path, place: str, say: Say) -> None:
    """Unpack the bundle at its place, unless it is there; a part of one never has that name."""
    if board.ask(f"if [ -d {place} ]; then echo there; fi"):
        say(f"{board.host}: the bundle is there already, not copied")
        return
    say(f"{board.host}: copying {bundle.stat().st_size / 1e6:.1f} MB")
    part = f"{place}.$$"
    unpack = f"mkdir -p {part} && tar xzf - -C {part} && [ ! -e {place} ] && mv {part} {place}"
    with bundle.open("rb") as file:
        board.ask(f"{unpack} || {{ rm -rf {part}; [ -d {place} ]; }}", file)


def _run(
    board: _Board, place: str, arguments: Sequence[str], keep: bool, say: Say, stdout: IO[Any] | None
) -> tuple[dict[str, Any], int]:
    watch = f"cd {place}/*/ && exec python3 watch.py {_SILENCE_S} sh run.sh {shlex.join(arguments)}"
    code = None
    try:
        code = _beat(board.command(watch), stdout)
        if code == _LOST:
            raise DeviceError(
                f"the connection to {board.host} was lost, and its run stopped; the bundle lies in ~/{place}, "
                "so the same command goes on without copying"
            )
        if code == _BUSY:
            raise DeviceError(f"another bench runs on {board.host}; wait for it, then run the same command again")
        results: dict[str, Any] = json.loads(board.ask(f"cat {place}/*/results.json || echo null"))
    finally:
        if not keep and code not in (_LOST, _BUSY):
            try:  # twice: after Ctrl-C what ran there may have written until now
                board.ask(f"rm -rf {place} 2>/dev/null || {{ sleep 2; rm -rf {place}; }}")
            except DeviceError as error:  # no reason to lose the results
                say(f"{error}; the bundle stays in ~/{place}")
    if results is None:
        raise DeviceError(f"{board.host}: run.sh ended with exit code {code} and no results; it says why above")
    return results, code


def _beat(command: Sequence[str], stdout: IO[Any] | None) -> int:
    """Run ssh and send it a byte every few seconds; any error here closes its stdin, which ends the run there."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, bufsize=0) as process:
        assert process.stdin is not None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_BEAT_S)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b".")
