"""Run the chain: skip what is up to date, record what was made as it is made."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ghost_edge import __version__
from ghost_edge.core.errors import GhostEdgeError
from ghost_edge.core.files import sha256_file, write_json
from ghost_edge.core.progress import Reporter
from ghost_edge.device.environment import tool_versions
from ghost_edge.host.chain.stages import STAGES, Stage
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import RECORDS, Record, layout, read_records
from ghost_edge.host.recipe.schema import Recipe


def run_chain(
    recipe: Recipe, places: Places, folder: Path, reporter: Reporter, *, stages: tuple[Stage, ...] = STAGES
) -> None:
    """Run every stage that is not up to date. Raises what a stage raises; records of the stages before are kept.

    stages: the chain, or its beginning.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GhostEdgeError(f"{folder} cannot be made ({error.strerror}); choose another --out") from error
    with _alone(folder):
        _run_stages(recipe, places, folder, reporter, stages)


def _run_stages(recipe: Recipe, places: Places, folder: Path, reporter: Reporter, stages: tuple[Stage, ...]) -> None:
    # all settings first: missing data should be said now, not after minutes of work
    settings = {stage.name: stage.settings(recipe, places) for stage in stages}
    records = read_records(folder)
    for stage in stages:
        key = stage_key(stage, settings[stage.name], recipe, folder)
        record = records.get(stage.name)
        if record is not None and record.key == key and _is_intact(record, folder):
            reporter.finished(stage.name, None)
            continue
        reporter.started(stage.name)
        started = time.perf_counter()
        work = Work(recipe, places, folder, tell=functools.partial(reporter.progress, stage.name))
        made = stage.run(work)
        records[stage.name] = Record(key, {path.name: sha256_file(path) for path in made})
        write_json({name: dataclasses.asdict(kept) for name, kept in records.items()}, folder / RECORDS)
        reporter.finished(stage.name, time.perf_counter() - started)


def stage_key(stage: Stage, settings: Mapping[str, Any], recipe: Recipe, folder: Path) -> str:
    """SHA-256 over name, version, settings, what the stage reads and the tools it uses: same key, same result."""
    reads = {name: _digest(folder / name) for name in stage.reads(layout(recipe))}
    content = {
        "name": stage.name,
        "version": [__version__, stage.version],
        "settings": settings,
        "files": layout(recipe),
        "reads": reads,
        "tools": tool_versions(stage.tools),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=dataclasses.asdict).encode()).hexdigest()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process; GhostEdgeError where another run has it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GhostEdgeError(f"another run writes into {folder}; wait for it, or choose another --out") from error
        yield
    finally:
        os.close(handle)


def _is_intact(record: Record, folder: Path) -> bool:
    return all(_digest(folder / name) == digest for name, digest in record.files.items())


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() else ""
