"""What is installed here, whether it fits this ghost-edge, and what it lacks for which purpose."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import operator
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Optional

from ghost_edge.core.errors import MissingPackageError
from ghost_edge.core.tables import Column
from ghost_edge.device.board import describe, read_board
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import PIP, one_line
from ghost_edge.device.runtimes.open import INTERPRETERS, is_installed

PACKAGES = (
    *("tensorflow", "keras", "litert-quantizer", "ai-edge-litert", "tf2onnx", "onnx", "onnxruntime"),
    *("numpy", "Pillow"),
)

COLUMNS = (
    Column("for", "purpose"),
    Column("needs", "name"),
    Column("installed", "version"),
    Column("range", "range"),
    Column("state", "state"),
)
_OK = "ok"
_TIMEOUT_S = 120.0
_FLAGS = (
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("neon", "vfpv3", "vfpv4", "asimd", "asimddp", "i8mm", "sve"),
)
_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    **{"<": operator.lt, "<=": operator.le},
    **{">": operator.gt, ">=": operator.ge},
}


class _Need(NamedTuple):
    """Packages of Python with the extra of ghost-edge that brings them, or programs; and what installs them.

    An extra without packages: all of it that no other purpose names.
    """

    packages: tuple[str, ...] = ()
    extra: str = ""
    programs: tuple[str, ...] = ()
    install: str = ""


_ARMV7 = platform.machine().startswith("armv7")
_LITERT_OF = "host" if importlib.util.find_spec("tensorflow") else "device"  # the converter asks for a newer one
PURPOSES = {
    "any command": _Need(("numpy", "click")),
    "bench .tflite": _Need(("tflite-runtime",) if _ARMV7 else ("ai-edge-litert",), _LITERT_OF),
    "bench .onnx": _Need(("onnxruntime",), "host", install=f"{PIP} onnxruntime"),
    "convert, train": _Need(extra="host"),
    "images": _Need(("Pillow",), "host", install=f"{PIP} Pillow"),
    "TFLite Micro's proof": _Need(("tflite-micro",), "micro"),
    "view": _Need(("ai-edge-model-explorer",), "view", install=f"{PIP} ai-edge-model-explorer"),
    "bundle": _Need(("pip",), install="python -m ensurepip"),
    "bench --ssh": _Need(programs=("ssh",), install="apt-get install openssh-client"),
    "emulated boards, in tests": _Need(
        programs=("qemu-arm", "qemu-aarch64", "qemu-system-arm", "qemu-system-aarch64", "cpio"),
        install="apt-get install qemu-user-static qemu-system-arm cpio",
    ),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """A row of COLUMNS: what a purpose needs, the version that is here (None: none), the range that it has to be in.

    state: "ok", how to install what is missing, or what is wrong; broken: it is here and does not do.
    """

    purpose: str
    name: str
    version: Optional[str]
    range: Optional[str]
    state: str
    broken: bool = False


def check_installation() -> Iterator[Part]:
    """Every package and program of PURPOSES, the interpreters imported in a process of their own: it may be killed."""
    for purpose, need in PURPOSES.items():
        wanted = wanted_versions(need.extra)
        install = need.install or f'{PIP} "ghost-edge[{need.extra}]"'.replace("[]", "")
        for package in packages_of(need):
            yield _check_package(purpose, package, wanted.get(package.lower()) or None, install)
        for program in need.programs:
            there = any(map(shutil.which, (program, f"{program}-static")))  # as Debian 12 calls QEMU's
            yield Part(purpose, program, "yes" if there else None, None, _OK if there else f"missing: {install}")


def packages_of(need: _Need) -> tuple[str, ...]:
    """The packages of a purpose; the extra itself, which is none, where no metadata says what belongs to it."""
    if need.packages or not need.extra:
        return need.packages
    named = {package.lower() for other in PURPOSES.values() for package in other.packages}
    return tuple(name for name in wanted_versions(need.extra) if name not in named) or (f"ghost-edge[{need.extra}]",)


def _check_package(purpose: str, package: str, wanted: Optional[str], install: str) -> Part:
    version = version_of(package)
    if version is None:
        return Part(purpose, package, None, wanted, f"missing: {install}")
    if wanted and not is_within(version, wanted):
        return Part(purpose, package, version, wanted, f"does not fit: {install}", broken=True)
    modules = [row.module for row in INTERPRETERS.values() if package in row.install.split()]
    modules += [package] if package == "tensorflow" else []
    failures = [run_isolated(_import, module, timeout_s=_TIMEOUT_S).failure for module in modules]
    told = "; ".join(filter(None, failures))
    return Part(purpose, package, version, wanted, told or _OK, broken=bool(told))


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingPackageError(f"does not load ({one_line(error)})") from error


def version_of(package: str) -> Optional[str]:
    """The installed version of a package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def wanted_versions(extra: str, requirements: Optional[Sequence[str]] = None) -> dict[str, str]:
    """Package to range, such as ">=2.21,<2.22" or "": what ghost-edge[extra] asks for on this machine.

    requirements: in the form of METADATA; those of the installed ghost-edge if not given, none where it has none.
    """
    if requirements is None:
        try:
            requirements = metadata.requires("ghost-edge") or ()
        except metadata.PackageNotFoundError:  # run from its files alone
            requirements = ()
    here = {"python_version": "{}.{}".format(*sys.version_info), "platform_machine": platform.machine(), "extra": extra}
    wanted: dict[str, str] = {}
    for line in requirements:
        requirement, _, marker = line.partition(";")
        name, _, bounds = re.split(r"((?:\[.*?\])?\s*(?=[<>=!(]|$))", requirement.strip(), maxsplit=1)
        clauses = re.findall(r"(\w+) ([<>=!]+) ['\"](.*?)['\"]", marker)
        if all(_holds(here[variable], sign, value) for variable, sign, value in clauses):
            wanted[name.lower()] = ",".join(filter(None, (wanted.get(name.lower()), bounds.strip())))
    return wanted


def is_within(version: str, bounds: str) -> bool:
    """Whether a version keeps bounds such as ">=2.21,<2.22"."""
    return all(_holds(version, *bound) for bound in re.findall(r"([<>=!]+)([\w.]+)", bounds.replace(" ", "")))


def _holds(left: str, sign: str, right: str) -> bool:
    return bool(_OPERATORS[sign](*((_numbers(text) if right[:1].isdigit() else text) for text in (left, right))))


def _numbers(version: str) -> tuple[int, ...]:
    """2.14.0 and 2.14 alike; a local part, such as +cpu, does not count."""
    return tuple(map(int, re.findall(r"\d+", re.sub(r"(\.0)+$", "", version.partition("+")[0]))))


def describe_environment() -> Iterator[tuple[str, str]]:
    """What a report of a fault needs: names and values, nothing of who or where the user is."""
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    release = re.search(r'^PRETTY_NAME="?(.*?)"?$', _read(Path("/etc/os-release")), re.MULTILINE)
    yield "system", ", ".join(filter(None, (release and release[1], " ".join(platform.libc_ver()))))
    yield "machine", describe(read_board())
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    yield "its instructions", " ".join(flag for flag in _FLAGS if flags and flag in flags[1].split()) or "-"
    for package in sorted({package for need in PURPOSES.values() for package in packages_of(need)}, key=str.lower):
        yield package, version_of(package) or "-"
    yield "interpreters", ", ".join(filter(is_installed, INTERPRETERS)) or "-"
    yield "GHOST_EDGE_DATA", "set" if os.environ.get("GHOST_EDGE_DATA") else "not set"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the system does not say
        return ""


def tool_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Package name to installed version; raises MissingPackageError with the pip command where one is missing."""
    return {package: _version(package) for package in packages}


def optional_version(package: str) -> str:
    """Its installed version, empty where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise MissingPackageError(
            f'{package} is not installed; python -m pip install "ghost-edge[host]" brings it'
        ) from error
