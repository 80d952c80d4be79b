"""manifest.json for machines and report.md for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomllib

from ghost_edge import __version__
from ghost_edge.core.files import describe, sha256_file, write_bytes
from ghost_edge.core.manifest import FORMAT, Accuracy, Manifest, Model, write_manifest
from ghost_edge.device.environment import tool_versions
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.accuracy.layers import read_layers
from ghost_edge.host.chain.stages.build import find_weights
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import class_names
from ghost_edge.host.recipe.model_card import read_model_card
from ghost_edge.host.report.summary import as_report


def run(work: Work) -> tuple[Path, ...]:
    """Write both files from what the stages before have measured."""
    manifest = make_manifest(work)
    path, report = write_manifest(manifest, work.folder), work.path(work.names.report)
    write_bytes(as_report(manifest, read_layers(work.path(work.names.layers))).encode(), report)
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
