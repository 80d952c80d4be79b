"""Convert a recipe's network without ghost-edge's chain, as people write it: float and int8 .tflite, ONNX, timings.

`default_chain.py` runs this script as a process of its own: `python handwritten.py RECIPE FOLDER`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkout  # noqa: F401  # the package of this checkout, not an installed one
import numpy as np

RUNS = 50


def main() -> int:
    """Write three models into the folder and print the median latency of each."""
    recipe, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True)
    model, inputs = _network_and_inputs(recipe)
    (folder / "float.tflite").write_bytes(_to_tflite(model))
    (folder / "int8.tflite").write_bytes(_to_tflite(model, inputs))
    _to_onnx(model, folder / "float.onnx")
    for path in (folder / "float.tflite", folder / "int8.tflite"):
        print(f"{path.name}: {_median_ms(_tflite_runner(path)):.3f} ms")
    print(f"float.onnx: {_median_ms(_onnx_runner(folder / 'float.onnx')):.3f} ms")
    return 0


def _network_and_inputs(path: Path) -> tuple[Any, list[Any]]:
    """Build the network with its weights, and prepare the calibration images: float32 [1, H, W, C] each."""
    from ghost_edge.core.preprocess import prepare
    from ghost_edge.host.datasets import open_dataset
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.networks import NETWORKS
    from ghost_edge.host.networks.state_dict import load_weights
    from ghost_edge.host.recipe.schema import load_recipe

    recipe: Any = load_recipe(path)  # it names a network, weights and calibration images
    places = places_for(path.parent)
    model = NETWORKS[recipe.network.kind].build(recipe.network.options, places)
    load_weights(model, places.find(recipe.network.weights))
    images = open_dataset(recipe.calibration, places).images[: recipe.calibration.samples]
    return model, [prepare(image, recipe.preprocess) for image in images]


def _to_tflite(model: Any, inputs: list[Any] | None = None) -> bytes:
    """Convert to float, or with inputs to int8, as TensorFlow's guide to quantization after training does."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if inputs is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([each] for each in inputs)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _to_onnx(model: Any, path: Path) -> None:
    import tf2onnx

    tf2onnx.convert.from_keras(model, opset=17, output_path=str(path))


def _tflite_runner(path: Path) -> Callable[[], None]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    invoke: Callable[[], None] = interpreter.invoke
    return invoke


def _onnx_runner(path: Path) -> Callable[[], None]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (wanted,) = session.get_inputs()
    value = np.zeros([size if isinstance(size, int) else 1 for size in wanted.shape], np.float32)
    return lambda: session.run(None, {wanted.name: value})


def _median_ms(invoke: Callable[[], None]) -> float:
    """Return the median of RUNS inferences after one that is not counted."""
    invoke()
    samples = []
    for _ in range(RUNS):
        started = time.perf_counter_ns()
        invoke()
        samples.append((time.perf_counter_ns() - started) / 1e6)
    return statistics.median(samples)


if __name__ == "__main__":
    sys.exit(main())
