"""Stages doctor, calibrate, quantize and layers: from calibration images to a quantized .tflite."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_bytes, write_json
from ghost_edge.core.manifest import Metadata, metadata_text
from ghost_edge.core.preprocess import prepare, prepare_all
from ghost_edge.core.progress import Say, count, part
from ghost_edge.host.accuracy.layers import examine, measure
from ghost_edge.host.calibration.observe import load_observed, observe_channels, observe_halves, save_observed
from ghost_edge.host.chain.stage import Representative
from ghost_edge.host.datasets import Images
from ghost_edge.host.datasets.health import health, refuse_fatal
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import quantize_observed
from ghost_edge.host.quantization.equalization import equalize_for
from ghost_edge.host.recipe.network import ModelCard
from ghost_edge.host.recipe.output import EQUALIZED
from ghost_edge.host.recipe.schema import Choice
from ghost_edge.host.tflite.edit import add_metadata
from ghost_edge.host.tflite.graph import parse_model, read_model


@dataclasses.dataclass(frozen=True)
class FloatModel:
    """The float .tflite."""

    float_tflite: Path


@dataclasses.dataclass(frozen=True)
class DoctorSettings(Representative):
    """The images and their use; model_card: of the weights, None without one."""

    evaluation: Images | None
    label_offset: int
    model_card: ModelCard | None


@dataclasses.dataclass(frozen=True)
class DoctorOutputs:
    """doctor.json: the findings that are no reason to stop."""

    doctor: Path


def doctor(inputs: FloatModel, settings: DoctorSettings, outputs: DoctorOutputs, say: Say) -> DoctorOutputs:
    """Look at the calibration images before anything is quantized with them; raises DataError where they are unfit."""
    model_card = settings.model_card
    found = health(
        settings.calibration,
        settings.evaluation,
        inputs.float_tflite,
        settings.preprocess,
        label_offset=settings.label_offset,
        model_card_top1=model_card.top1 if model_card else None,
        trained=model_card.preprocess if model_card else None,
    )
    refuse_fatal(found)
    write_json([dataclasses.asdict(finding) for finding in found], outputs.doctor)
    return outputs


@dataclasses.dataclass(frozen=True)
class CalibrateSettings(Representative):
    """The images; equalize: the scheme asks for cross-layer equalization first."""

    equalize: bool


@dataclasses.dataclass(frozen=True)
class CalibrateOutputs:
    """ranges: histograms of activations. source: the float .tflite to quantize, equalized or the float model itself."""

    ranges: Path
    source: Path


def calibrate(inputs: FloatModel, settings: CalibrateSettings, outputs: CalibrateOutputs, say: Say) -> CalibrateOutputs:
    """Equalize the float model if asked, and count the values of its activations over the calibration images."""
    model, source = read_model(inputs.float_tflite), inputs.float_tflite
    given = prepare_all(settings.calibration.dataset.images, settings.preprocess)
    if settings.equalize:
        content = equalize_for(model, given, part(say, 0.0, 0.3))
        source = outputs.source
        write_bytes(content, source)
        model = parse_model(content, source.name)
        say = part(say, 0.3, 0.7)
    else:
        (outputs.ranges.parent / EQUALIZED).unlink(missing_ok=True)  # of an earlier recipe
    save_observed(observe_halves(model, given, count(say, len(given))), outputs.ranges)
    return dataclasses.replace(outputs, source=source)


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
class LayersInputs(QuantizeInputs):
    """The float .tflite, what was quantized of it, its histograms, and the quantized .tflite."""

    float_tflite: Path
    quantized: Path


@dataclasses.dataclass(frozen=True)
class LayersOutputs:
    """layers.json: a row for each operation, in their order."""

    layers: Path


def layers(inputs: LayersInputs, settings: Representative, outputs: LayersOutputs, say: Say) -> LayersOutputs:
    """Compare the quantized file with the float file layer by layer: what was lost, and why."""
    preprocess, source, quantized = settings.preprocess, read_model(inputs.source), read_model(inputs.quantized)
    few = settings.few(6, 16, pixels=200_000)
    before = {}
    if inputs.source != inputs.float_tflite:
        plain = read_model(inputs.float_tflite)
        before = observe_channels(plain, (prepare(image, preprocess) for image in few))
    say(0.2, "channels of the float file")
    seen = measure(source, quantized, few, preprocess)
    rows = examine(source, quantized, seen, load_observed(inputs.ranges), before)
    write_json([dataclasses.asdict(row) for row in rows], outputs.layers)
    return outputs
