"""The chain: a literal list of stages in an order that has a reason, and its run: skip what is up to date."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import GhostEdgeError
from ghost_edge.core.files import sha256_file, write_json
from ghost_edge.core.progress import Progress, timed
from ghost_edge.device.environment import PACKAGES
from ghost_edge.host.chain.stage import Files, Outside, Stage, paths_of, stage_key
from ghost_edge.host.chain.stages import build, export, judge, prove, quantize, report
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import RECORDS, Record, layout, read_records
from ghost_edge.host.recipe.schema import Recipe

_IMAGES = ("ai-edge-litert", "numpy", "Pillow")  # packages that run a model on images

STAGES: tuple[Stage, ...] = (
    # one trace: the .tflite, and by it everything else, is made of this frozen graph
    Stage("build", build.build, ("tensorflow", "keras"), version=4),
    Stage("float", build.convert_float, tools=("tensorflow",)),
    # before calibrate: ranges of unfit images would be worth nothing
    Stage("doctor", quantize.doctor, _IMAGES),
    # before quantize: its ranges are what scales are made of
    Stage("calibrate", quantize.calibrate, _IMAGES, version=4),
    Stage("quantize", quantize.quantize, ("litert-quantizer", "onnx", *_IMAGES), version=4),
    # before verify and gate: whoever reads FAIL wants to know which layer
    Stage("layers", quantize.layers, _IMAGES, version=2),
    Stage("export", export.export, ("tf2onnx", "onnx"), version=4),
    # before evaluate: thousands of images through a wrong file would only waste time
    Stage("verify", prove.verify, ("ai-edge-litert", "onnxruntime")),
    Stage("parity", prove.parity, ("onnx", "onnxruntime", "tensorflow", *_IMAGES), version=3),
    Stage("micro", export.micro, _IMAGES),
    Stage("evaluate", judge.evaluate, ("onnxruntime", *_IMAGES), version=3),
    # writes its verdict and lets the chain go on: the report of a model that failed is the one people need
    Stage("gate", judge.gate, version=2),
    Stage("bench", judge.bench, ("ai-edge-litert", "onnxruntime"), version=4, own_settings=judge.this_machine),
    Stage("report", report.report, PACKAGES, version=3),
    Stage("page", report.page, tools=("matplotlib", "Jinja2", "numpy")),
    # last: an operation that does not run alone must not cost the rest
    Stage("nodes", report.nodes, ("ai-edge-litert",), own_settings=judge.this_machine),
)


def run_chain(
    recipe: Recipe, places: Places, folder: Path, reporter: Progress, *, stages: tuple[Stage, ...] = STAGES
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


def _run_stages(recipe: Recipe, places: Places, folder: Path, reporter: Progress, stages: tuple[Stage, ...]) -> None:
    outside, names, records = Outside(recipe, places), layout(recipe), read_records(folder)
    # all settings first: missing data should be said now, not after minutes of work
    settings = {stage.name: stage.settings(outside) for stage in stages}
    made: dict[str, Files] = {}
    for stage in stages:
        inputs, outputs = stage.take(made), stage.place(names, folder)
        key = stage_key(stage, inputs, settings[stage.name], outputs)
        record = records.get(stage.name)
        if record is not None and record.key == key and _is_intact(record, folder):
            reporter.finished(stage.name, None)
        else:
            with timed(reporter, stage.name) as say:
                outputs = stage.run(inputs, settings[stage.name], outputs, say)
                record = records[stage.name] = Record(key, _digests(outputs, folder))
                write_json({name: dataclasses.asdict(kept) for name, kept in records.items()}, folder / RECORDS)
        made.update({field: _made(files, record, folder) for field, files in vars(outputs).items()})


def _made(files: Files, record: Record, folder: Path) -> Files:
    """Return the files of a field that were made: an export may have been left out."""
    there = tuple(path for path in paths_of(files) if str(path.relative_to(folder)) in record.files)
    return there if isinstance(files, tuple) else next(iter(there), None)


def _digests(outputs: Any, folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every output, by its path in the folder."""
    paths = [path for files in vars(outputs).values() for path in paths_of(files)]
    return {str(path.relative_to(folder)): sha256_file(path) for path in paths}


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
    return all(
        (folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in record.files.items()
    )
