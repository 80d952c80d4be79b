"""manifest.json for machines and report.md for people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import tomllib

from ghost_edge import __version__
from ghost_edge.core.files import describe, sha256_file, write_bytes
from ghost_edge.core.manifest import FORMAT, Accuracy, Manifest, Model, write_manifest
from ghost_edge.core.tables import Column, as_markdown
from ghost_edge.device.environment import tool_versions
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.accuracy.layers import COLUMNS as LAYERS
from ghost_edge.host.accuracy.layers import layer_table
from ghost_edge.host.chain.stages.build import find_weights
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import class_names
from ghost_edge.host.recipe.model_card import read_model_card

COLUMNS = (
    Column("artifact", "file"),
    Column("bytes", "size_bytes", ","),
    Column("top-1", "top1", ".2%"),
    Column("top-5", "top5", ".2%"),
    Column("drop (points)", "drop"),
    Column("agreement", "agreement", ".2%"),
    Column("SQNR dB", "sqnr_db", ".1f"),
    Column("median ms here", "median_ms", ".3f"),
)
_WORST = 3
_LAYERS = """## Layers

Where most noise enters, as a share of the signal's power: [image](layers.svg), [all layers](layers.json).
Without a reason: rounded weights, or earlier noise that the layer amplifies."""


def run(work: Work) -> tuple[Path, ...]:
    """Write both files from what the stages before have measured."""
    manifest = make_manifest(work)
    path = write_manifest(manifest, work.folder)
    verdict = "passed" if not manifest.gate else "NOT passed: " + "; ".join(manifest.gate)
    judged = f"Gate: {verdict}." if manifest.predictions else "Gate: not judged, the recipe has no [evaluation]."
    worst = as_markdown(layer_table(work.path(work.names.layers), _WORST), LAYERS)
    lines = [f"# {manifest.name}", as_markdown(summary_rows(manifest), COLUMNS), judged, _LAYERS, worst]
    report = work.path(work.names.report)
    write_bytes("\n\n".join([*lines, ""]).encode(), report)
    return path, report


def make_manifest(work: Work) -> Manifest:
    """Collect artifacts, their inputs and outputs, numbers and tool versions."""
    judged = work.recipe.evaluation is not None
    accuracy = _read(work.path(work.names.accuracy)) if judged else {}
    verdict = _read(work.path(work.names.verdict)) if judged else {"reasons": []}
    medians = {
        Path(row["path"]).name: row["stats"]["median_ms"] for row in _read(work.path(work.names.latency))["results"]
    }
    weights = find_weights(work.recipe, work.places)
    return Manifest(
        format=FORMAT,
        name=work.recipe.name,
        preprocess=work.recipe.preprocess,
        class_names=class_names(work.recipe, work.places),
        models=tuple(
            _describe_model(role, path, accuracy.get(role), medians[path.name]) for role, path in work.models.items()
        ),
        limits=work.recipe.gate,
        predictions=describe(work.path(work.names.predictions)) if judged else None,
        gate=tuple(verdict["reasons"]),
        recipe_sha256=sha256_file(work.recipe.path),
        weights_sha256=sha256_file(weights) if weights else "",
        tools={"ghost-edge": __version__, **tool_versions()},
        recipe=tomllib.loads(work.recipe.path.read_text(encoding="utf-8")),
        recipe_file=work.recipe.path.name,
        trained=_training_of(weights) if weights else {},
    )


def _training_of(weights: Path) -> dict[str, Any]:
    """Return epochs and images by the model card of `ghost-edge train`; empty without one of these weights."""
    found = read_model_card(weights)
    return {"epochs": found.training["epochs"], "images": found.trained_on.images} if found else {}


def delegate_doubts(verified: Path) -> list[str]:
    """What verify.json says against the quantized file's speed: a line where the delegate did not take it whole."""
    found = _read(verified)
    parts, taken, total = found["delegate_partitions"], found["delegated_operations"], sum(found["operations"].values())
    # XNNPACK takes no QUANTIZE between int8 and uint8
    if parts is None or (parts == 1 and taken >= total - found["operations"].get("QUANTIZE", 0)):
        return []
    return [
        f"doubt: the delegate took {taken} of {total} operations here, in {parts} partitions; the rest runs on "
        "plain kernels, which can be slower than float: ghost-edge inspect lists the operations"
    ]


def summary_rows(manifest: Manifest) -> list[dict[str, Any]]:
    """One row an artifact; None where it was not evaluated, or where it is the reference of the others."""
    rows = []
    for model in manifest.models:
        file = {"file": model.artifact.file, "size_bytes": model.artifact.size_bytes, "median_ms": model.median_ms}
        rows.append({**dict.fromkeys(column.key for column in COLUMNS), **file})
        if model.accuracy is not None:
            cells = accuracy_cells(model.accuracy)
            rows[-1].update({key: cells[key] for key in ("top1", "top5")} if model.role == "float" else cells)
    return rows


def accuracy_cells(accuracy: Accuracy) -> dict[str, Any]:
    """Cells of COLUMNS for a model that has a reference; the drop in points with its margin."""
    drop = f"{accuracy.drop * 100:.2f} ± {accuracy.margin * 100:.2f}"
    return {**dataclasses.asdict(accuracy), "drop": drop}


def _describe_model(role: str, path: Path, accuracy: dict[str, Any] | None, median_ms: float) -> Model:
    opened = open_model(path)
    return Model(
        role=role,
        artifact=describe(path),
        input=opened.inputs[0],
        output=opened.outputs[0],
        accuracy=Accuracy(**accuracy) if accuracy else None,
        median_ms=median_ms,
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
