"""Stages report, page and nodes: the manifest for machines, report.md and report.html for people."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import tomllib

from ghost_edge import __version__
from ghost_edge.core.files import describe, read_document, write_bytes
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import Accuracy, Manifest, Model, write_manifest
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Say
from ghost_edge.device.bench_results import read_bench_json, results_from_document
from ghost_edge.device.environment import tool_versions
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.accuracy.layers import read_layers
from ghost_edge.host.chain.stage import Models, Nothing
from ghost_edge.host.chain.stages.judge import GateInputs, Machine, Verdict, read_accuracy
from ghost_edge.host.recipe.network import ModelCard
from ghost_edge.host.report.model_explorer import write_nodes
from ghost_edge.host.report.read import read_run
from ghost_edge.host.report.summary import as_report
from ghost_edge.host.tflite.op_latency import time_operations


@dataclasses.dataclass(frozen=True)
class ReportInputs(GateInputs):
    """The models and what was measured of them; None: not evaluated."""

    verdict: Path | None
    latency: Path
    layers: Path


@dataclasses.dataclass(frozen=True)
class ReportSettings:
    """The manifest's part of the recipe; model_card: of the weights, None without one."""

    name: str
    preprocess: Preprocess
    class_names: tuple[str, ...]
    gate: Limits
    weights_sha256: str
    model_card: ModelCard | None
    recipe_file: str
    recipe_text: str
    task: str


@dataclasses.dataclass(frozen=True)
class ReportOutputs:
    """manifest.json and report.md."""

    manifest: Path
    report: Path


def report(inputs: ReportInputs, settings: ReportSettings, outputs: ReportOutputs, say: Say) -> ReportOutputs:
    """Write both files from what earlier stages have measured."""
    manifest = make_manifest(inputs, settings)
    write_manifest(manifest, outputs.manifest.parent)
    write_bytes(as_report(manifest, read_layers(inputs.layers)).encode(), outputs.report)
    return outputs


def make_manifest(inputs: ReportInputs, settings: ReportSettings) -> Manifest:
    """Collect artifacts, their inputs and outputs, numbers and tool versions."""
    accuracy = read_accuracy(inputs.accuracy) if inputs.accuracy else {}
    model_card = settings.model_card
    timed = results_from_document(read_bench_json(inputs.latency), str(inputs.latency))
    medians = {result.path.name: result.stats.median_ms for result in timed if result.stats}
    return Manifest(
        name=settings.name,
        preprocess=settings.preprocess,
        class_names=settings.class_names,
        models=tuple(
            _describe_model(role, path, accuracy.get(role), medians[path.name]) for role, path in inputs.by_role.items()
        ),
        limits=settings.gate,
        predictions=describe(inputs.predictions) if inputs.predictions else None,
        gate=read_document(inputs.verdict, Verdict).reasons if inputs.verdict else (),
        recipe_sha256=hashlib.sha256(settings.recipe_text.encode()).hexdigest(),
        weights_sha256=settings.weights_sha256,
        tools={"ghost-edge": __version__, **tool_versions()},
        recipe=tomllib.loads(settings.recipe_text),
        recipe_file=settings.recipe_file,
        trained={"epochs": model_card.training["epochs"], "images": model_card.trained_on.images} if model_card else {},
        task=settings.task,
    )


def _describe_model(role: str, path: Path, accuracy: Accuracy | None, median_ms: float) -> Model:
    opened = open_model(path)
    return Model(role, describe(path), opened.inputs[0], opened.outputs[0], accuracy, median_ms)


@dataclasses.dataclass(frozen=True)
class PageInputs(Models):
    """Everything that report.html shows."""

    manifest: Path
    source: Path
    layers: Path
    ranges: Path
    doctor: Path
    verified: Path
    parity: Path
    latency: Path
    predictions: Path | None
    disagreements: Path | None


@dataclasses.dataclass(frozen=True)
class PageOutputs:
    """report.html."""

    page: Path


def page(inputs: PageInputs, settings: Nothing, outputs: PageOutputs, say: Say) -> PageOutputs:
    """Write report.html."""
    from ghost_edge.host.report.page import render  # here, because matplotlib takes half a second

    run = read_run(
        inputs.manifest.parent,
        open_file=lambda folder, name: folder / name,  # made by this very chain
        is_equalized=inputs.source != inputs.float_tflite,
    )
    write_bytes(render([run]).encode(), outputs.page)
    return outputs


@dataclasses.dataclass(frozen=True)
class NodesInputs:
    """The quantized .tflite, and what its layers lost."""

    quantized: Path
    layers: Path


@dataclasses.dataclass(frozen=True)
class NodesOutputs:
    """Node data for Model Explorer: dB behind each operation, and ms of it alone."""

    nodes_sqnr: Path
    nodes_latency: Path


def nodes(inputs: NodesInputs, settings: Machine, outputs: NodesOutputs, say: Say) -> NodesOutputs:
    """Write numbers by operation, for Model Explorer."""
    rows = [row for row in read_layers(inputs.layers) if row.index is not None]
    noise = {row.index: row.sqnr_db for row in rows if row.index is not None and row.sqnr_db is not None}
    write_nodes(noise, outputs.nodes_sqnr)
    write_nodes(dict(enumerate(time_operations(inputs.quantized))), outputs.nodes_latency, more_is_worse=True)
    return outputs
