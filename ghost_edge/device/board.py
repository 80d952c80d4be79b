"""Boards: facts about this machine from /proc and /sys, and the targets that a bundle can be made for."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Optional

from ghost_edge.core.errors import DeviceError

# Arm's part numbers (implementer 0x41), from the Main ID Register in each core's technical reference manual.
ARM_PARTS = {
    "0xc05": "Cortex-A5",
    "0xc07": "Cortex-A7",
    "0xc08": "Cortex-A8",
    "0xc09": "Cortex-A9",
    "0xc0f": "Cortex-A15",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd4f": "Neoverse-V2",
}
FALLEN_CLOCK = 0.95  # of what it was; an on-demand governor raises the clock under load, heat lowers it


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Clock of a core and heat, which change while timing; None where the kernel does not say.

    cooling_state: sum over the cooling devices; over 0 the kernel slows something down, or a fan turns.
    """

    governor: Optional[str]
    clock_khz: Optional[int]
    max_clock_khz: Optional[int]
    temperature_c: Optional[float]
    cooling_state: Optional[int]


@dataclasses.dataclass(frozen=True)
class Board:
    """Machine as the kernel describes it; None where it does not say."""

    machine: Optional[str]
    model: Optional[str]
    cpu: Optional[str]
    cpu_part: Optional[str]
    cores: Optional[int]
    memory_bytes: Optional[int]
    kernel: Optional[str]
    conditions: Conditions


def read_board(root: Path = Path("/"), cpu: int = 0) -> Board:
    """Read the facts under root (another one in tests: a recorded tree, whose machine is then unknown)."""
    cpuinfo = read_text(root / "proc/cpuinfo") or ""
    part = _field(cpuinfo, "CPU part")
    memory_kib = re.search(r"^MemTotal:\s+(\d+) kB", read_text(root / "proc/meminfo") or "", re.MULTILINE)
    return Board(
        machine=os.uname().machine if root == Path("/") else None,
        model=read_text(root / "proc/device-tree/model"),
        cpu=ARM_PARTS.get(part or "") or _field(cpuinfo, "model name"),
        cpu_part=part,
        cores=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or None,
        memory_bytes=int(memory_kib[1]) * 1024 if memory_kib else None,
        kernel=read_text(root / "proc/sys/kernel/osrelease"),
        conditions=read_conditions(root, cpu),
    )


def read_conditions(root: Path = Path("/"), cpu: int = 0) -> Conditions:
    """Read what the kernel says of this core and of heat, now."""
    frequency = root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
    states = [_number(path) for path in (root / "sys/class/thermal").glob("cooling_device*/cur_state")]
    known = [state for state in states if state is not None]
    return Conditions(
        governor=read_text(frequency / "scaling_governor"),
        clock_khz=_number(frequency / "scaling_cur_freq"),
        max_clock_khz=_number(frequency / "cpuinfo_max_freq"),
        temperature_c=_temperature(root),
        cooling_state=sum(known) if known else None,
    )


def doubts(conditions: Conditions) -> tuple[str, ...]:
    """Return sentences on what makes timings jump on this machine; none on what cannot be read."""
    governor, clock, limit = conditions.governor, conditions.clock_khz, conditions.max_clock_khz
    if governor is not None and governor != "performance":
        return (
            f"the clock governor is {governor!r}, so the clock may change while timing; as root: "
            "for g in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance > $g; done",
        )
    if clock and limit and clock < FALLEN_CLOCK * limit:
        return (f"the clock is {clock / 1000:.0f} MHz of {limit / 1000:.0f}: throttled, or limited by the firmware",)
    return ()


def throttling(before: Conditions, after: Conditions) -> str:
    """Return a sentence where the clock fell or the kernel began to cool between the two; empty otherwise."""
    heat = "" if after.temperature_c is None else f" at {after.temperature_c:.0f} C"
    if before.clock_khz and after.clock_khz and after.clock_khz < FALLEN_CLOCK * before.clock_khz:
        fall = f"from {before.clock_khz / 1000:.0f} to {after.clock_khz / 1000:.0f} MHz"
        return f"throttled: the clock fell {fall}{heat} while timing; cool the board and run again"
    if before.cooling_state is not None and (after.cooling_state or 0) > before.cooling_state:
        return f"the kernel began to cool{heat} while timing; cool the board and run again"
    return ""


def describe(board: Board) -> str:
    """Return the board in one line, without what is unknown."""
    now = board.conditions
    clock, limit = now.clock_khz, now.max_clock_khz
    parts = (
        board.model,
        f"{board.cores or '?'} x {board.cpu or board.machine or 'unknown CPU'}",
        f"{clock / 1000:.0f} MHz" if clock else None,
        f"at most {limit / 1000:.0f} MHz" if limit and limit != clock else None,
        f"governor {now.governor}" if now.governor else None,
        f"{now.temperature_c:.0f} C" if now.temperature_c is not None else None,
        f"{board.memory_bytes / 2**20:.0f} MiB" if board.memory_bytes else None,
        f"Linux {board.kernel} {board.machine or ''}".rstrip() if board.kernel else None,
    )
    return ", ".join(part for part in parts if part)


def _temperature(root: Path) -> Optional[float]:
    """Return degrees Celsius of the first thermal zone, else of the Zynq's own IIO sensor (XADC, SYSMON)."""
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")):
        thousandths = _number(zone)
        if thousandths is not None:
            return thousandths / 1000
    for raw in sorted((root / "sys/bus/iio/devices").glob("iio:device*/in_temp*_raw")):
        stem = raw.name[: -len("_raw")]
        value, scale = _number(raw), read_text(raw.with_name(stem + "_scale"))
        if value is not None and scale is not None:
            offset = _number(raw.with_name(stem + "_offset")) or 0
            return (value + offset) * float(scale) / 1000  # Documentation/ABI/testing/sysfs-bus-iio: millidegrees
    return None


def read_text(path: Path) -> Optional[str]:
    """Return a file of the kernel or the system, stripped; None where it is absent, empty or not for us."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return None
    return text.strip("\0 \n") or None


def has_vnni(root: Path = Path("/")) -> bool:
    """Return whether an x86 processor adds products of bytes without saturation; False where that is unknown."""
    return bool({"avx512_vnni", "avx_vnni"} & {*cpu_flags(root)})


def cpu_flags(root: Path = Path("/")) -> list[str]:
    """Return the names of the processor's instruction sets, in the kernel's order; none where it does not say."""
    return (_field(read_text(root / "proc/cpuinfo") or "", "(?:flags|Features)") or "").split()


def _number(path: Path) -> Optional[int]:
    text = read_text(path)
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _field(cpuinfo: str, name: str) -> Optional[str]:
    found = re.search(rf"^{name}\s*: *(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else None


@dataclasses.dataclass(frozen=True)
class Target:
    """Board family: its `uname -m`, Python versions with wheels, pip's platform tags and pinned packages.

    expected: what they need and only the board's distribution has. float_dies: why float models are left out.
    """

    machine: str
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]
    packages: tuple[str, ...]
    expected: tuple[str, ...] = ()
    float_dies: str = ""


def _litert(machine: str) -> Target:
    return Target(
        machine,
        pythons=("3.10", "3.11", "3.12", "3.13"),  # numpy 2.2 is the only one with wheels for all four
        platforms=tuple(f"manylinux{tag}_{machine}" for tag in ("_2_28", "_2_27", "_2_17", "2014")),
        packages=(
            *("ai-edge-litert==2.3.0", "backports.strenum==1.2.8", "click==8.1.8", "flatbuffers==25.12.19"),
            *("ml-dtypes==0.5.4", "numpy==2.2.6", "protobuf==6.33.1", "tqdm==4.67.1", "typing-extensions==4.15.0"),
        ),
    )


TARGETS = {
    "zynq7000": Target(
        machine="armv7l",
        pythons=("3.9", "3.10", "3.11"),
        platforms=("manylinux_2_34_armv7l",),
        packages=("click==8.1.8", "tflite-runtime==2.14.0"),
        expected=("numpy>=1.23,<2",),  # the interpreter was built against numpy 1
        float_dies="this interpreter's float kernels need VFPv4, a Cortex-A9 has VFPv3",
    ),
    "zynqmp": _litert("aarch64"),
    "generic-aarch64": _litert("aarch64"),
    "generic-x86_64": _litert("x86_64"),
}


def target_for(machine: str, device_tree: str) -> str:
    """Return the target of a board from `uname -m` and /proc/device-tree/compatible; DeviceError where none fits."""
    found = [name for name, target in TARGETS.items() if target.machine == machine]
    if not found:
        raise DeviceError(f"the board is {machine!r}; bundles are made for {', '.join(TARGETS)}")
    return found[-1] if found[0] == "zynqmp" and "xlnx,zynqmp" not in device_tree else found[0]
