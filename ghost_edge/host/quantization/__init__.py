"""Quantization after training: the schemes, one row each, and quantize() for any float .tflite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.options import pick
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Say, part, silent
from ghost_edge.device.evaluate import match_input
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import Observed, Ranges, observe_images
from ghost_edge.host.quantization import io_dtypes, mixed, refine, schemes
from ghost_edge.host.quantization.equalization import equalize_for
from ghost_edge.host.tflite.graph import Model, parse_model, read_model
from ghost_edge.host.tflite.verify import Dtypes


class Quantizer(NamedTuple):
    """A row of QUANTIZERS: the schema of [quantization], the function that makes the .tflite, and its dtypes.

    finish: the last change of the file, after refinement.
    """

    options: type[Any]
    quantize: Callable[[Any, Model, Ranges], bytes]
    dtypes: Dtypes
    finish: Callable[[bytes, Preprocess], bytes] | None = None


_INT8, _FLOAT32, _UINT8 = frozenset({"int8"}), frozenset({"float32"}), frozenset({"uint8"})
_INTEGERS = _INT8 | {"int32"}
_WIDE = _INTEGERS | {"int16", "int64"}
_FULL, _FLOAT_IO, _BYTE_IO = (Dtypes(outside, _INTEGERS, "int8") for outside in (_INT8, _FLOAT32, _UINT8))
_INT16 = Dtypes(frozenset({"int16"}), _WIDE, "int8")
_MIXED = Dtypes(_INT8 | _FLOAT32 | {"int16"}, _WIDE | _FLOAT32, "int8")
_DYNAMIC, _FLOAT16 = (
    Dtypes(_FLOAT32, _FLOAT32 | inside, needed)
    for inside, needed in ((_INTEGERS, "int8"), (frozenset({"float16", "int32"}), "float16"))
)
QUANTIZERS: dict[str, Quantizer] = {
    "int8": Quantizer(schemes.Int8, schemes.int8, _FULL),
    "int8_float_io": Quantizer(schemes.Int8FloatIo, schemes.int8, _FLOAT_IO, io_dtypes.float_ends),
    "uint8_io": Quantizer(schemes.Uint8Io, schemes.int8, _BYTE_IO, io_dtypes.byte_ends),
    "int16x8": Quantizer(schemes.Int16x8, schemes.int16x8, _INT16),
    "mixed": Quantizer(mixed.Mixed, mixed.quantize, _MIXED),
    "dynamic": Quantizer(schemes.Dynamic, schemes.dynamic, _DYNAMIC),
    "float16": Quantizer(schemes.Float16, schemes.float16, _FLOAT16),
}


def quantize(
    float_tflite: Path,
    images: Sequence[Image],
    preprocess: Preprocess,
    scheme: Any = schemes.Int8(),  # noqa: B008  # frozen
    *,
    ranges: str = "mse",
    say: Say = silent,
) -> bytes:
    """Quantize a float .tflite, whoever made it, after training and without a recipe.

    images: the representative dataset, uint8 [H, W, 1 or 3]; preprocess: from an image to the model's input. scheme:
    options of a row of QUANTIZERS, such as Int8(); ranges: a key of ESTIMATORS. Raises RecipeError for unknown ranges,
    DataError without images, or when an activation is NaN or infinite, ArtifactError where the file does not take such
    images as float32, ConversionError where the network has no quantized form.
    """
    pick(ESTIMATORS, ranges, kind="ranges")
    if len(images) == 0:
        raise DataError("there are no calibration images; give some hundred that look like those in use")
    source = read_model(float_tflite)
    preprocess = _match_float_input(source, preprocess)
    if scheme.equalize:
        source = parse_model(equalize_for(source, images, preprocess, part(say, 0.0, 0.2)), source.name)
    observed = observe_images(source, images, preprocess, part(say, 0.2, 0.4))
    return quantize_observed(source, observed, images, preprocess, scheme, ranges=ranges, say=part(say, 0.6, 0.4))


def _match_float_input(source: Model, preprocess: Preprocess) -> Preprocess:
    """Return the preprocessing in the input's layout; ArtifactError unless there is one input, a float32 image."""
    given = [source.tensors[index] for index in source.inputs]
    if [each.dtype for each in given] != ["float32"]:
        found = ", ".join(f"{each.dtype} {list(each.shape)}" for each in given)
        raise ArtifactError(f"{source.name} takes {found}; give a float .tflite with one image as input")
    return match_input(Path(source.name), given[0].spec, preprocess)


def quantize_observed(
    source: Model,
    observed: Observed,
    images: Sequence[Image],
    preprocess: Preprocess,
    scheme: Any,
    *,
    ranges: str,
    say: Say,
) -> bytes:
    """Quantize a float model, equalized if the scheme asks for it, by the histograms of its activations.

    The arguments and errors are those of quantize(); observed: what observe_images() counted in `source`.
    """
    row = next(each for each in QUANTIZERS.values() if each.options is type(scheme))
    content = row.quantize(scheme, source, ESTIMATORS[ranges](observed, source))
    content = refine.refine(content, source, images, preprocess, scheme, say)
    return row.finish(content, preprocess) if row.finish else content
