"""Stages export and micro: the other formats that the recipe asks for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.dataset import Image, spread
from ghost_edge.core.errors import ConversionError, DataError
from ghost_edge.core.files import read_document, sha256_file, write_bytes, write_json
from ghost_edge.core.manifest import Metadata, metadata_text
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Say
from ghost_edge.host.chain.stage import Representative
from ghost_edge.host.datasets import Images
from ghost_edge.host.onnx import EXPORTERS, add_metadata
from ghost_edge.host.recipe.schema import Choice
from ghost_edge.host.tflite.graph import read_model
from ghost_edge.host.tflite_micro import Micro, default_prefix
from ghost_edge.host.tflite_micro.kit import to_tflite_micro
from ghost_edge.host.tflite_micro.verify import from_images


@dataclasses.dataclass(frozen=True)
class SkippedExports:
    """left_out.json: file name to the reason why an export that nobody asked for is not there."""

    reasons: dict[str, str]

    def lines(self) -> list[str]:
        """A line for each, for people."""
        return [f"left out: {name}: {why}" for name, why in self.reasons.items()]


def read_skipped(path: Path) -> SkippedExports:
    """Read left_out.json; raises ArtifactError where it is missing or damaged."""
    return SkippedExports(read_document(path, dict[str, str]))


@dataclasses.dataclass(frozen=True)
class ExportInputs:
    """The files that exports are made of; plain_onnx: the int8 ONNX model without metadata."""

    float_tflite: Path
    quantized: Path
    plain_onnx: Path | None


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """Rows of EXPORTERS. has_default_exports: nobody asked for them, so one that cannot be made is left out."""

    exports: tuple[Choice, ...]
    has_default_exports: bool
    preprocess: Preprocess
    class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ExportOutputs:
    """A file for each export, and left_out.json."""

    exports: tuple[Path, ...]
    left_out: Path


def export(inputs: ExportInputs, settings: ExportSettings, outputs: ExportOutputs, say: Say) -> ExportOutputs:
    """Write one file for each [[export]] with its metadata.

    Raises ConversionError where one that was asked for cannot be made.
    """
    made, reasons = [], dict[str, str]()
    for choice, path in zip(settings.exports, outputs.exports, strict=True):
        source = {"float": inputs.float_tflite, "quantized": inputs.quantized}[EXPORTERS[choice.kind].source]
        try:
            if source == inputs.quantized and inputs.plain_onnx is not None:
                content = inputs.plain_onnx.read_bytes()
            else:
                content = EXPORTERS[choice.kind].export(read_model(source), choice.options)
        except ConversionError as error:
            if not settings.has_default_exports:
                raise ConversionError(
                    f'{error}; change the network, or take [[export]] kind = "{choice.kind}" out'
                ) from error
            path.unlink(missing_ok=True)  # of an earlier network
            reasons[path.name] = str(error)
            continue
        metadata = Metadata(settings.preprocess, settings.class_names, sha256_file(source))
        write_bytes(add_metadata(content, metadata_text(metadata)), path)
        made.append(path)
        say(len(made) / len(settings.exports), path.name)
    write_json(reasons, outputs.left_out)
    return dataclasses.replace(outputs, exports=tuple(made))


@dataclasses.dataclass(frozen=True)
class MicroInputs:
    """The int8 .tflite."""

    quantized: Path


@dataclasses.dataclass(frozen=True)
class MicroSettings(Representative):
    """The kit, None without one; golden vectors are of evaluation or else of calibration images.

    interpreter: the version of tflite-micro that proves the kit, empty where it is not installed.
    """

    micro: Micro | None
    name: str
    evaluation: Images | None
    interpreter: str


@dataclasses.dataclass(frozen=True)
class MicroOutputs:
    """The folder to write the kit into, and afterwards the files in it."""

    micro: Path | tuple[Path, ...] | None


def micro(inputs: MicroInputs, settings: MicroSettings, outputs: MicroOutputs, say: Say) -> MicroOutputs:
    """Write the kit for TFLite Micro and prove it; nothing where no [[export]] has kind "micro".

    Raises what to_tflite_micro() raises.
    """
    if settings.micro is None:
        return MicroOutputs(None)
    assert isinstance(outputs.micro, Path), "a folder"
    images = _golden_images(settings, settings.micro.images)
    table = "[evaluation]" if settings.evaluation else "[calibration]"
    vectors = from_images(inputs.quantized, images, settings.preprocess, f"images of {table}")
    prefix = settings.micro.prefix or default_prefix(settings.name)
    kit = to_tflite_micro(inputs.quantized, outputs.micro, vectors=vectors, prefix=prefix)
    return MicroOutputs(kit.files)


def _golden_images(settings: MicroSettings, count: int) -> list[Image]:
    if settings.evaluation is None:
        return spread(settings.calibration.dataset.images, count)
    images = settings.evaluation.dataset.images
    if count > len(images):
        raise DataError(f"[[export]] images is {count}, and [evaluation] has {len(images)} images; ask for no more")
    return [images[index * len(images) // count] for index in range(count)]  # a folder's first images are one class
