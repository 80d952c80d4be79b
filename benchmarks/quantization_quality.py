"""What int8 loses and costs: ours, TensorFlow's converter and litert-quantizer alone, on the same pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from checkout import COMMAND, ROOT, run_fresh
from figures import AT_LEAST, Figure, finish, parser

from ghost_edge.core.report import Column, as_text

DROP_BAR, AGREEMENT_BAR = 0.005, 0.975
STAGES = ("build", "float", "calibrate", "quantize")
REFERENCE, OURS, TENSORFLOW, QUANTIZER = "float", "ours", "tensorflow", "litert-quantizer"
SIGNATURE = "serving_default"
COLUMNS = (
    Column("int8 by", "by"),
    Column("bytes", "size_bytes", ","),
    Column("top-1", "top1", ".2%"),
    Column("drop", "drop", ".2%"),
    Column("margin", "margin", ".2%"),
    Column("agreement", "agreement", ".2%"),
    Column("SQNR dB", "sqnr_db", ".1f"),
    Column("median ms", "median_ms", ".3f"),
)


def main() -> int:
    """Quantize three times from one float model, judge on one list, time in one run."""
    options = parser(__doc__)
    recipe_file = ROOT / "models" / "ghostnet_cifar10.toml"
    options.add_argument("recipe", nargs="?", type=Path, default=recipe_file, help="default: models/ghostnet_cifar10")
    options.add_argument("--data", type=Path, help="folder of the pictures, as for convert (default: GHOST_EDGE_DATA)")
    options.add_argument("--pictures", type=int, help="judge by the first so many only (default: all)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with _chatter_to(folder / "chatter.log"):
            files = make_files(asked.recipe, asked.data, folder)
            rows = judge_files(asked.recipe, asked.data, files, asked.pictures)
        bench = bench_files(files, folder)
    table = [{**row, **bench[row["by"]]} for row in rows]
    print(as_text(table, COLUMNS))
    return finish(summary(table), asked.json, asked.check, samples={"pictures": rows[0]["images"], "models": table})


def summary(table: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Our drop and agreement against their bars, and everything against the two others in this run."""
    rows = {row["by"]: row for row in table}
    ours, peers = rows[OURS], (rows[TENSORFLOW], rows[QUANTIZER])
    figures = [
        Figure("drop", 100 * ours["drop"], bar=100 * DROP_BAR, unit=" points"),
        Figure("margin", 100 * ours["margin"], unit=" points"),
        Figure("agreement", 100 * ours["agreement"], bar=100 * AGREEMENT_BAR, direction=AT_LEAST, unit=" %"),
        Figure("SQNR", ours["sqnr_db"], unit=" dB"),
    ]
    for peer in peers:
        figures += [
            Figure(f"agreement over {peer['by']}", 100 * (ours["agreement"] - peer["agreement"]), unit=" points"),
            Figure(f"SQNR over {peer['by']}", ours["sqnr_db"] - peer["sqnr_db"], unit=" dB"),
            Figure(f"latency / {peer['by']}", ours["median_ms"] / peer["median_ms"], unit="x"),
        ]
    return figures


def make_files(recipe_file: Path, data: Path | None, folder: Path) -> dict[str, Path]:
    """The float .tflite and three int8 ones made of the same weights and calibration pictures."""
    from ghost_edge.core.preprocess import prepare
    from ghost_edge.host import chain
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.layout import layout
    from ghost_edge.host.pipeline import run_chain
    from ghost_edge.host.recipe import load_recipe
    from ghost_edge.host.stages.calibrate import calibration_set

    recipe = load_recipe(recipe_file)
    places, names = places_for(recipe_file.parent, data), layout(recipe)
    stages = tuple(stage for stage in chain.STAGES if stage.name in STAGES)
    assert len(stages) == len(STAGES), "a stage was renamed"
    run_chain(recipe, places, folder, _Silence(), stages=stages)
    inputs = [prepare(image, recipe.preprocess) for image in calibration_set(recipe, places).images]
    made = {
        TENSORFLOW: by_tensorflow(folder / names.keras, inputs),
        QUANTIZER: by_litert_quantizer(folder / names.float_tflite, inputs),
    }
    files = {REFERENCE: folder / names.float_tflite, OURS: folder / names.quantized}
    for by, content in made.items():
        files[by] = folder / f"{by}.tflite"
        files[by].write_bytes(content)
    return files


def by_tensorflow(keras_file: Path, inputs: Sequence[Any]) -> bytes:
    """TFLiteConverter from the Keras model, full integer, as TensorFlow's guide shows it."""
    import keras
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(keras_file))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([values] for values in inputs)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def by_litert_quantizer(float_tflite: Path, inputs: Sequence[Any]) -> bytes:
    """litert-quantizer from the float .tflite, with its own calibration and its defaults."""
    from litert_quantizer import quantizer, recipe

    tool = quantizer.Quantizer(with_signature(float_tflite.read_bytes()), recipe.static_wi8_ai8())
    measured = tool.calibrate({SIGNATURE: [{"image": values} for values in inputs]})
    return bytes(tool.quantize(measured, enable_progress_bar=False, enable_progress_report=False).quantized_model)


def with_signature(content: bytes) -> bytearray:
    """The same .tflite with one signature, image to logits: calibrate() takes no file without."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    signature.inputs[0].name, signature.outputs[0].name = "image", "logits"
    (signature.inputs[0].tensorIndex,) = model.subgraphs[0].inputs
    (signature.outputs[0].tensorIndex,) = model.subgraphs[0].outputs
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytearray(builder.Output())


def judge_files(recipe_file: Path, data: Path | None, files: Mapping[str, Path], count: int | None) -> list[Any]:
    """A row of COLUMNS for each file, without its latency; everything is against the float .tflite's answers."""
    from ghost_edge.core.accuracy import compare, sqnr_db
    from ghost_edge.device.evaluate import predict
    from ghost_edge.host.datasets import open_dataset
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe import load_recipe, require

    recipe = load_recipe(recipe_file)
    table = require(recipe.evaluation, "evaluation", "this benchmark")
    dataset = open_dataset(table, places_for(recipe_file.parent, data))
    images = list(dataset.images[:count])
    labels = dataset.labels[:count] + table.label_offset
    logits = {by: predict(path, images, recipe.preprocess) for by, path in files.items()}
    reference, rows = logits[REFERENCE], []
    for by, values in logits.items():
        drop = compare(reference.argmax(axis=1), values.argmax(axis=1), labels)
        row = {"by": by, "size_bytes": files[by].stat().st_size, **dataclasses.asdict(drop)}
        rows.append({**row, "sqnr_db": None if by == REFERENCE else sqnr_db(reference, values)})
    return rows


def bench_files(files: Mapping[str, Path], folder: Path) -> dict[str, dict[str, Any]]:
    """Median milliseconds and every sample of each file, by `ghost-edge bench` in one run."""
    report = folder / "bench.json"
    run_fresh((*COMMAND, "bench", *files.values(), "--json", report), folder / "bench.log")
    results = json.loads(report.read_text())["results"]
    return {
        by: {"median_ms": result["stats"]["median_ms"], "samples_ns": result["stats"]["samples_ns"]}
        for by, result in zip(files, results, strict=True)
    }


class _Silence:
    """A Reporter for nobody."""

    def started(self, stage: str) -> None:
        """Nothing."""

    def progress(self, stage: str, share: float, text: str) -> None:
        """Nothing."""

    def finished(self, stage: str, seconds: float | None) -> None:
        """Nothing."""


@contextlib.contextmanager
def _chatter_to(log: Path) -> Iterator[None]:
    """Send what the tools write, from C++ too, to a file; where the block raises, the traceback is still seen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        with log.open("wb") as file:
            for number, _ in kept:
                os.dup2(file.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


if __name__ == "__main__":
    sys.exit(main())
