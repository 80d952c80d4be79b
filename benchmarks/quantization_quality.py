"""Compare int8 by ghost-edge, TensorFlow's converter and litert-quantizer on the same images."""

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

from ghost_edge.core.tables import Column, as_text

# against the better of the two peers, on the same images
GAIN_BAR_DB, CHANGED_BAR, DROP_BAR, LATENCY_BAR = 2.0, 0.75, 0.003, 1.03
SAMPLES = 200
SHIPPED = ("ghostnet_cifar10", "ghostnet_mnist", "ghostnet_tin40")
STAGES = ("build", "float", "calibrate", "quantize")
REFERENCE, OURS, TENSORFLOW, QUANTIZER = "float", "ours", "tensorflow", "litert-quantizer"
SIGNATURE = "serving_default"
COLUMNS = (
    Column("model", "model"),
    Column("int8 by", "by"),
    Column("bytes", "size_bytes", ","),
    Column("top-1", "top1", ".2%"),
    Column("drop", "drop", ".2%"),
    Column("margin", "margin", ".2%"),
    Column("changed", "changed", ".2%"),
    Column("SQNR dB", "sqnr_db", ".1f"),
    Column("median ms", "median_ms", ".3f"),
)


def main() -> int:
    """Quantize each model three times from one float model, evaluate on one list, time in one run."""
    options = parser(__doc__)
    shipped = [path for path in (ROOT / "models" / f"{name}.toml" for name in SHIPPED) if path.is_file()]
    options.add_argument("recipes", nargs="*", type=Path, default=shipped, help="default: the shipped ones")
    options.add_argument("--data", type=Path, help="folder of the images, as for convert (default: GHOST_EDGE_DATA)")
    options.add_argument("--images", type=int, help="evaluate on so many only (default: all)")
    asked = options.parse_args()
    tables = {recipe.stem: run_recipe(recipe, asked.data, asked.images) for recipe in asked.recipes}
    table = [{"model": model, **row} for model, rows in tables.items() for row in rows]
    print(as_text(table, COLUMNS))
    figures = [figure for model, rows in tables.items() for figure in summary(rows, model)]
    return finish(figures, asked.json, asked.check, samples={"models": table})


def run_recipe(recipe: Path, data: Path | None, images: int | None) -> list[dict[str, Any]]:
    """Return a row of COLUMNS for the float model and each int8 one."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with _chatter_to(folder / "chatter.log"):
            files = make_files(recipe, data, folder)
            rows = judge_files(recipe, data, files, images)
        bench = bench_files(files, folder)
    return [{**row, "changed": 1 - row["agreement"], **bench[row["by"]]} for row in rows]


def summary(table: Sequence[Mapping[str, Any]], model: str) -> list[Figure]:
    """Compare ours with the better peer in SQNR, changed answers and latency, and our drop with its own bar."""
    rows = {row["by"]: row for row in table}
    ours, peers = rows[OURS], (rows[TENSORFLOW], rows[QUANTIZER])
    changed = min(peer["changed"] for peer in peers)
    median_ms = min(peer["median_ms"] for peer in peers)
    gain_db = ours["sqnr_db"] - max(peer["sqnr_db"] for peer in peers)
    ratio = ours["changed"] / changed if changed else float(ours["changed"] > 0)
    return [
        Figure(f"{model}: SQNR over the better peer's", gain_db, bar=GAIN_BAR_DB, direction=AT_LEAST, unit=" dB"),
        Figure(f"{model}: changed answers / its", ratio, bar=CHANGED_BAR, unit="x"),
        Figure(f"{model}: drop", 100 * ours["drop"], bar=100 * DROP_BAR, unit=" points"),
        Figure(f"{model}: latency / the faster peer's", ours["median_ms"] / median_ms, bar=LATENCY_BAR, unit="x"),
    ]


def make_files(recipe_file: Path, data: Path | None, folder: Path) -> dict[str, Path]:
    """Make the float .tflite and three int8 ones from the same weights and calibration images."""
    from ghost_edge.core.preprocess import prepare
    from ghost_edge.host.chain import stages as chain
    from ghost_edge.host.chain.stage import Outside
    from ghost_edge.host.chain.stages import run_chain
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.output import layout
    from ghost_edge.host.recipe.schema import load_recipe

    recipe = load_recipe(recipe_file)
    recipe = dataclasses.replace(recipe, calibration=dataclasses.replace(recipe.calibration, samples=SAMPLES))
    places, names = places_for(recipe_file.parent, data), layout(recipe)
    stages = tuple(stage for stage in chain.STAGES if stage.name in STAGES)
    assert len(stages) == len(STAGES), "a stage was renamed"
    run_chain(recipe, places, folder, _Silence(), stages=stages)
    inputs = [prepare(image, recipe.preprocess) for image in Outside(recipe, places).calibration.dataset.images]
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
    """Run TFLiteConverter on the Keras model, full integer, as TensorFlow's guide shows it."""
    import keras
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(keras_file))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([values] for values in inputs)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def by_litert_quantizer(float_tflite: Path, inputs: Sequence[Any]) -> bytes:
    """Run litert-quantizer on the float .tflite, with its own calibration and its defaults."""
    from litert_quantizer import quantizer, recipe

    tool = quantizer.Quantizer(with_signature(float_tflite.read_bytes()), recipe.static_wi8_ai8())
    measured = tool.calibrate({SIGNATURE: [{"image": values} for values in inputs]})
    return bytes(tool.quantize(measured, enable_progress_bar=False, enable_progress_report=False).quantized_model)


def with_signature(content: bytes) -> bytearray:
    """Return the .tflite with one signature, image to logits, without which calibrate() takes no file."""
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
    """Return a row of COLUMNS for each file, without latency, compared with the float .tflite's answers."""
    from ghost_edge.core.tasks.classification import compare
    from ghost_edge.core.tensor import sqnr_db
    from ghost_edge.device.evaluate import predict_all
    from ghost_edge.host.datasets import open_dataset
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.schema import load_recipe, require

    recipe = load_recipe(recipe_file)
    table = require(recipe.evaluation, "evaluation", "this benchmark")
    dataset = open_dataset(table, places_for(recipe_file.parent, data))
    images = list(dataset.images[:count])
    labels = dataset.labels[:count] + table.label_offset
    logits = {by: predict_all(path, images, recipe.preprocess)[0] for by, path in files.items()}
    reference, rows = logits[REFERENCE], []
    for by, values in logits.items():
        drop = compare(reference.argmax(axis=1), values.argmax(axis=1), labels)
        row = {"by": by, "size_bytes": files[by].stat().st_size, **dataclasses.asdict(drop), "top1": drop.value}
        rows.append({**row, "sqnr_db": None if by == REFERENCE else sqnr_db(reference, values)})
    return rows


def bench_files(files: Mapping[str, Path], folder: Path) -> dict[str, dict[str, Any]]:
    """Return median milliseconds and every sample of each file, by `ghost-edge bench` in one run."""
    report = folder / "bench.json"
    run_fresh((*COMMAND, "bench", *files.values(), "--json", report), folder / "bench.log")
    results = json.loads(report.read_text())["results"]
    return {
        by: {"median_ms": result["stats"]["median_ms"], "samples_ns": result["stats"]["samples_ns"]}
        for by, result in zip(files, results, strict=True)
    }


class _Silence:
    """A Reporter that shows nothing."""

    def started(self, stage: str) -> None:
        """Show nothing."""

    def progress(self, stage: str, share: float, text: str) -> None:
        """Show nothing."""

    def finished(self, stage: str, seconds: float | None) -> None:
        """Show nothing."""


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
