"""Targets: boards that a bundle can be made for, and the interpreter published for each."""

from __future__ import annotations

import dataclasses

from ghost_edge.core.errors import DeviceError


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
