"""Wheels of a bundle: an interpreter from the package index, and this ghost-edge, made from its own files."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import ghost_edge
from ghost_edge.core.errors import MissingPackageError, RecipeError
from ghost_edge.core.targets import Target

_PACKAGE = Path(ghost_edge.__file__).parent
_PIP = "pip==25.0.1"  # runs from its wheel: a board needs no pip, and how old its own is does not matter
_WHEEL = "Wheel-Version: 1.0\nGenerator: ghost-edge\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def download_wheels(target: Target, pythons: Sequence[str], folder: Path) -> None:
    """Download the target's packages, and pip, for these Python versions, such as "3.11".

    Raises RecipeError for a version that has no wheels, MissingPackageError with pip's own last error.
    """
    for python in pythons:
        if python not in target.pythons:
            known = ", ".join(target.pythons)
            raise RecipeError(f"there are no wheels for Python {python} on {target.machine}; --python takes {known}")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
            *("--implementation=cp", f"--python-version={python}", f"--dest={folder}"),
            *(f"--platform={tag}" for tag in target.platforms),
            *(_PIP, *target.packages),
        ]
        environment = {**os.environ, "PIP_CONSTRAINT": ""}  # those are for the workstation's environment
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            if "Retrying" in done.stderr:
                raise MissingPackageError("the package index does not answer; bundle where there is a network")
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line] or [done.stderr.strip()]
            raise MissingPackageError(f"no wheels for {target.machine}, Python {python}: pip says {errors[-1]}")


def write_own_wheel(requires: Sequence[str], folder: Path) -> Path:
    """Write a wheel that requires exactly `requires`, without the shipped images and weights.

    Nothing in it comes from a build tool: a checkout and an installation of the same sources give the same bytes.
    """
    info = f"ghost_edge-{ghost_edge.__version__}.dist-info"
    about = f"Metadata-Version: 2.1\nName: ghost-edge\nVersion: {ghost_edge.__version__}\nRequires-Python: >=3.9\n"
    paths = [path for path in _PACKAGE.rglob("*") if path.suffix in (".py", ".sh")]
    files = {f"ghost_edge/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes() for path in sorted(paths)}
    files[f"{info}/METADATA"] = "".join((about, *(f"Requires-Dist: {need}\n" for need in requires))).encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nghost-edge = ghost_edge.cli.main:main\n"
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / f"ghost_edge-{ghost_edge.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return wheel


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
