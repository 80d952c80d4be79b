"""Installation: packages and programs found here, the versions that fit, and what each purpose lacks."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ghost_edge.core.errors import MissingPackageError
from ghost_edge.core.tables import Column
from ghost_edge.device.board import cpu_flags, describe, read_board, read_text
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
    """Row of COLUMNS: what a purpose needs, the version found here (None: none), the range that it has to be in.

    state: "ok", how to install what is missing, or what is wrong; broken: it is here and does not do.
    """

    purpose: str
    name: str
    version: Optional[str]
    range: Optional[str]
    state: str
    broken: bool = False


def check_installation() -> Iterator[Part]:
    """Check every package and program of PURPOSES; interpreters are imported in a process that may be killed."""
    for purpose, need in PURPOSES.items():
        wanted = wanted_versions(need.extra)
        install = need.install or f'{PIP} "ghost-edge[{need.extra}]"'.replace("[]", "")
        for package in packages_of(need):
            yield _check_package(purpose, package, wanted.get(package.lower()) or None, install)
        for program in need.programs:
            there = any(map(shutil.which, (program, f"{program}-static")))  # as Debian 12 calls QEMU's
            yield Part(purpose, program, "yes" if there else None, None, _OK if there else f"missing: {install}")


def packages_of(need: _Need) -> tuple[str, ...]:
    """Return the packages of a purpose; the extra itself, which is none, where nothing says what belongs to it."""
    if need.packages or not need.extra:
        return need.packages
    named = {package.lower() for other in PURPOSES.values() for package in other.packages}
    return tuple(name for name in wanted_versions(need.extra) if name not in named) or (f"ghost-edge[{need.extra}]",)


def _check_package(purpose: str, package: str, wanted: Optional[str], install: str) -> Part:
    version = optional_version(package)
    if not version:
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


def wanted_versions(extra: str, requirements: Optional[Sequence[str]] = None) -> dict[str, str]:
    """Return package to range, such as "<2.22,>=2.21" or "": what ghost-edge[extra] asks for on this machine.

    requirements: in the form of METADATA; those of the installed ghost-edge if not given, none where it has none.
    Nothing without the package `packaging`, which a board does not need.
    """
    if requirements is None:
        try:
            requirements = metadata.requires("ghost-edge") or ()
        except metadata.PackageNotFoundError:  # run from its files alone
            requirements = ()
    if not optional_version("packaging"):
        return {}
    from packaging.requirements import Requirement

    here = {"extra": extra, "platform_machine": platform.machine()}
    wanted: dict[str, Any] = {}
    for each in map(Requirement, requirements):
        if each.marker is None or each.marker.evaluate(here):
            name = each.name.lower()
            wanted[name] = wanted[name] & each.specifier if name in wanted else each.specifier
    return {name: str(specifier) for name, specifier in wanted.items()}


def is_within(version: str, bounds: str) -> bool:
    """Return whether a version keeps bounds such as ">=2.21,<2.22"; development versions count as any other."""
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(bounds).contains(version, prereleases=True)


def describe_environment() -> Iterator[tuple[str, str]]:
    """Yield names and values that a bug report needs; none of them tells who or where the user is."""
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    release = re.search(r'^PRETTY_NAME="?(.*?)"?$', read_text(Path("/etc/os-release")) or "", re.MULTILINE)
    yield "system", ", ".join(filter(None, (release and release[1], " ".join(platform.libc_ver()))))
    yield "machine", describe(read_board())
    yield "its instructions", " ".join(flag for flag in _FLAGS if flag in cpu_flags()) or "-"
    for package in sorted({package for need in PURPOSES.values() for package in packages_of(need)}, key=str.lower):
        yield package, optional_version(package) or "-"
    yield "interpreters", ", ".join(filter(is_installed, INTERPRETERS)) or "-"
    yield "GHOST_EDGE_DATA", "set" if os.environ.get("GHOST_EDGE_DATA") else "not set"


def tool_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return package name to installed version; MissingPackageError with the pip command where one is missing."""
    found = {package: optional_version(package) for package in packages}
    for package in packages:
        if not found[package]:
            raise MissingPackageError(f'{package} is not installed; python -m pip install "ghost-edge[host]" brings it')
    return found


@functools.cache
def optional_version(package: str) -> str:
    """Return the installed version of a package, empty where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
