"""What is installed, against what ghost-edge asks for."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from pathlib import Path

import pytest

from ghost_edge.device import environment
from ghost_edge.device.environment import (
    PURPOSES,
    check_installation,
    describe_environment,
    is_within,
    packages_of,
    wanted_versions,
)

# lines as pip writes them into METADATA
REQUIREMENTS = (
    "numpy>=1.23",
    "click<8.2,>=8.1; python_version < '3.10'",
    "click>=8.1; python_version >= '3.10'",
    "tensorflow<2.22,>=2.21; extra == 'host'",
    "pillow>=11; extra == 'host'",
    "ai-edge-litert>=1.1; (platform_machine != 'armv7l') and extra == 'device'",
    "numpy<2,>=1.23; (platform_machine == 'armv7l') and extra == 'device'",
    "ghost-edge[micro]; extra == 'test'",
)


@pytest.mark.parametrize(
    ("version", "bounds", "within"),
    [
        ("2.21.0", "<2.22,>=2.21", True),
        ("2.22.0", "<2.22,>=2.21", False),
        ("2.9", ">=2.21", False),
        ("2.14.0", "==2.14", True),
        ("0.dev20261023182759", ">=0.dev20260901", True),
        ("2.3.0+cpu", "==2.3", True),
    ],
)
def test_a_version_is_compared_number_by_number(version: str, bounds: str, within: bool) -> None:
    assert is_within(version, bounds) is within


@pytest.mark.parametrize(
    ("machine", "extra", "wanted"),
    [
        ("x86_64", "host", {"numpy": ">=1.23", "click": ">=8.1", "tensorflow": "<2.22,>=2.21", "pillow": ">=11"}),
        ("aarch64", "device", {"numpy": ">=1.23", "click": ">=8.1", "ai-edge-litert": ">=1.1"}),
        ("armv7l", "device", {"numpy": "<2,>=1.23", "click": ">=8.1"}),
    ],
)
def test_only_what_is_asked_for_on_this_machine_counts(
    monkeypatch: pytest.MonkeyPatch, machine: str, extra: str, wanted: dict[str, str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert wanted_versions(extra, REQUIREMENTS) == wanted


def test_without_packaging_no_range_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "optional_version", lambda package: "")
    assert wanted_versions("host", REQUIREMENTS) == {}


@pytest.fixture
def numpy_alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(environment, "PURPOSES", {"any command": PURPOSES["any command"]._replace(packages=("numpy",))})
    return monkeypatch


def test_a_package_outside_its_range_is_broken(numpy_alone: pytest.MonkeyPatch) -> None:
    numpy_alone.setattr(environment, "optional_version", lambda package: "1.22.4")
    (part,) = check_installation()
    assert part.broken
    assert part.state == 'does not fit: python3 -m pip install "ghost-edge"'


def test_a_package_that_is_missing_is_not_broken(numpy_alone: pytest.MonkeyPatch) -> None:
    numpy_alone.setattr(environment, "optional_version", lambda package: "26.0" if package == "packaging" else "")
    (part,) = check_installation()
    assert not part.broken
    assert part.state.startswith("missing: ")


def test_an_interpreter_that_dies_while_it_is_imported_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "built_for_another.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.syspath_prepend(tmp_path)
    litert = environment.INTERPRETERS["litert"]
    dying = type(litert)("built_for_another", *list(vars(litert).values())[1:])
    monkeypatch.setitem(environment.INTERPRETERS, "litert", dying)
    monkeypatch.setattr(environment, "optional_version", lambda package: "9.9")
    monkeypatch.setattr(environment, "PURPOSES", {"bench .tflite": PURPOSES["bench .tflite"]})
    (part,) = check_installation()
    assert part.broken
    assert "killed by SIGILL" in part.state


def test_a_report_says_nothing_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOST_EDGE_DATA", "/home/somebody/data")
    told = " ".join(f"{name} {value}" for name, value in describe_environment())
    assert not re.search(rf"/home|/root|{re.escape(platform.node())}", told)
    assert "GHOST_EDGE_DATA set" in told


def test_a_report_names_every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    named = dict(describe_environment())
    assert {package for need in PURPOSES.values() for package in packages_of(need)} <= set(named)


def test_convert_needs_what_its_extra_has_and_no_other_purpose_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: [*REQUIREMENTS, "jinja2>=3.1; extra == 'host'"])
    assert packages_of(PURPOSES["convert, train"]) == ("tensorflow", "jinja2")


def test_a_package_without_a_range_is_needed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: ["jinja2 ; extra == 'host'"])
    assert packages_of(PURPOSES["convert, train"]) == ("jinja2",)


def test_an_extra_that_no_metadata_explains_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: None)
    monkeypatch.setattr(environment, "PURPOSES", {"convert, train": PURPOSES["convert, train"]})
    (part,) = check_installation()
    assert part.state == 'missing: python3 -m pip install "ghost-edge[host]"'
