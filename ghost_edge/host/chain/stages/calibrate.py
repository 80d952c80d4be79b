"""Stages doctor and calibrate: the health of the calibration images, and the histogram of every activation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.files import write_bytes, write_json
from ghost_edge.core.preprocess import Preprocess, prepare_all
from ghost_edge.core.progress import Say, count, part
from ghost_edge.host.calibration.observe import observe_halves, save_observed
from ghost_edge.host.chain.stage import Representative
from ghost_edge.host.datasets import Images
from ghost_edge.host.datasets.health import health, refuse_fatal
from ghost_edge.host.quantization.equalization import equalize_for
from ghost_edge.host.recipe.network import ModelCard
from ghost_edge.host.recipe.output import EQUALIZED
from ghost_edge.host.tflite.graph import parse_model, read_model


@dataclasses.dataclass(frozen=True)
class FloatModel:
    """The float .tflite."""

    float_tflite: Path


@dataclasses.dataclass(frozen=True)
class DoctorSettings:
    """The images and their use; model_card: of the weights, None without one."""

    calibration: Images
    evaluation: Images | None
    label_offset: int
    preprocess: Preprocess
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
