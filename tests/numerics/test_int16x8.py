"""int16 activations prepare and add up whatever their scales are."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from litert_quantizer import recipe

from ghost_edge.core.errors import DeviceError
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization.schemes import Int16x8, apply, int16x8
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
STEPS = {"input": 2.0**-13, "other": 2.0**-14, "sum": 2.0**-12}


@pytest.fixture(scope="module")
def addition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """relu(x) + x, float32 [1, 4, 4, 2]."""
    image = keras.Input((4, 4, 2), batch_size=1)
    path = tmp_path_factory.mktemp("addition") / "m.tflite"
    model = keras.Model(image, layers.Add()([layers.ReLU()(image), image]))
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return path


def powers_of_two(tflite: Path) -> Ranges:
    """Ranges that give the two inputs of ADD and its output these steps."""
    graph = read_model(tflite)
    (add,) = (operation for operation in graph.operations if operation.name == "ADD")
    steps = dict.fromkeys(range(len(graph.tensors)), 2.0**-13)
    steps |= {add.inputs[0]: STEPS["other"], add.outputs[0]: STEPS["sum"], graph.inputs[0]: STEPS["input"]}
    high = np.array([steps[tensor.index] * 32767 for tensor in graph.tensors], np.float32)
    return Ranges(tuple(tensor.name for tensor in graph.tensors), -high, high, -high, high)


def test_scales_that_are_powers_of_two_add_up(addition: Path, tmp_path: Path) -> None:
    path = tmp_path / "int16.tflite"
    path.write_bytes(int16x8(Int16x8(), read_model(addition), powers_of_two(addition)))
    model = open_model(path)
    values = np.random.default_rng(0).integers(-8000, 8000, (1, 4, 4, 2), np.int16)
    model.set_inputs([values])
    model.invoke()
    real = values * STEPS["input"]
    made = model.outputs_now()[0] * STEPS["sum"]
    assert np.abs(made - (np.maximum(real, 0) + real)).max() <= STEPS["sum"]  # a rounding on each side of ADD


def test_without_our_flag_the_interpreter_would_refuse_them(addition: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(apply(recipe.static_wi8_ai16(), read_model(addition), powers_of_two(addition)))
    with pytest.raises(DeviceError, match=r"cannot allocate it: .*input\d_shift"):
        open_model(path)
