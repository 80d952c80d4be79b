"""The runner of the chain: what runs, what is up to date, what is kept when a stage fails."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import ConversionError, DataError, GhostEdgeError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.progress import Reporter, Say
from ghost_edge.host.chain import stage as stage_module
from ghost_edge.host.chain.stage import Nothing, Outside, Stage, paths_of, stage_key
from ghost_edge.host.chain.stages import STAGES, run_chain
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe, parse_recipe

RECIPE = parse_recipe({"name": "m", "preprocess": {"size": 8}}, Path("m.toml"))
PLACES = Places(())


class Said(Reporter):
    """A reporter that remembers the stages that ran and those that were up to date."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.skipped: list[str] = []

    def finished(self, step: str, seconds: float | None) -> None:
        (self.skipped if seconds is None else self.ran).append(step)


@dataclasses.dataclass(frozen=True)
class First:
    keras: Path


@dataclasses.dataclass(frozen=True)
class Second:
    frozen: Path


@dataclasses.dataclass(frozen=True)
class Third:
    probe: Path


@dataclasses.dataclass(frozen=True)
class Value:
    value: Any


def write(content: bytes, settings: Value, outputs: Any) -> None:
    (path,) = (path for files in vars(outputs).values() for path in paths_of(files))
    if settings.value == "fails":
        raise ConversionError("b refused")
    write_bytes(content + repr(settings.value).encode(), path)


def run_a(inputs: Nothing, settings: Value, outputs: First, say: Say) -> First:
    write(b"", settings, outputs)
    return outputs


def run_b(inputs: First, settings: Value, outputs: Second, say: Say) -> Second:
    write(inputs.keras.read_bytes(), settings, outputs)
    return outputs


def run_c(inputs: Nothing, settings: Value, outputs: Third, say: Say) -> Third:
    write(b"", settings, outputs)
    return outputs


RUNS: dict[str, Callable[..., Any]] = {"a": run_a, "b": run_b, "c": run_c}


def stage(name: str, *, settings: Any = None, **options: Any) -> Stage:
    """A stage that writes its settings, behind the content of what it reads: b reads what a made."""
    return Stage(name, RUNS[name], own_settings=lambda outside: Value(settings), **options)


def chain(**changes: Stage) -> tuple[Stage, ...]:
    return tuple({"a": stage("a"), "b": stage("b"), "c": stage("c"), **changes}.values())


def run(folder: Path, *stages: Stage, recipe: Recipe = RECIPE) -> Said:
    said = Said()
    run_chain(recipe, PLACES, folder, said, stages=stages)
    return said


def test_a_first_run_runs_every_stage(tmp_path: Path) -> None:
    assert run(tmp_path, *chain()).ran == ["a", "b", "c"]


def test_a_second_run_runs_none(tmp_path: Path) -> None:
    run(tmp_path, *chain())
    assert run(tmp_path, *chain()).skipped == ["a", "b", "c"]


def test_other_settings_run_the_stage_and_those_that_read_what_it_made(tmp_path: Path) -> None:
    run(tmp_path, *chain())
    assert run(tmp_path, *chain(a=stage("a", settings=1))).ran == ["a", "b"]


def test_a_stage_that_makes_the_same_bytes_stops_the_change(tmp_path: Path) -> None:
    run(tmp_path, *chain())
    assert run(tmp_path, *chain(a=stage("a", version=2))).ran == ["a"]


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_lost_or_damaged_file_is_made_again_alone(tmp_path: Path, content: bytes | None) -> None:
    run(tmp_path, *chain())
    (tmp_path / "m.keras").unlink()
    if content is not None:
        (tmp_path / "m.keras").write_bytes(content)
    assert run(tmp_path, *chain()).ran == ["a"]
    assert (tmp_path / "m.keras").read_bytes() == b"None"


def test_what_was_made_before_a_failure_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="b refused"):
        run(tmp_path, *chain(b=stage("b", settings="fails")))
    said = run(tmp_path, *chain())
    assert (said.skipped, said.ran) == (["a"], ["b", "c"])


def test_missing_data_is_said_before_anything_runs(tmp_path: Path) -> None:
    def missing(outside: Outside) -> Any:
        raise DataError("no images")

    with pytest.raises(DataError, match="no images"):
        run(tmp_path, *chain(c=dataclasses.replace(stage("c"), own_settings=missing)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 3}', '{"a": {"key": "x"}}', "\x00"])
def test_a_damaged_record_counts_as_nothing_made(tmp_path: Path, content: str) -> None:
    run(tmp_path, *chain())
    (tmp_path / "chain.json").write_text(content)
    assert run(tmp_path, *chain()).ran == ["a", "b", "c"]


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(GhostEdgeError, match=r"out cannot be made \(File exists\); choose another --out"):
        run(tmp_path / "out", *chain())


def test_records_name_every_file_with_its_hash(tmp_path: Path) -> None:
    run(tmp_path, *chain())
    records = json.loads((tmp_path / "chain.json").read_text())
    # sha256sum of the four bytes "None"
    assert records["a"]["files"] == {"m.keras": "dc937b59892604f5a86ac96936cd7ff09e25f18ae6b758e8014a24c7fa039e91"}


def test_files_in_a_folder_of_their_own_are_up_to_date_too(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Kit:
        micro: Path | tuple[Path, ...]

    def run_kit(inputs: Any, settings: Any, outputs: Any, say: Say) -> Any:
        write_bytes(b"x", outputs.micro / "x.h")
        return Kit((outputs.micro / "x.h",))

    run_kit.__annotations__.update(inputs=Nothing, settings=Nothing, **{"return": Kit})
    kit = Stage("kit", run_kit)
    assert run(tmp_path, kit).ran == ["kit"]
    assert run(tmp_path, kit).skipped == ["kit"]


def key(folder: Path, made: Stage, recipe: Recipe = RECIPE) -> str:
    inputs = made.take({"keras": folder / "m.keras"})
    return stage_key(made, inputs, made.settings(Outside(recipe, PLACES)), made.place(layout(recipe), folder))


def test_a_key_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a literal: whoever changes what goes into a key makes everybody's folders stale, and should know
    monkeypatch.setattr(stage_module, "__version__", "1.2.3")
    (tmp_path / "m.keras").write_bytes(b"None")
    made = stage("b", settings=(1, 0.5, "x"), version=4)
    # sha256sum of {"inputs": {"keras": [["m.keras", "dc93...ae91"]]}, "name": "b",
    # "outputs": {"frozen": ["frozen.pb"]}, "settings": {"value": [1, 0.5, "x"]}, "tools": {}, "version": ["1.2.3", 4]}
    assert key(tmp_path, made) == "6b0ed8600cbb274cd2445e554a2ddef5743e9ea2590767884c993f97ca6c2175"


Change = Callable[[Path, pytest.MonkeyPatch], tuple[Stage, Recipe]]
CHANGES: dict[str, Change] = {
    "name": lambda folder, patch: (dataclasses.replace(stage("b"), name="z"), RECIPE),
    "version": lambda folder, patch: (stage("b", version=2), RECIPE),
    "settings": lambda folder, patch: (stage("b", settings=1), RECIPE),
    "what it reads": lambda folder, patch: ((folder / "m.keras").write_bytes(b"x"), (stage("b"), RECIPE))[1],
    "tools": lambda folder, patch: (stage("b", tools=("numpy",)), RECIPE),
    "our version": lambda folder, patch: (
        patch.setattr(stage_module, "__version__", "9"),
        (stage("b"), RECIPE),
    )[1],
    "names of its outputs": lambda folder, patch: (dataclasses.replace(stage("b"), run=into_probe), RECIPE),
}


def into_probe(inputs: First, settings: Value, outputs: Third, say: Say) -> Third:
    raise AssertionError("only its key is asked for")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_decides_the_result_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    (tmp_path / "m.keras").write_bytes(b"None")
    before = key(tmp_path, stage("b"))
    assert key(tmp_path, *change(tmp_path, monkeypatch)) != before


def test_the_same_stage_has_the_same_key_in_another_folder(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write_bytes(b"None", tmp_path / name / "m.keras")
    assert key(tmp_path / "x", stage("b")) == key(tmp_path / "y", stage("b"))


def test_no_stage_reads_what_is_made_after_it() -> None:
    made: set[str] = set()
    for entry in STAGES:
        assert {field.name for field in dataclasses.fields(entry.inputs_class)} <= made
        made |= {field.name for field in dataclasses.fields(entry.outputs_class)}


def test_a_stage_that_would_block_is_not_taken_for_another_run(tmp_path: Path) -> None:
    def block(inputs: Nothing, settings: Value, outputs: First, say: Say) -> First:
        raise BlockingIOError("a pipe is full")

    with pytest.raises(BlockingIOError, match="a pipe is full"):
        run(tmp_path, dataclasses.replace(stage("a"), run=block))


def test_a_second_run_into_the_same_folder_at_the_same_time_is_refused(tmp_path: Path) -> None:
    def run_again(inputs: Nothing, settings: Value, outputs: First, say: Say) -> First:
        run(tmp_path, *chain())
        raise AssertionError("the folder was not locked")

    inner = dataclasses.replace(stage("a"), run=run_again)
    with pytest.raises(GhostEdgeError, match=r"another run writes into .*; wait for it"):
        run(tmp_path, inner)
    assert run(tmp_path, *chain()).ran == ["a", "b", "c"]
