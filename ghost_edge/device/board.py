"""Facts about the machine, from /proc and /sys."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Optional

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
_CPU0 = "sys/devices/system/cpu/cpu0/cpufreq"


@dataclasses.dataclass(frozen=True)
class Board:
    """What the kernel says; None where it does not say. Clock and governor are those of the first core."""

    machine: Optional[str]
    model: Optional[str]
    cpu: Optional[str]
    cpu_part: Optional[str]
    cores: Optional[int]
    governor: Optional[str]
    clock_khz: Optional[int]
    max_clock_khz: Optional[int]
    temperature_c: Optional[float]
    memory_bytes: Optional[int]
    kernel: Optional[str]


def read_board(root: Path = Path("/")) -> Board:
    """Read the facts under root (another one in tests: a recorded tree, whose machine is then unknown)."""
    cpuinfo = _read(root / "proc/cpuinfo") or ""
    part = _field(cpuinfo, "CPU part")
    memory_kib = re.search(r"^MemTotal:\s+(\d+) kB", _read(root / "proc/meminfo") or "", re.MULTILINE)
    return Board(
        machine=os.uname().machine if root == Path("/") else None,
        model=_read(root / "proc/device-tree/model"),
        cpu=ARM_PARTS.get(part or "") or _field(cpuinfo, "model name"),
        cpu_part=part,
        cores=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or None,
        governor=_read(root / _CPU0 / "scaling_governor"),
        clock_khz=_number(root / _CPU0 / "scaling_cur_freq"),
        max_clock_khz=_number(root / _CPU0 / "cpuinfo_max_freq"),
        temperature_c=_temperature(root),
        memory_bytes=int(memory_kib[1]) * 1024 if memory_kib else None,
        kernel=_read(root / "proc/sys/kernel/osrelease"),
    )


def doubts(board: Board) -> tuple[str, ...]:
    """Sentences on what in this machine makes timings jump; nothing is said of what cannot be read."""
    if board.governor is None or board.governor == "performance":
        return ()
    return (
        f"the clock governor is {board.governor!r}, so the clock may change while timing; "
        "as root: echo performance > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    )


def describe(board: Board) -> str:
    """The board in one line, without what is unknown."""
    clock, limit = board.clock_khz, board.max_clock_khz
    parts = (
        board.model,
        f"{board.cores or '?'} x {board.cpu or board.machine or 'unknown CPU'}",
        f"{clock / 1000:.0f} MHz" if clock else None,
        f"at most {limit / 1000:.0f} MHz" if limit and limit != clock else None,
        f"governor {board.governor}" if board.governor else None,
        f"{board.temperature_c:.0f} C" if board.temperature_c is not None else None,
        f"{board.memory_bytes / 2**20:.0f} MiB" if board.memory_bytes else None,
        f"Linux {board.kernel} {board.machine or ''}".rstrip() if board.kernel else None,
    )
    return ", ".join(part for part in parts if part)


def _temperature(root: Path) -> Optional[float]:
    """Degrees Celsius of the first thermal zone, else of the Zynq's own sensor (XADC, SYSMON) as an IIO device."""
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")):
        thousandths = _number(zone)
        if thousandths is not None:
            return thousandths / 1000
    for raw in sorted((root / "sys/bus/iio/devices").glob("iio:device*/in_temp*_raw")):
        stem = raw.name[: -len("_raw")]
        value, scale = _number(raw), _read(raw.with_name(stem + "_scale"))
        if value is not None and scale is not None:
            offset = _number(raw.with_name(stem + "_offset")) or 0
            return (value + offset) * float(scale) / 1000  # Documentation/ABI/testing/sysfs-bus-iio: millidegrees
    return None


def _read(path: Path) -> Optional[str]:
    try:
        text = path.read_text(errors="replace")
    except OSError:  # absent, or not for us: the kernel does not say
        return None
    return text.strip("\0 \n") or None


def _number(path: Path) -> Optional[int]:
    text = _read(path)
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _field(cpuinfo: str, name: str) -> Optional[str]:
    found = re.search(rf"^{name}\s*: *(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else None
