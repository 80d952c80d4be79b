"""Stages quantize and layers: the quantized .tflite, and what each of its layers lost."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from ghost_edge.core.dataset import spread
from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_bytes, write_json
from ghost_edge.core.manifest import Metadata, metadata_text
from ghost_edge.core.preprocess import prepare, prepare_all
from ghost_edge.core.progress import Say
from ghost_edge.host.accuracy.layers import examine, measure
from ghost_edge.host.calibration.observe import load_observed, observe_channels
from ghost_edge.host.chain.stage import Representative
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import quantize_observed
from ghost_edge.host.recipe.schema import Choice
from ghost_edge.host.tflite.edit import add_metadata
from ghost_edge.host.tflite.graph import parse_model, read_model

_LEAST, _MOST, _PIXELS = 6, 16, 200_000  # images, and pixels of them all: reference kernels are slow


@dataclasses.dataclass(frozen=True)
class QuantizeInputs:
    """The float .tflite to quantize, and the histograms of its activations."""

    source: Path
    ranges: Path


@dataclasses.dataclass(frozen=True)
class QuantizeSettings(Representative):
    """The images and the scheme; estimator: of ranges. onnx: the int8 ONNX model that the recipe asks for."""

    quantization: Choice
    estimator: str
    class_names: tuple[str, ...]
    onnx: Choice | None


@dataclasses.dataclass(frozen=True)
class QuantizeOutputs:
    """The quantized .tflite; plain_onnx: the int8 ONNX model without metadata, None where there is none."""

    quantized: Path
    plain_onnx: Path | None


def quantize(inputs: QuantizeInputs, settings: QuantizeSettings, outputs: QuantizeOutputs, say: Say) -> QuantizeOutputs:
    """Quantize the float model with the calibrated ranges.

    The file's metadata names the SHA-256 of its ONNX model, so that one is made here; export() completes it.
    """
    content = quantize_observed(
        read_model(inputs.source),
        load_observed(inputs.ranges),
        prepare_all(settings.calibration.dataset.images, settings.preprocess),
        settings.preprocess,
        settings.quantization.options,
        ranges=settings.estimator,
        say=say,
    )
    onnx = _to_onnx(content, settings.onnx, outputs.quantized.name) if settings.onnx else None
    metadata = Metadata(settings.preprocess, settings.class_names, hashlib.sha256(onnx).hexdigest() if onnx else "")
    write_bytes(add_metadata(content, metadata_text(metadata)), outputs.quantized)
    if onnx is None or outputs.plain_onnx is None:
        return dataclasses.replace(outputs, plain_onnx=None)
    write_bytes(onnx, outputs.plain_onnx)
    return outputs


def _to_onnx(content: bytes, choice: Choice, name: str) -> bytes | None:
    """Return the int8 ONNX model; None where an operation has none: export() says so."""
    try:
        return EXPORTERS[choice.kind].export(parse_model(content, name), choice.options)
    except ConversionError:
        return None


@dataclasses.dataclass(frozen=True)
class LayersInputs:
    """The float .tflite, what was quantized of it, its histograms, and the quantized .tflite."""

    float_tflite: Path
    source: Path
    ranges: Path
    quantized: Path


@dataclasses.dataclass(frozen=True)
class LayersOutputs:
    """layers.json: a row for each operation, in their order."""

    layers: Path


def layers(inputs: LayersInputs, settings: Representative, outputs: LayersOutputs, say: Say) -> LayersOutputs:
    """Compare the quantized file with the float file layer by layer: what was lost, and why."""
    preprocess, source, quantized = settings.preprocess, read_model(inputs.source), read_model(inputs.quantized)
    count = max(_LEAST, min(_MOST, _PIXELS // (preprocess.height * preprocess.width)))
    few = spread(settings.calibration.dataset.images, count)
    before = {}
    if inputs.source != inputs.float_tflite:
        plain = read_model(inputs.float_tflite)
        before = observe_channels(plain, (prepare(image, preprocess) for image in few))
    say(0.2, "channels of the float file")
    seen = measure(source, quantized, few, preprocess)
    rows = examine(source, quantized, seen, load_observed(inputs.ranges), before)
    write_json([dataclasses.asdict(row) for row in rows], outputs.layers)
    return outputs
