"""The chain: a literal list of stages, in an order that has a reason."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ghost_edge.core.files import sha256_file
from ghost_edge.device.environment import PACKAGES, optional_version
from ghost_edge.host.chain.stages import (
    build,
    calibrate,
    doctor,
    evaluate,
    export,
    float_model,
    gate,
    latency,
    layers,
    micro,
    nodes,
    page,
    parity,
    quantize,
    report,
    verify,
)
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import class_names, fingerprint
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import Layout
from ghost_edge.host.recipe.schema import Recipe

Settings = Callable[[Recipe, Places], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of the chain.

    run: writes files into the folder and returns them.
    reads: files of earlier stages; settings: its part of the recipe, with the fingerprints of outside data.
    tools: packages whose version changes the result. version: raised when the code of the stage changes its output.
    """

    name: str
    run: Callable[[Work], tuple[Path, ...]]
    reads: Callable[[Layout], tuple[str, ...]]
    settings: Settings
    tools: tuple[str, ...]
    version: int = 1


def _calibration(recipe: Recipe, places: Places) -> Mapping[str, Any]:
    calibration = fingerprint(recipe.calibration, places) if recipe.calibration else None
    return {"calibration": calibration, "preprocess": recipe.preprocess, "seed": recipe.seed}


def _evaluation(recipe: Recipe, places: Places) -> Mapping[str, Any]:
    evaluation = fingerprint(recipe.evaluation, places) if recipe.evaluation else None
    return {"evaluation": evaluation, "preprocess": recipe.preprocess}


def _exports(recipe: Recipe, places: Places) -> Mapping[str, Any]:
    return {
        "exports": recipe.exports,
        "preprocess": recipe.preprocess,
        "class_names": class_names(recipe, places),
    }


STAGES: tuple[Stage, ...] = (
    # one trace: the .tflite, and by it everything else, is made of this frozen graph
    Stage("build", build.run, lambda names: (), build.settings, ("tensorflow", "keras"), version=3),
    Stage("float", float_model.run, lambda names: (names.frozen,), lambda recipe, places: {}, ("tensorflow",)),
    # before calibrate: ranges of unfit images would be worth nothing
    Stage(
        "doctor",
        doctor.run,
        lambda names: (names.float_tflite,),
        lambda recipe, places: {
            **_evaluation(recipe, places),
            **_calibration(recipe, places),
            **build.settings(recipe, places),
        },
        ("ai-edge-litert", "numpy", "Pillow"),
    ),
    # before quantize: its ranges are what scales are made of
    Stage(
        "calibrate",
        calibrate.run,
        lambda names: (names.float_tflite,),
        lambda recipe, places: {
            **_calibration(recipe, places),
            "equalize": recipe.quantization.options.equalize,
        },
        ("ai-edge-litert", "numpy", "Pillow"),
        version=4,
    ),
    Stage(
        "quantize",
        quantize.run,
        lambda names: (names.source, names.ranges),
        lambda recipe, places: {
            **_calibration(recipe, places),
            **_exports(recipe, places),
            "quantization": recipe.quantization,
        },
        ("litert-quantizer", "ai-edge-litert", "numpy", "Pillow"),
        version=3,
    ),
    # before verify and gate: who is told no wants to know which layer
    Stage(
        "layers",
        layers.run,
        lambda names: (names.float_tflite, names.source, names.ranges, names.quantized),
        _calibration,
        ("ai-edge-litert", "numpy", "Pillow"),
        version=2,
    ),
    Stage(
        "export",
        export.run,
        lambda names: (names.float_tflite, names.quantized),
        _exports,
        ("tf2onnx", "onnx"),
        version=3,
    ),
    # before evaluate: thousands of images through a wrong file would only waste time
    Stage(
        "verify",
        verify.run,
        lambda names: (names.probe, *names.models.values()),
        lambda recipe, places: {"quantization": recipe.quantization.kind, "target": recipe.target},
        ("ai-edge-litert", "onnxruntime"),
    ),
    Stage(
        "parity",
        parity.run,
        lambda names: tuple(names.models.values()),
        lambda recipe, places: {
            **_calibration(recipe, places),
            **build.settings(recipe, places),
            "tflite-micro": optional_version("tflite-micro"),
        },
        ("ai-edge-litert", "onnxruntime", "tensorflow", "keras", "numpy", "Pillow"),
        version=2,
    ),
    Stage(
        "micro",
        micro.run,
        lambda names: (names.quantized,),
        lambda recipe, places: {
            **_calibration(recipe, places),
            **_evaluation(recipe, places),
            "micro": recipe.micro,
            "tflite-micro": optional_version("tflite-micro"),
        },
        ("ai-edge-litert", "numpy", "Pillow"),
    ),
    Stage(
        "evaluate",
        evaluate.run,
        lambda names: tuple(names.models.values()),
        _evaluation,
        ("ai-edge-litert", "onnxruntime", "numpy", "Pillow"),
        version=3,
    ),
    # writes its verdict and lets the chain go on: the report of a model that failed is the one people need
    Stage(
        "gate",
        gate.run,
        lambda names: (names.predictions, names.accuracy, *names.models.values()),
        lambda recipe, places: {"gate": recipe.gate},
        (),
        version=2,
    ),
    Stage(
        "bench",
        latency.run,
        lambda names: tuple(names.models.values()),
        lambda recipe, places: {"machine": (platform.node(), platform.machine(), os.cpu_count())},
        ("ai-edge-litert", "onnxruntime"),
        version=3,
    ),
    Stage(
        "report",
        report.run,
        lambda names: (
            *names.models.values(),
            names.predictions,
            names.accuracy,
            names.verdict,
            names.latency,
            names.layers,
        ),
        lambda recipe, places: {"recipe": sha256_file(recipe.path), **build.settings(recipe, places)},
        PACKAGES,
        version=2,
    ),
    Stage(
        "page",
        page.run,
        lambda names: (
            *(names.manifest, names.layers, names.ranges, names.disagreements, names.float_tflite, names.source),
            *(names.doctor, names.verified, names.latency, names.parity),
        ),
        lambda recipe, places: {},
        ("matplotlib", "Jinja2", "numpy"),
    ),
    # last: an operation that does not run alone must not cost the rest
    Stage(
        "nodes",
        nodes.run,
        lambda names: (names.quantized, names.layers),
        lambda recipe, places: {},
        ("ai-edge-litert",),
    ),
)
