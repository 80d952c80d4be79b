"""The chain's bookkeeping: what runs, what is up to date, what is kept when a stage fails."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import ConversionError, DataError, GhostEdgeError
from ghost_edge.core.files import write_bytes
from ghost_edge.host.chain import run as pipeline
from ghost_edge.host.chain.run import run_chain, stage_key
from ghost_edge.host.chain.stages import STAGES, Stage
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe, parse_recipe

RECIPE = parse_recipe({"name": "m", "preprocess": {"size": 8}}, Path("m.toml"))
PLACES = Places(())


class Said:
    """A reporter that remembers the stages that ran and those that were up to date."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.skipped: list[str] = []

    def started(self, stage: str) -> None:
        pass

    def progress(self, stage: str, share: float, text: str) -> None:
        pass

    def finished(self, stage: str, seconds: float | None) -> None:
        (self.skipped if seconds is None else self.ran).append(stage)


def stage(name: str, *reads: str, settings: Any = None, fails: bool = False, **options: Any) -> Stage:
    """A stage that writes <name>.txt: its settings, and the content of what it reads."""

    def run(work: Work) -> tuple[Path, ...]:
        if fails:
            raise ConversionError(f"{name} refused")
        content = b"".join(work.path(read).read_bytes() for read in reads)
        write_bytes(content + repr(settings).encode(), work.path(f"{name}.txt"))
        return (work.path(f"{name}.txt"),)

    return Stage(name, run, lambda names: reads, lambda recipe, places: {"value": settings}, (), **options)


def chain(**changes: Stage) -> tuple[Stage, ...]:
    stages = {"a": stage("a"), "b": stage("b", "a.txt"), "c": stage("c"), **changes}
    return tuple(stages.values())


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
    (tmp_path / "a.txt").unlink()
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    assert run(tmp_path, *chain()).ran == ["a"]
    assert (tmp_path / "a.txt").read_bytes() == b"None"


def test_what_was_made_before_a_failure_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="b refused"):
        run(tmp_path, *chain(b=stage("b", "a.txt", fails=True)))
    said = run(tmp_path, *chain())
    assert (said.skipped, said.ran) == (["a"], ["b", "c"])


def test_missing_data_is_said_before_anything_runs(tmp_path: Path) -> None:
    def missing(recipe: Recipe, places: Places) -> Mapping[str, Any]:
        raise DataError("no images")

    with pytest.raises(DataError, match="no images"):
        run(tmp_path, *chain(c=dataclasses.replace(stage("c"), settings=missing)))
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
    assert records["a"]["files"] == {"a.txt": "dc937b59892604f5a86ac96936cd7ff09e25f18ae6b758e8014a24c7fa039e91"}


def key(folder: Path, made: Stage, recipe: Recipe = RECIPE) -> str:
    return stage_key(made, made.settings(recipe, PLACES), recipe, folder)


def test_a_key_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a literal: whoever changes what goes into a key makes everybody's folders stale, and should know
    monkeypatch.setattr(pipeline, "__version__", "1.2.3")
    (tmp_path / "a.txt").write_bytes(b"None")
    made = stage("b", "a.txt", settings=(1, 0.5, "x"), version=4)
    assert key(tmp_path, made) == "e54497da35daad23271c951e96e21cf526a1ddd4c1d83a1feafc22ca8f0aa0db"


Change = Callable[[Path, pytest.MonkeyPatch], tuple[Stage, Recipe]]
CHANGES: dict[str, Change] = {
    "name": lambda folder, patch: (stage("z", "a.txt"), RECIPE),
    "version": lambda folder, patch: (stage("b", "a.txt", version=2), RECIPE),
    "settings": lambda folder, patch: (stage("b", "a.txt", settings=1), RECIPE),
    "what it reads": lambda folder, patch: ((folder / "a.txt").write_bytes(b"x"), (stage("b", "a.txt"), RECIPE))[1],
    "what it does not find": lambda folder, patch: ((folder / "a.txt").unlink(), (stage("b", "a.txt"), RECIPE))[1],
    "tools": lambda folder, patch: (dataclasses.replace(stage("b", "a.txt"), tools=("numpy",)), RECIPE),
    "our version": lambda folder, patch: (
        patch.setattr(pipeline, "__version__", "9"),
        (stage("b", "a.txt"), RECIPE),
    )[1],
    "names of the files": lambda folder, patch: (stage("b", "a.txt"), dataclasses.replace(RECIPE, name="n")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_decides_the_result_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    (tmp_path / "a.txt").write_bytes(b"None")
    before = key(tmp_path, stage("b", "a.txt"))
    assert key(tmp_path, *change(tmp_path, monkeypatch)) != before


def test_the_same_stage_has_the_same_key_in_another_folder(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write_bytes(b"None", tmp_path / name / "a.txt")
    assert key(tmp_path / "x", stage("b", "a.txt")) == key(tmp_path / "y", stage("b", "a.txt"))


def test_no_stage_reads_what_is_made_after_it() -> None:
    names = layout(RECIPE)
    made_by = {
        "build": {names.keras, names.frozen, names.probe},
        "float": {names.float_tflite},
        "doctor": {names.doctor},
        "calibrate": {names.source, names.ranges},
        "quantize": {names.quantized},
        "layers": {names.layers},
        "export": {*names.exports, names.left_out},
        "verify": {names.verified},
        "parity": {names.parity, names.parity_images},
        "micro": {names.micro},
        "evaluate": {names.predictions, names.accuracy, names.disagreements},
        "gate": {names.verdict},
        "bench": {names.latency},
        "report": {names.manifest, names.report},
        "page": {names.page},
        "nodes": {names.nodes_sqnr, names.nodes_latency},
    }
    made: set[str] = set()
    for entry in STAGES:
        assert set(entry.reads(names)) <= made
        made |= made_by[entry.name]


def test_a_stage_that_would_block_is_not_taken_for_another_run(tmp_path: Path) -> None:
    def block(work: Work) -> tuple[Path, ...]:
        raise BlockingIOError("a pipe is full")

    with pytest.raises(BlockingIOError, match="a pipe is full"):
        run(tmp_path, dataclasses.replace(stage("a"), run=block))


def test_a_second_run_into_the_same_folder_at_the_same_time_is_refused(tmp_path: Path) -> None:
    def run_again(work: Work) -> tuple[Path, ...]:
        run(tmp_path, *chain())
        raise AssertionError("the folder was not locked")

    inner = dataclasses.replace(stage("a"), run=run_again)
    with pytest.raises(GhostEdgeError, match=r"another run writes into .*; wait for it"):
        run(tmp_path, inner)
    assert run(tmp_path, *chain()).ran == ["a", "b", "c"]
