"""Outputs of a model file for images."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DataError, DeviceError
from ghost_edge.core.preprocess import CHANNELS, Preprocess, prepare
from ghost_edge.core.tensor import TensorSpec, dequantize, quantize
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import one_line
from ghost_edge.device.runtimes.open import open_model

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options of open_model()."""

    runtime: str = "auto"
    kernels: str = "default"
    threads: int = 1


def raw_outputs(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Progress] = None,
) -> tuple[list[NDArray[Any]], tuple[TensorSpec, ...]]:
    """Return the outputs of a model for N images, uint8 [H, W, C], each [N, values] as stored, and their specs.

    say(done, total) is called after each image. Raises ArtifactError when the model does not take such images,
    DataError when there are none or one is unfit, DeviceError when a run fails, and what open_model() raises.
    """
    return _run(path, images, lambda image, spec: stored_input(image, preprocess, spec, path), how, say)


def _run(
    path: Path,
    images: Sequence[NDArray[Any]],
    store: Callable[[NDArray[Any], TensorSpec], NDArray[Any]],
    how: RunOptions,
    say: Optional[Progress] = None,
) -> tuple[list[NDArray[Any]], tuple[TensorSpec, ...]]:
    if len(images) == 0:
        raise DataError("there are no images to evaluate; check the evaluation list or its limit")
    model = open_model(path, runtime=how.runtime, kernels=how.kernels, threads=how.threads)
    if len(model.inputs) != 1:
        raise ArtifactError(
            f"{path} has {len(model.inputs)} inputs; only a model with one image as input can be evaluated"
        )
    outputs: list[list[NDArray[Any]]] = []
    for done, image in enumerate(images, start=1):
        model.set_inputs([store(image, model.inputs[0])])
        try:
            model.invoke()
        except RuntimeError as error:
            raise DeviceError(f"{path} failed on image {done}: {one_line(error)}") from error
        outputs.append([output.reshape(-1) for output in model.outputs_now()])
        if say is not None:
            say(done, len(images))
    return [np.stack(each) for each in zip(*outputs)], model.outputs


def raw_outputs_isolated(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    timeout_s: float = 3600.0,
) -> tuple[list[NDArray[Any]], tuple[TensorSpec, ...]]:
    """Call raw_outputs() in a child process: a signal, a time-out or a full memory becomes a DeviceError."""
    outcome = run_isolated(lambda: raw_outputs(path, images, preprocess, how), timeout_s=timeout_s)
    outputs, specs = outcome.unwrap(str(path))
    return outputs, specs


def real_outputs(path: Path, outputs: Sequence[NDArray[Any]], specs: Sequence[TensorSpec]) -> list[NDArray[np.float32]]:
    """Return stored outputs [N, values] as real numbers, float32; ArtifactError where one is NaN or infinite."""
    found = [dequantize(values, spec) for values, spec in zip(outputs, specs)]
    if not all(np.isfinite(values).all() for values in found):
        raise ArtifactError(f"{path} answers NaN or infinity; check its weights and [preprocess] mean and std")
    return found


def predict(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Progress] = None,
) -> NDArray[np.float32]:
    """Return the first output of raw_outputs() as real numbers, float32 [N, values]; raises as it does."""
    return predict_all(path, images, preprocess, how, say)[0]


def predict_all(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Progress] = None,
) -> list[NDArray[np.float32]]:
    """Return all outputs of raw_outputs() as real numbers, each float32 [N, values]; raises as it does."""
    return real_outputs(path, *raw_outputs(path, images, preprocess, how, say))


def predict_inputs(
    path: Path, inputs: Sequence[NDArray[np.float32]], how: RunOptions = RunOptions()
) -> NDArray[np.float32]:
    """Return the first output for N model inputs, float32 [1, ...], as real numbers: float32 [N, values]."""
    return real_outputs(path, *_run(path, inputs, quantize, how))[0]


def stored_input(image: NDArray[np.uint8], preprocess: Preprocess, spec: TensorSpec, path: Path) -> NDArray[Any]:
    """Return what the input tensor `spec` of the model at `path` holds for one image, uint8 [H, W, C]: [1, ...].

    Raises ArtifactError as match_input() does, DataError where the array is no image.
    """
    return quantize(prepare(image, match_input(path, spec, preprocess)), spec)


@functools.lru_cache(maxsize=64)  # asked for every image
def match_input(path: Path, spec: TensorSpec, preprocess: Preprocess) -> Preprocess:
    """Return the preprocessing in the layout of the model's input, without normalisation where it takes bytes.

    Raises ArtifactError with both shapes when the input fits in neither, or when nothing says what its integers mean.
    """
    if spec.dtype.startswith("int") and not spec.is_quantized:
        raise ArtifactError(
            f"{path} takes {spec.dtype} and does not say its scale and zero point; take a file that ghost-edge made"
        )
    height, width, channels = preprocess.height, preprocess.width, CHANNELS[preprocess.channels]
    shapes = {"NHWC": (1, height, width, channels), "NCHW": (1, channels, height, width)}
    if spec.holds_bytes:
        preprocess = dataclasses.replace(preprocess, mean=(0.0,), std=(1.0,), divide_by=255.0)
    for layout in (preprocess.layout, *shapes):
        if spec.shape == shapes[layout]:
            return dataclasses.replace(preprocess, layout=layout)
    raise ArtifactError(
        f"{path} takes {list(spec.shape)}, [preprocess] makes {list(shapes[preprocess.layout])}; "
        "set size and channels in [preprocess] to what the model takes"
    )
