"""Boards read from recorded trees."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ghost_edge.device.board import (
    Board,
    Conditions,
    describe,
    doubts,
    has_vnni,
    read_board,
    read_conditions,
    throttling,
)

CPU0 = "sys/devices/system/cpu/cpu0/cpufreq"
# /proc/cpuinfo of a Zynq-7000 as Linux 6.1 prints it
A9_CPUINFO = """processor\t: 0
model name\t: ARMv7 Processor rev 0 (v7l)
BogoMIPS\t: 666.66
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpd32
CPU implementer\t: 0x41
CPU part\t: 0xc09

processor\t: 1
model name\t: ARMv7 Processor rev 0 (v7l)
CPU implementer\t: 0x41
CPU part\t: 0xc09

Hardware\t: Xilinx Zynq Platform
"""


def record(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def zynq(tmp_path: Path) -> Path:
    sensor = "sys/bus/iio/devices/iio:device0"
    return record(
        tmp_path,
        {
            "proc/cpuinfo": A9_CPUINFO,
            "proc/meminfo": "MemTotal:         506208 kB\nMemFree:          400000 kB\n",
            "proc/device-tree/model": "Avnet ZedBoard\0",
            "proc/sys/kernel/osrelease": "6.1.60-xilinx\n",
            f"{CPU0}/scaling_governor": "ondemand\n",
            f"{CPU0}/scaling_cur_freq": "333333\n",
            f"{CPU0}/cpuinfo_max_freq": "666667\n",
            f"{sensor}/in_temp0_raw": "2570\n",
            f"{sensor}/in_temp0_offset": "-2219\n",
            f"{sensor}/in_temp0_scale": "123.040771484\n",
        },
    )


def test_a_zynq_7000_is_read_whole(zynq: Path) -> None:
    assert read_board(zynq) == Board(
        machine=None,
        model="Avnet ZedBoard",
        cpu="Cortex-A9",
        cpu_part="0xc09",
        cores=2,
        memory_bytes=506208 * 1024,
        kernel="6.1.60-xilinx",
        conditions=Conditions(
            governor="ondemand",
            clock_khz=333333,
            max_clock_khz=666667,
            temperature_c=pytest.approx(43.187, abs=1e-3),  # (2570 - 2219) * 123.04 / 1000
            cooling_state=None,
        ),
    )


def test_one_line_says_what_is_known(zynq: Path) -> None:
    assert describe(read_board(zynq)) == (
        "Avnet ZedBoard, 2 x Cortex-A9, 333 MHz, at most 667 MHz, governor ondemand, 43 C, 494 MiB, Linux 6.1.60-xilinx"
    )


def test_a_zynqmp_core_is_named_by_its_part(tmp_path: Path) -> None:
    board = read_board(record(tmp_path, {"proc/cpuinfo": "processor\t: 0\nCPU part\t: 0xd03\n"}))
    assert (board.cpu, board.cores) == ("Cortex-A53", 1)


def test_an_unknown_part_is_not_given_a_name(tmp_path: Path) -> None:
    board = read_board(record(tmp_path, {"proc/cpuinfo": "processor\t: 0\nCPU part\t: 0xfff\n"}))
    assert (board.cpu, board.cpu_part) == (None, "0xfff")


def test_an_x86_core_has_its_model_name(tmp_path: Path) -> None:
    text = "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
    assert read_board(record(tmp_path, {"proc/cpuinfo": text})).cpu == "AMD EPYC"


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx512bw avx512_vnni", True),
        ("flags\t\t: fpu avx2 avx_vnni", True),
        ("flags\t\t: fpu avx2 avx512bw", False),
        ("Features\t: neon asimddp", False),
    ],
)
def test_vnni_is_among_the_flags(line: str, has: bool, tmp_path: Path) -> None:
    assert has_vnni(record(tmp_path, {"proc/cpuinfo": f"processor\t: 0\n{line}\n"})) == has


def test_missing_files_are_none_and_not_errors(tmp_path: Path) -> None:
    board = vars(read_board(tmp_path))
    assert set(vars(board.pop("conditions")).values()) == {None}
    assert set(board.values()) == {None}


def test_a_number_that_is_none_is_unknown(tmp_path: Path) -> None:
    board = read_board(record(tmp_path, {"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "<unknown>\n"}))
    assert board.conditions.clock_khz is None


def test_the_first_thermal_zone_comes_before_other_sensors(zynq: Path) -> None:
    assert (
        read_board(record(zynq, {"sys/class/thermal/thermal_zone0/temp": "51500\n"})).conditions.temperature_c == 51.5
    )


def test_a_governor_that_changes_the_clock_is_a_doubt(zynq: Path) -> None:
    (found,) = doubts(read_conditions(zynq))
    assert "'ondemand'" in found
    assert "echo performance" in found


def test_a_fixed_or_unreadable_governor_is_no_doubt(zynq: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    fixed = record(zynq, {f"{CPU0}/scaling_governor": "performance\n", f"{CPU0}/scaling_cur_freq": "666667\n"})
    assert doubts(read_conditions(fixed)) == ()
    assert doubts(read_conditions(tmp_path_factory.mktemp("empty"))) == ()


def test_a_fixed_governor_at_half_the_clock_is_a_doubt(zynq: Path) -> None:
    (found,) = doubts(read_conditions(record(zynq, {f"{CPU0}/scaling_governor": "performance\n"})))
    assert found.startswith("the clock is 333 MHz of 667: throttled")


def test_the_clock_is_that_of_the_core_that_is_asked_for(zynq: Path) -> None:
    record(zynq, {CPU0.replace("cpu0", "cpu1") + "/scaling_cur_freq": "500000\n"})
    assert [read_conditions(zynq, cpu).clock_khz for cpu in (0, 1, 2)] == [333333, 500000, None]


def test_a_clock_that_fell_is_throttling_and_one_that_rose_is_not(zynq: Path) -> None:
    slow = read_conditions(zynq)
    fast = dataclasses.replace(slow, clock_khz=666667)
    assert throttling(fast, slow).startswith("throttled: the clock fell from 667 to 333 MHz at 43 C while timing")
    assert throttling(slow, fast) == ""
    assert throttling(slow, slow) == ""


def test_a_kernel_that_begins_to_cool_is_throttling(zynq: Path) -> None:
    device = "sys/class/thermal/cooling_device{}/cur_state"
    before = read_conditions(record(zynq, {device.format(0): "0\n", device.format(1): "1\n"}))
    after = read_conditions(record(zynq, {device.format(0): "2\n"}))
    assert (before.cooling_state, after.cooling_state) == (1, 3)
    assert throttling(before, after).startswith("the kernel began to cool at 43 C")
    assert throttling(after, before) == ""
