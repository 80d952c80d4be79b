"""Time our chain against the script that people write: GhostNet 1.0x at 224 px to float, int8 and ONNX."""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from checkout import run_fresh
from figures import Figure, finish, parser

BAR = 0.32
# those that make the files; checks and reports are left out, for the other side has nothing of the kind
STAGES = ("build", "float", "calibrate", "quantize", "export")
SIDES = ("ours", "theirs")
TOOLS = (
    *("tensorflow", "keras", "tf2onnx", "tf2onnx.tfonnx", "tf2onnx.optimizer", "onnx.checker"),
    *("tensorflow.python.framework.convert_to_constants", "litert_quantizer.quantizer", "ai_edge_litert.interpreter"),
    *("ghost_edge.host.chain.stages", "ghost_edge.host.networks.state_dict"),
)
Steps = dict[str, float]  # name of a step to its seconds; "total": wall time of them all, "cpu": of all threads


def main() -> int:
    """Run both sides in turn, each in a fresh process, and compare."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=2, help="pairs of runs (default 2)")
    options.add_argument("--images", type=int, default=100, help="for calibration (default 100)")
    options.add_argument("--size", type=int, default=224, help="input in pixels (default 224)")
    options.add_argument("--width", type=float, default=1.0, help="of GhostNet (default 1.0)")
    options.add_argument("--side", choices=SIDES, help="internal: run this side here and print its times")
    options.add_argument("--folder", type=Path, help="internal: where that side writes")
    asked = options.parse_args()
    if asked.side:
        _run_side(asked.side, asked.folder, _table(asked.images, asked.size, asked.width))
        return 0
    runs: dict[str, list[Steps]] = {side: [] for side in SIDES}
    settings = ("--images", asked.images, "--size", asked.size, "--width", asked.width)
    for number in range(asked.runs):
        for side in SIDES:
            runs[side].append(_run_child(side, settings))
            print(f"run {number + 1} of {asked.runs}: {side:<6} {runs[side][-1]['total']:6.2f} s", flush=True)
    print("\n".join(breakdown(runs)))
    return finish(summary(runs), asked.json, asked.check, samples={**runs, "settings": list(settings)})


def summary(runs: Mapping[str, Sequence[Steps]]) -> list[Figure]:
    """Return the ratio of medians with its bar, the worst pair for us, and both medians."""
    ours, theirs = ([steps["total"] for steps in runs[side]] for side in SIDES)
    medians = statistics.median(ours), statistics.median(theirs)
    cpu_ours, cpu_theirs = (statistics.median(steps["cpu"] for steps in runs[side]) for side in SIDES)
    return [
        Figure("ours / theirs, medians", medians[0] / medians[1], bar=BAR, unit="x"),
        Figure("worst pair", max(a / b for a, b in zip(ours, theirs, strict=True)), unit="x"),
        # other work on the machine changes this less: far from the first, the machine was not quiet
        Figure("processor time", cpu_ours / cpu_theirs, unit="x"),
        Figure("ours", medians[0], unit=" s"),
        Figure("theirs", medians[1], unit=" s"),
    ]


def breakdown(runs: Mapping[str, Sequence[Steps]]) -> list[str]:
    """Return lines with the median of each step and its share of that side's median."""
    lines = []
    for side in SIDES:
        total_s = statistics.median(steps["total"] for steps in runs[side])
        cpu_s = statistics.median(steps["cpu"] for steps in runs[side])
        lines.append(f"{side}: {total_s:.2f} s, {cpu_s:.2f} s of processor")
        for name in runs[side][0]:
            step_s = statistics.median(steps[name] for steps in runs[side])
            if name not in ("total", "cpu"):
                lines.append(f"  {name:<10} {step_s:6.2f} s  {step_s / total_s:4.0%}")
    pairs = [f"{a['total'] / b['total']:.3f}" for a, b in zip(runs["ours"], runs["theirs"], strict=True)]
    return [*lines, f"pair by pair: {' '.join(pairs)}"]


def _run_child(side: str, settings: Sequence[object]) -> Steps:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        run_fresh((sys.executable, __file__, "--side", side, "--folder", folder, *settings), log)
        steps: Steps = json.loads((Path(folder) / "times.json").read_text())
        return steps


def _table(images: int, size: int, width: float) -> dict[str, Any]:
    """Return the recipe of both sides."""
    return {
        "name": "ghostnet",
        "network": {"kind": "ghostnet", "input_size": size, "width": width, "weights": "random"},
        "preprocess": {"size": size, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "calibration": {"kind": "synthetic", "count": images, "size": size, "samples": images},
        "quantization": {"kind": "int8"},
        "export": [{"kind": "onnx_float"}],
    }


def _run_side(side: str, folder: Path, table: Mapping[str, Any]) -> None:
    """Import everything, then time one side; its files are read back after the clock."""
    _import_tools()
    from ghost_edge.host.recipe.schema import parse_recipe

    recipe = parse_recipe(table, Path("ghostnet.toml"))
    started, cpu_started = time.perf_counter(), time.process_time()
    steps = {"ours": _ours, "theirs": _theirs}[side](recipe, folder)
    steps.update(total=time.perf_counter() - started, cpu=time.process_time() - cpu_started)
    _check_products(folder)
    (folder / "times.json").write_text(json.dumps(steps))


def _import_tools() -> None:
    """Import the packages of both sides before the clock starts; TensorFlow's runtime starts with its first tensor."""
    for name in TOOLS:
        importlib.import_module(name)
    import tensorflow as tf

    assert tf.lite.TFLiteConverter, "loaded when it is named"
    tf.constant(0.0)


class _Stopwatch:
    """A Reporter that keeps the seconds of each stage."""

    def __init__(self) -> None:
        self.steps: Steps = {}

    def started(self, stage: str) -> None:
        """Hear nothing new: finished() gets the seconds."""

    def progress(self, stage: str, share: float, text: str) -> None:
        """Show nothing."""

    def finished(self, stage: str, seconds: float | None) -> None:
        """Keep the seconds; nothing can be up to date in an empty folder."""
        assert seconds is not None
        self.steps[stage] = seconds


def _ours(recipe: Any, folder: Path) -> Steps:
    from ghost_edge.host.chain import stages as chain
    from ghost_edge.host.chain.stages import run_chain
    from ghost_edge.host.datasets.places import Places

    watch = _Stopwatch()
    stages = tuple(stage for stage in chain.STAGES if stage.name in STAGES)
    assert {"build", "calibrate", "quantize", "export"} <= {stage.name for stage in stages}, "a stage was renamed"
    run_chain(recipe, Places(()), folder, watch, stages=stages)
    return watch.steps


def _theirs(recipe: Any, folder: Path) -> Steps:
    """Convert the Keras model to each format as the tools' own guides show it."""
    import tensorflow as tf
    import tf2onnx

    from ghost_edge.core.preprocess import prepare
    from ghost_edge.host.datasets import open_dataset
    from ghost_edge.host.datasets.places import Places
    from ghost_edge.host.networks import NETWORKS

    def to_int8() -> bytes:
        images = open_dataset(recipe.calibration, Places(())).images
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([prepare(image, recipe.preprocess)] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())

    steps: Steps = {}
    model = _timed("build", steps, lambda: NETWORKS[recipe.network.kind].build(recipe.network.options, Places(())))
    to_float = tf.lite.TFLiteConverter.from_keras_model(model).convert
    (folder / "ghostnet_float.tflite").write_bytes(_timed("float", steps, to_float))
    (folder / "ghostnet_int8.tflite").write_bytes(_timed("int8", steps, to_int8))
    exported, _ = _timed("onnx", steps, lambda: tf2onnx.convert.from_keras(model, opset=17))
    (folder / "ghostnet_float.onnx").write_bytes(exported.SerializeToString())
    return steps


def _timed(name: str, steps: Steps, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    steps[name] = time.perf_counter() - started
    return result


def _check_products(folder: Path) -> None:
    """Check that a side made all three models: a side that left work out would look fast."""
    import numpy as np

    from ghost_edge.device.bench import random_input
    from ghost_edge.device.runtimes.open import open_model
    from ghost_edge.host.quantization import QUANTIZERS
    from ghost_edge.host.tflite.graph import read_model
    from ghost_edge.host.tflite.verify import check_dtypes

    check_dtypes(read_model(folder / "ghostnet_int8.tflite"), QUANTIZERS["int8"].dtypes, "ghostnet_int8.tflite")
    for name in ("ghostnet_float.tflite", "ghostnet_int8.tflite", "ghostnet_float.onnx"):
        model = open_model(folder / name)
        model.set_inputs([random_input(spec, np.random.default_rng(0)) for spec in model.inputs])
        model.invoke()
        assert model.outputs_now()[0].shape == (1, 1000), f"{name} answers {model.outputs_now()[0].shape}"


if __name__ == "__main__":
    sys.exit(main())
