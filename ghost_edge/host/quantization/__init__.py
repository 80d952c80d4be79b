"""Quantization after training: the schemes, one row each, and quantize() for any float .tflite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from ghost_edge.core.errors import ArtifactError, DataError, RecipeError
from ghost_edge.core.manifest import Metadata, metadata_text
from ghost_edge.core.options import convert, pick
from ghost_edge.core.preprocess import Preprocess, prepare_all
from ghost_edge.core.progress import Say, count, part, silent
from ghost_edge.device.evaluate import match_input
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import Observed, Ranges, observe_halves
from ghost_edge.host.datasets.folder import as_images
from ghost_edge.host.quantization import io_dtypes, mixed, refine, schemes
from ghost_edge.host.quantization.equalization import equalize_for
from ghost_edge.host.tflite.activations import Input
from ghost_edge.host.tflite.edit import add_metadata
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
    float_tflite: Union[str, Path, Model],
    images: Iterable[Any],
    preprocess: Optional[Preprocess] = None,
    scheme: Any = schemes.Int8(),  # noqa: B008  # frozen
    *,
    ranges: str = "mse",
    say: Say = silent,
) -> Model:
    """Quantize a float .tflite, whoever made it, after training and without a recipe.

    images: the representative dataset: arrays uint8 [H, W, 1 or 3] or image files, some hundred like those in use.
    preprocess: from an image to the model's input; without it, `images` are inputs of the model as it takes them,
    float32. scheme: Int8(), Int8FloatIo(), Uint8Io(), Int16x8(), Mixed(...), Dynamic() or Float16(). ranges: how
    activation ranges are made of what the images show: "mse", "minmax", "entropy" or "percentile". say: hears the share
    done, 0..1, and a few words. Save the result by .save(path); [preprocess] travels in its metadata.

    Raises RecipeError for unknown ranges or what is no Preprocess, DataError without images, for one that is none,
    or when an activation is NaN or infinite, ArtifactError where the model does not take such images, ConversionError
    where the network has no quantized form.
    """
    pick(ESTIMATORS, ranges, kind="ranges")
    kind, _ = _row(scheme)
    preprocess = convert(preprocess, Optional[Preprocess], "preprocess")
    source = float_tflite if isinstance(float_tflite, Model) else read_model(float_tflite)
    inputs = _model_inputs(source, images, preprocess)
    if scheme.equalize:
        source = parse_model(equalize_for(source, inputs, part(say, 0.0, 0.2)), source.name)
    observed = observe_halves(source, inputs, count(part(say, 0.2, 0.4), len(inputs)))
    seen = observed.histograms[observed.names.index(source.tensors[source.inputs[0]].name)]
    if seen.low == seen.high:
        raise DataError(
            f"the {len(inputs)} calibration images hold one value, {seen.low:g}; give images like those in use"
        )
    made = quantize_observed(source, observed, inputs, preprocess, scheme, ranges=ranges, say=part(say, 0.6, 0.4))
    if preprocess is not None:
        made = add_metadata(made, metadata_text(Metadata(preprocess, ())))
    return parse_model(made, f"{Path(source.name).stem.removesuffix('_float')}_{kind}.tflite")


def _model_inputs(source: Model, images: Iterable[Any], preprocess: Optional[Preprocess]) -> Sequence[Input]:
    """Return the inputs of the float model, float32 [1, ...], each made when it is asked for."""
    given = [source.tensors[index] for index in source.inputs]
    if [each.dtype for each in given] != ["float32"]:
        found = ", ".join(f"{each.dtype} {list(each.shape)}" for each in given)
        raise ArtifactError(f"{source.name} takes {found}; give a float .tflite with one image as input")
    if preprocess is not None:
        fed = match_input(Path(source.name), given[0].spec, preprocess)
        inputs: Sequence[Input] = prepare_all(as_images(images), fed)
    else:
        inputs = [_as_input(array, given[0].shape) for array in as_images(images)]
    if not len(inputs):
        raise DataError("there are no calibration images; give some hundred that look like those in use")
    return inputs


def _as_input(array: Any, shape: tuple[int, ...]) -> Input:
    found = np.asarray(array)
    if found.dtype.kind != "f" or found.shape not in (shape, shape[1:]):
        raise DataError(
            f"an array is {found.dtype} {list(found.shape)}; without a Preprocess it must be what the model takes, "
            f"float32 {list(shape)}: give such arrays, or images with ghost_edge.Preprocess(size=...)"
        )
    return found.astype(np.float32).reshape(shape)


def _row(scheme: Any) -> tuple[str, Quantizer]:
    for kind, row in QUANTIZERS.items():
        if row.options is type(scheme):
            return kind, row
    known = ", ".join(f"{row.options.__name__}()" for row in QUANTIZERS.values())
    raise RecipeError(f"{scheme!r} is no scheme; give {known}")


def quantize_observed(
    source: Model,
    observed: Observed,
    inputs: Sequence[Input],
    preprocess: Optional[Preprocess],
    scheme: Any,
    *,
    ranges: str,
    say: Say,
) -> bytes:
    """Quantize a float model, equalized if the scheme asks for it, by the histograms of its activations.

    observed: what observe() counted in `source`; inputs: of the calibration images. Errors are those of quantize().
    """
    row = _row(scheme)[1]
    content = row.quantize(scheme, source, ESTIMATORS[ranges](observed, source))
    content = refine.refine(content, source, inputs, scheme, say)
    if row.finish is None:
        return content
    if preprocess is None:
        raise RecipeError(f"{type(scheme).__name__}() puts the preprocessing into the model; give a Preprocess")
    return row.finish(content, preprocess)
