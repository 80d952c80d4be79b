"""Time our int8 ONNX model in ONNX Runtime against tf2onnx's, ONNX Runtime's own quantizer's, and float ONNX."""

from __future__ import annotations

import collections
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from checkout import COMMAND, ROOT, run_fresh
from figures import AT_LEAST, Figure, finish, parser

from ghost_edge.core.latency import LatencyStats, time_ratio
from ghost_edge.device.bench import alternate

OURS = "ours"
BARS = {"tf2onnx": 0.40, "quantize_static": 1.0, "float": 0.85}
IMAGES = 32
LARGE = "GhostNet 1.0x"


def main() -> int:
    """Make four files of each model, time them in turn, compare."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=30, help="of each model (default 30)")
    options.add_argument("--size", type=int, default=224, help="of the untrained GhostNet, in pixels (default 224)")
    options.add_argument("--data", type=Path, help="folder of the images (default: GHOST_EDGE_DATA)")
    asked = options.parse_args()
    data = asked.data or (Path(os.environ["GHOST_EDGE_DATA"]) if os.environ.get("GHOST_EDGE_DATA") else None)
    figures, samples = list[Figure](), {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = {LARGE: convert_large(Path(scratch) / "large", asked.size)}
        if data is not None and (data / "cifar10.npz").is_file():
            folders["ghostnet_cifar10"] = convert_shipped("ghostnet_cifar10", data, Path(scratch) / "shipped")
        for model, folder in folders.items():
            files = make_files(folder)
            stats = dict(zip(files, alternate(list(files.values()), rounds=asked.rounds, runs=3), strict=True))
            figures += summary(model, stats, asked.rounds, count_fused(files[OURS], folder))
            samples[model] = {by: each.samples_ns for by, each in stats.items()}
    return finish(figures, asked.json, asked.check, samples=samples)


def summary(
    model: str, stats: Mapping[str, LatencyStats], rounds: int, fused: collections.Counter[str]
) -> list[Figure]:
    """Return a ratio with its bar for each peer, our median, and how many convolutions run in integers."""
    convolutions = fused["QLinearConv"] + fused["Conv"]
    print(f"{model}: QLinearConv {fused['QLinearConv']} of {convolutions}, Transpose {fused['Transpose']}", flush=True)
    for by, each in stats.items():
        print(f"  {by:<16} {each.median_ms:8.3f} ms", flush=True)
    ratios = [
        Figure(f"{model}: ours / {by}", time_ratio(stats[OURS], stats[by], rounds=rounds).ratio, bar=bar, unit="x")
        for by, bar in BARS.items()
    ]
    share = fused["QLinearConv"] / convolutions if convolutions else float("nan")
    return [*ratios, Figure(f"{model}: share of QLinearConv", share, bar=1.0, direction=AT_LEAST)]


def convert_large(folder: Path, size: int) -> Path:
    """Convert GhostNet 1.0x with random weights by the usual chain."""
    from ghost_edge.host.explore.networks import convert_untrained

    folder.mkdir()
    convert_untrained({"kind": "ghostnet", "input_size": size, "width": 1.0}, folder, name="large")
    return folder


def convert_shipped(name: str, data: Path, folder: Path) -> Path:
    """Convert a recipe of models/ by the command."""
    recipe = ROOT / "models" / f"{name}.toml"
    run_fresh((*COMMAND, "convert", recipe, "--data", data, "--out", folder), folder.with_suffix(".log"))
    return folder


def make_files(folder: Path) -> dict[str, Path]:
    """Make our file and the peers' from the one network in the folder."""
    from ghost_edge.host.onnx.float import export as export_float
    from ghost_edge.host.onnx.int8 import write_qdq
    from ghost_edge.host.tflite.graph import read_model

    (int8,), (source,) = folder.glob("*_int8.tflite"), folder.glob("[!.]*_float.tflite")
    files = {by: folder / f"{by}.onnx" for by in (OURS, *BARS)}
    files[OURS].write_bytes(write_qdq(read_model(int8)))
    files["float"].write_bytes(export_float(read_model(source)))
    run_tf2onnx(int8, files["tf2onnx"])
    quantize_static(files["float"], files["quantize_static"])
    return files


def run_tf2onnx(int8: Path, target: Path) -> None:
    """Run the command that tf2onnx's guide shows."""
    from ghost_edge.host.tflite.edit import pack
    from ghost_edge.host.tflite.graph import unpack

    source = target.with_suffix(".tflite")
    source.write_bytes(pack(unpack(int8.read_bytes())))  # it finds no constants behind the flatbuffer
    command = (sys.executable, "-m", "tf2onnx.convert", "--tflite", source, "--output", target, "--opset", 17)
    run_fresh(command, target.with_suffix(".log"))


def quantize_static(source: Path, target: Path) -> None:
    """Run ONNX Runtime's quantizer as its guide shows it: preprocessed, QDQ, uint8 activations, per-channel weights."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as quantize
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc] # ships no types
        def __init__(self, inputs: Iterator[dict[str, Any]]) -> None:
            self.inputs = inputs

        def get_next(self) -> dict[str, Any] | None:
            return next(self.inputs, None)

    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)  # which needs sympy; all shapes are fixed
    quantize(
        prepared,
        target,
        Reader(noise(source)),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def noise(model: Path) -> Iterator[dict[str, Any]]:
    """Return inputs as `ghost-edge bench` makes them: latency in integers does not depend on their values."""
    import numpy as np

    from ghost_edge.device.bench import random_input
    from ghost_edge.device.runtimes.open import open_model

    (spec,) = open_model(model).inputs
    rng = np.random.default_rng(0)
    return ({spec.name: random_input(spec, rng)} for _ in range(IMAGES))


def count_fused(model: Path, folder: Path) -> collections.Counter[str]:
    """Count the nodes by kind in the graph that ONNX Runtime makes of a file."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "optimized.onnx"), 3
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return collections.Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


if __name__ == "__main__":
    sys.exit(main())
