"""Compare the int8 ONNX model with its .tflite: op by op, and end to end beside XNNPACK."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from checkout import COMMAND, ROOT, run_fresh
from figures import AT_LEAST, Figure, finish, parser
from numpy.typing import NDArray

Inputs = Sequence[NDArray[Any]]
Logits = NDArray[np.float32]

OPERATION_IMAGES = 200
EQUAL_BAR = 0.99
SLACK = 1.1  # against XNNPACK: changed answers, and noise, in whose powers 10 * log10(1.1) dB are as much
SHIPPED = ("ghostnet_mnist", "ghostnet_cifar10", "ghostnet_tin40")
# others' files, and what they are fed: pixels, or noise where nothing here is what they were made for
OTHERS = {
    "mlperf_tiny_ic_resnet8_cifar10_int8": "cifar10.npz",
    "mlperf_tiny_vww96_int8": "imagenet_sample_1000",
    "mlperf_tiny_kws_dscnn_int8": "noise",
    "coral_mobilenet_v1_0.25_128_quant": "imagenet_sample_1000",
    "tfls_mobilenet_v1_0.25_224_quant": "imagenet_sample_1000",
}


def main() -> int:
    """Compare the shipped models on their evaluation images, and others' files on 1,000 inputs each."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder with cifar10.npz, models/ and the rest")
    asked = options.parse_args()
    figures = list[Figure]()
    with tempfile.TemporaryDirectory() as scratch:
        for name in SHIPPED:
            tflite, inputs, labels = shipped(name, asked.data, Path(scratch) / name)
            figures += measure(name, tflite, tflite.with_suffix(".onnx"), inputs, labels)
        for name, kind in OTHERS.items():
            tflite, int8_onnx = asked.data / "models" / f"{name}.tflite", Path(scratch) / f"{name}.onnx"
            run_fresh((*COMMAND, "export", tflite, "-o", int8_onnx), int8_onnx.with_suffix(".log"))
            figures += measure(name, tflite, int8_onnx, list(other_inputs(tflite, kind, asked.data)), None)
    return finish(figures, asked.json, asked.check)


def shipped(name: str, data: Path, folder: Path) -> tuple[Path, Inputs, NDArray[Any]]:
    """Convert a recipe of models/; return its int8 file, its evaluation images as inputs, and their labels."""
    from ghost_edge.core.preprocess import prepare
    from ghost_edge.core.tensor import quantize
    from ghost_edge.device.runtimes.open import open_model
    from ghost_edge.host.datasets import open_dataset
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.schema import load_recipe, require

    path = ROOT / "models" / f"{name}.toml"
    run_fresh((*COMMAND, "convert", path, "--data", data.resolve(), "--out", folder), folder.with_suffix(".log"))
    recipe, tflite = load_recipe(path), folder / f"{name}_int8.tflite"
    chosen = require(recipe.evaluation, "evaluation", "this")
    dataset = open_dataset(chosen, places_for(path.parent, data))
    (spec,) = open_model(tflite).inputs
    inputs = [quantize(prepare(image, recipe.preprocess), spec) for image in dataset.images]
    return tflite, inputs, dataset.labels + chosen.label_offset


def other_inputs(tflite: Path, kind: str, data: Path) -> Iterator[NDArray[Any]]:
    """Yield images as uint8 pixels or pixels - 128, as the file takes them; or noise."""
    from PIL import Image

    from ghost_edge.core.tensor import TensorSpec
    from ghost_edge.device.bench import random_input
    from ghost_edge.device.runtimes.open import open_model
    from ghost_edge.host.datasets import DataTable, open_dataset
    from ghost_edge.host.datasets.packed import Packed
    from ghost_edge.host.datasets.places import Places

    spec: TensorSpec = open_model(tflite).inputs[0]
    if kind == "noise":
        rng = np.random.default_rng(0)
        yield from (random_input(spec, rng) for _ in range(1000))
        return
    if kind.endswith(".npz"):
        images = open_dataset(DataTable("packed", Packed(kind, split="test")), Places((data,))).images[:1000]
    else:
        images = map(Image.open, sorted((data / kind / "images").iterdir()))
    for image in images:
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image.convert("RGB")
        pixels = np.asarray(image.resize(spec.shape[2:0:-1]))[np.newaxis]
        yield pixels if spec.dtype == "uint8" else (pixels ^ 128).view(np.int8)


def measure(name: str, tflite: Path, int8_onnx: Path, inputs: Inputs, labels: NDArray[Any] | None) -> list[Figure]:
    """Run both comparisons on one file; without labels only answers are compared."""
    from ghost_edge.core.tasks.classification import compare
    from ghost_edge.core.tensor import sqnr_db
    from ghost_edge.host.onnx.compare import LIMIT_LSB, compare_ops
    from ghost_edge.host.tflite.graph import read_model

    images = inputs[:: max(1, len(inputs) // OPERATION_IMAGES)]
    operations = compare_ops(read_model(tflite), int8_onnx.read_bytes(), images)
    reference = answers(tflite, inputs, "reference")
    xnnpack, ours = answers(tflite, inputs, "default"), answers(int8_onnx, inputs, "default")
    changed = [int((each.argmax(axis=1) != reference.argmax(axis=1)).sum()) for each in (xnnpack, ours)]
    decibels = [sqnr_db(reference, each) for each in (xnnpack, ours)]
    print(
        f"{name}, {len(inputs)} inputs: answers other than the reference kernels' {changed[0]} by XNNPACK, "
        f"{changed[1]} by the int8 ONNX model; SQNR {decibels[0]:.1f} and {decibels[1]:.1f} dB",
        flush=True,
    )
    made = [
        Figure(f"{name}: farthest operation", max(each.max_lsb for each in operations), bar=LIMIT_LSB, unit=" LSB"),
        Figure(
            f"{name}: equal values, least operation",
            min(each.equal for each in operations),
            bar=EQUAL_BAR,
            direction=AT_LEAST,
        ),
        Figure(f"{name}: answers that the int8 ONNX model changes", changed[1], bar=SLACK * changed[0]),
        Figure(
            f"{name}: SQNR of the int8 ONNX model",
            decibels[1],
            bar=decibels[0] - 10 * np.log10(SLACK),
            direction=AT_LEAST,
            unit=" dB",
        ),
    ]
    if labels is not None:
        drop = compare(reference.argmax(axis=1), ours.argmax(axis=1), labels)
        made.append(
            Figure(f"{name}: drop of the int8 ONNX model", 100 * drop.drop, bar=100 * drop.margin, unit=" points")
        )
    return made


def answers(path: Path, inputs: Inputs, kernels: str) -> Logits:
    """Return the outputs as real numbers, float32 [N, classes]."""
    from ghost_edge.core.tensor import dequantize
    from ghost_edge.device.runtimes.open import open_model

    model, outputs = open_model(path, kernels=kernels), []
    for values in inputs:
        model.set_inputs([values])
        model.invoke()
        outputs.append(model.outputs_now()[0].ravel())
    return dequantize(np.stack(outputs), model.outputs[0])


if __name__ == "__main__":
    sys.exit(main())
