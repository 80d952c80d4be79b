"""What a model file says about pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DataError, DeviceError
from ghost_edge.core.preprocess import CHANNELS, Preprocess, prepare
from ghost_edge.core.tensor import TensorSpec, dequantize, quantize
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtime import one_line, open_model

Progress = Callable[[int, int], None]


def predict(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    *,
    runtime: str = "auto",
    kernels: str = "default",
    threads: int = 1,
    say: Optional[Progress] = None,
) -> NDArray[np.float32]:
    """First output of the model for each picture, uint8 [H, W, C], as real numbers: float32 [N, classes].

    say(done, total) is called after each picture. Raises ArtifactError when the model does not take such pictures,
    DataError when there are none or one is unfit, DeviceError when a run fails, and what open_model() raises.
    """
    if len(images) == 0:
        raise DataError("there are no pictures to evaluate; check the evaluation list or its limit")
    model = open_model(path, runtime=runtime, kernels=kernels, threads=threads)
    if len(model.inputs) != 1:
        raise ArtifactError(
            f"{path} has {len(model.inputs)} inputs; only a model with one picture as input can be evaluated"
        )
    spec, output = model.inputs[0], model.outputs[0]
    options = match_layout(path, spec, preprocess)
    scores = []
    for done, image in enumerate(images, start=1):
        model.set_inputs([quantize(prepare(image, options), spec)])
        try:
            model.invoke()
        except RuntimeError as error:
            raise DeviceError(f"{path} failed on picture {done}: {one_line(error)}") from error
        scores.append(dequantize(model.outputs_now()[0].reshape(-1), output))
        if say is not None:
            say(done, len(images))
    stacked = np.stack(scores)
    if not np.isfinite(stacked).all():
        raise ArtifactError(f"{path} answers NaN or infinity; check its weights and [preprocess] mean and std")
    return stacked


def predict_isolated(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    *,
    runtime: str = "auto",
    kernels: str = "default",
    threads: int = 1,
    timeout_s: float = 3600.0,
) -> NDArray[np.float32]:
    """predict() in a child process: a signal, a time-out or a full memory becomes a DeviceError."""

    def run() -> NDArray[np.float32]:
        return predict(path, images, preprocess, runtime=runtime, kernels=kernels, threads=threads)

    outcome = run_isolated(run, timeout_s=timeout_s)
    scores: NDArray[np.float32] = outcome.unwrap(str(path))
    return scores


def match_layout(path: Path, spec: TensorSpec, preprocess: Preprocess) -> Preprocess:
    """The preprocessing in the layout that the model's input has, whatever layout the recipe says.

    Raises ArtifactError with both shapes when the input fits in neither.
    """
    size, channels = preprocess.size, CHANNELS[preprocess.channels]
    shapes = {"NHWC": (1, size, size, channels), "NCHW": (1, channels, size, size)}
    for layout in (preprocess.layout, *shapes):
        if spec.shape == shapes[layout]:
            return dataclasses.replace(preprocess, layout=layout)
    raise ArtifactError(
        f"{path} takes {list(spec.shape)}, [preprocess] makes {list(shapes[preprocess.layout])}; "
        "set size and channels in [preprocess] to what the model takes"
    )
