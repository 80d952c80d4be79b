"""Stages verify and parity: every file is what was asked for, and every runtime gives the same answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.files import read_npz, write_json
from ghost_edge.core.preprocess import prepare
from ghost_edge.core.progress import Say
from ghost_edge.host.accuracy.parity import check_parity, measure_parity, save_images
from ghost_edge.host.board.bundle import store_image
from ghost_edge.host.chain.stage import Models, Representative
from ghost_edge.host.networks.frozen import answer, import_frozen
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.recipe.schema import Choice
from ghost_edge.host.tflite.verify import verify_models


@dataclasses.dataclass(frozen=True)
class VerifyInputs(Models):
    """The models, and the probes of build()."""

    probe: Path


@dataclasses.dataclass(frozen=True)
class VerifySettings:
    """The scheme, and a board in TARGETS, None for any."""

    quantization: Choice
    target: str | None


@dataclasses.dataclass(frozen=True)
class VerifyOutputs:
    """verify.json."""

    verified: Path


def verify(inputs: VerifyInputs, settings: VerifySettings, outputs: VerifyOutputs, say: Say) -> VerifyOutputs:
    """Read everything back; raises ConversionError naming the tensor, operation or file that is not as it should."""
    probe = read_npz(inputs.probe, ("inputs", "logits"))
    found = verify_models(
        inputs.by_role,
        QUANTIZERS[settings.quantization.kind].dtypes,
        probe["inputs"],
        probe["logits"],
        target=settings.target,
        say=say,
    )
    write_json(dataclasses.asdict(found), outputs.verified)
    return outputs


@dataclasses.dataclass(frozen=True)
class ParityInputs(Models):
    """The models, and the frozen graph that answers for Keras."""

    frozen: Path


@dataclasses.dataclass(frozen=True)
class ParitySettings(Representative):
    """The images; interpreter: the version of tflite-micro, which takes part where it is installed."""

    interpreter: str


@dataclasses.dataclass(frozen=True)
class ParityOutputs:
    """parity.json, and the images with Keras' answers."""

    parity: Path
    parity_images: Path


def parity(inputs: ParityInputs, settings: ParitySettings, outputs: ParityOutputs, say: Say) -> ParityOutputs:
    """Let every runtime answer the same images; raises ConversionError where a difference is more than rounding.

    The frozen graph answers for Keras: build() has proved on probes what verify() checks, that both are one.
    """
    preprocess, models = settings.preprocess, inputs.by_role
    images = [store_image(each, preprocess) for each in settings.few(4, 50, pixels=400_000)]
    keras = answer(import_frozen(inputs.frozen), (prepare(image, preprocess) for image in images))
    keras = keras.reshape(len(images), -1)
    say(0.3, "answers of Keras")
    save_images(images, keras, inputs.float_tflite, outputs.parity_images)
    found = measure_parity(models, images, preprocess, keras)
    write_json(dataclasses.asdict(found), outputs.parity)
    check_parity(found, models)
    return outputs
