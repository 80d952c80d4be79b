"""What a model file says about images."""

from __future__ import annotations

import dataclasses
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
    """How to run a model: see open_model()."""

    runtime: str = "auto"
    kernels: str = "default"
    threads: int = 1


def raw_outputs(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Progress] = None,
) -> tuple[NDArray[Any], TensorSpec]:
    """First output of the model for each image, uint8 [H, W, C], as stored: [N, classes], and what its dtype means.

    say(done, total) is called after each image. Raises ArtifactError when the model does not take such images,
    DataError when there are none or one is unfit, DeviceError when a run fails, and what open_model() raises.
    """
    if len(images) == 0:
        raise DataError("there are no images to evaluate; check the evaluation list or its limit")
    model = open_model(path, runtime=how.runtime, kernels=how.kernels, threads=how.threads)
    if len(model.inputs) != 1:
        raise ArtifactError(
            f"{path} has {len(model.inputs)} inputs; only a model with one image as input can be evaluated"
        )
    spec = model.inputs[0]
    outputs = []
    for done, image in enumerate(images, start=1):
        model.set_inputs([stored_input(image, preprocess, spec, path)])
        try:
            model.invoke()
        except RuntimeError as error:
            raise DeviceError(f"{path} failed on image {done}: {one_line(error)}") from error
        outputs.append(model.outputs_now()[0].reshape(-1))
        if say is not None:
            say(done, len(images))
    return np.stack(outputs), model.outputs[0]


def raw_outputs_isolated(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    timeout_s: float = 3600.0,
) -> tuple[NDArray[Any], TensorSpec]:
    """raw_outputs() in a child process: a signal, a time-out or a full memory becomes a DeviceError."""
    outcome = run_isolated(lambda: raw_outputs(path, images, preprocess, how), timeout_s=timeout_s)
    outputs, spec = outcome.unwrap(str(path))
    return outputs, spec


def real_outputs(path: Path, outputs: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Outputs as stored to real numbers, float32 [N, classes]; ArtifactError where one is NaN or infinite."""
    scores = dequantize(outputs, spec)
    if not np.isfinite(scores).all():
        raise ArtifactError(f"{path} answers NaN or infinity; check its weights and [preprocess] mean and std")
    return scores


def predict(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Progress] = None,
) -> NDArray[np.float32]:
    """The answers of raw_outputs() in this process as real numbers, float32 [N, classes]; raises as it does."""
    return real_outputs(path, *raw_outputs(path, images, preprocess, how, say))


def predict_isolated(
    path: Path, images: Sequence[NDArray[np.uint8]], preprocess: Preprocess, how: RunOptions = RunOptions()
) -> NDArray[np.float32]:
    """The answers of raw_outputs_isolated() as real numbers, float32 [N, classes]; raises as it does."""
    return real_outputs(path, *raw_outputs_isolated(path, images, preprocess, how))


def stored_input(image: NDArray[np.uint8], preprocess: Preprocess, spec: TensorSpec, path: Path) -> NDArray[Any]:
    """Return what the input tensor `spec` of the model at `path` holds for one image, uint8 [H, W, C]: [1, ...].

    Raises ArtifactError as match_input() does, DataError where the array is no image.
    """
    return quantize(prepare(image, match_input(path, spec, preprocess)), spec)


def match_input(path: Path, spec: TensorSpec, preprocess: Preprocess) -> Preprocess:
    """The preprocessing in the layout that the model's input has, and without normalisation where it takes bytes.

    Raises ArtifactError with both shapes when the input fits in neither, or when nothing says what its integers mean.
    """
    if spec.dtype.startswith("int") and not spec.is_quantized:
        raise ArtifactError(
            f"{path} takes {spec.dtype} and does not say its scale and zero point; take a file that ghost-edge made"
        )
    size, channels = preprocess.size, CHANNELS[preprocess.channels]
    shapes = {"NHWC": (1, size, size, channels), "NCHW": (1, channels, size, size)}
    if spec.holds_bytes:
        preprocess = dataclasses.replace(preprocess, mean=(0.0,), std=(1.0,), divide_by=255.0)
    for layout in (preprocess.layout, *shapes):
        if spec.shape == shapes[layout]:
            return dataclasses.replace(preprocess, layout=layout)
    raise ArtifactError(
        f"{path} takes {list(spec.shape)}, [preprocess] makes {list(shapes[preprocess.layout])}; "
        "set size and channels in [preprocess] to what the model takes"
    )
