"""Time models, each in a child process of its own."""

from __future__ import annotations

import array
import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.digest import sha256_file
from ghost_edge.core.errors import ArtifactError, GhostEdgeError, RecipeError
from ghost_edge.core.stats import LatencyStats, summarise
from ghost_edge.core.stats import doubts as timing_doubts
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.board import Board, read_board
from ghost_edge.device.board import doubts as board_doubts
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtime import (
    MODEL_SUFFIXES,
    DelegateShare,
    Model,
    check_model_file,
    import_interpreter,
    is_runnable,
    open_model,
)

FORMAT = 1  # of the JSON document; raise it when a key changes its meaning or goes


@dataclasses.dataclass(frozen=True)
class BenchPlan:
    """How to time: warm up, then at least `runs` runs and at least `seconds` of them; give a model timeout_s in all.

    warmup: runs before the first sample, and at least a tenth of `seconds` of them.
    """

    runs: int = 50
    seconds: float = 1.0
    warmup: int = 5
    threads: int = 1
    runtime: str = "auto"
    kernels: str = "default"
    timeout_s: float = 300.0

    def __post_init__(self) -> None:
        positive = min(self.runs, self.threads) >= 1 and min(self.seconds, self.warmup) >= 0
        if not (positive and self.threads <= 256 and self.seconds <= 86400 and 0 < self.timeout_s <= 86400):
            raise RecipeError(
                f"bench with runs {self.runs}, seconds {self.seconds:g}, warmup {self.warmup}, threads {self.threads}, "
                f"timeout {self.timeout_s:g}: runs must be 1 or more, threads 1 to 256, "
                "timeout over 0, the others 0 or more, all times at most a day"
            )


@dataclasses.dataclass(frozen=True)
class BenchResult:
    """One model on this machine: what was measured; or failure, the sentence that says why not, and its class error.

    load_ms: opening and allocating, the file in the page cache, the interpreter already imported.
    peak_rss_bytes: of the child process, with Python, numpy and the interpreter in it.
    """

    path: Path
    sha256: str
    size_bytes: int
    threads: int
    load_ms: Optional[float] = None
    first_inference_ms: Optional[float] = None
    stats: Optional[LatencyStats] = None
    peak_rss_bytes: Optional[int] = None
    delegate: Optional[DelegateShare] = None
    interpreter: Optional[str] = None
    version: Optional[str] = None
    failure: Optional[str] = None
    error: Optional[type[GhostEdgeError]] = None
    doubts: tuple[str, ...] = ()


def find_models(paths: Sequence[Path]) -> list[Path]:
    """The .tflite and .onnx files among these paths and directly in these folders, sorted within each folder.

    Other files are passed over, so that a shell's "models/*" works; and in a folder, models that left_out() names.
    Raises ArtifactError for a path that is not there, and when no model is left.
    """
    passed_over = left_out(paths)
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ArtifactError(f"{path} does not exist; give .tflite or .onnx files, or folders that hold them")
        found += sorted(path.iterdir()) if path.is_dir() else [path]
    models = [
        path
        for path in dict.fromkeys(found)
        if path.suffix in MODEL_SUFFIXES and path.is_file() and path not in passed_over
    ]
    if not models:
        raise ArtifactError(f"no .tflite or .onnx file in {', '.join(map(str, paths)) or 'nothing'}; check the path")
    return models


def left_out(paths: Sequence[Path]) -> list[Path]:
    """Models in these folders for which no interpreter is installed, such as the .onnx files on a board."""
    inside = [path for folder in paths if folder.is_dir() for path in sorted(folder.iterdir())]
    return [path for path in inside if path.suffix in MODEL_SUFFIXES and path not in paths and not is_runnable(path)]


def bench_models(
    paths: Sequence[Path], plan: BenchPlan, say: Optional[Callable[[BenchResult], None]] = None
) -> list[BenchResult]:
    """Time every model that find_models() finds, one after the other; say() gets each result as it is made.

    A model that fails is a result with its failure. Raises ArtifactError as find_models() does.
    """
    machine = board_doubts(read_board())
    results = []
    for path in find_models(paths):
        outcome = run_isolated(measure, path, plan, timeout_s=plan.timeout_s)
        if outcome.failure:
            failed = BenchResult(path, sha256_file(path), path.stat().st_size, plan.threads)
            failure = outcome.failure.removeprefix(f"{path}: ")
            result = dataclasses.replace(failed, failure=failure, error=outcome.error)
        else:
            result = dataclasses.replace(outcome.value, doubts=judge(outcome.value, plan) + machine)
        results.append(result)
        if say is not None:
            say(result)
    return results


def measure(path: Path, plan: BenchPlan) -> BenchResult:
    """Time one model in this process; raises what open_model() raises."""
    check_model_file(path)
    import_interpreter(path, plan.runtime)  # before the clock starts: a program pays for it once, not a model
    start = time.perf_counter_ns()
    model = open_model(path, runtime=plan.runtime, kernels=plan.kernels, threads=plan.threads)
    loaded = time.perf_counter_ns()
    rng = np.random.default_rng(0)
    model.set_inputs([random_input(spec, rng) for spec in model.inputs])
    before = time.perf_counter_ns()
    model.invoke()
    after = time.perf_counter_ns()
    samples = time_invokes(model, plan)
    return BenchResult(
        path=path,
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
        threads=plan.threads,
        load_ms=(loaded - start) / 1e6,
        first_inference_ms=(after - before) / 1e6,
        stats=summarise(samples),
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        delegate=model.delegate,
        interpreter=model.interpreter,
        version=model.version,
    )


def time_invokes(model: Model, plan: BenchPlan) -> Sequence[int]:
    """Warm up, then time invoke() alone until the plan is fulfilled: nanoseconds, every run, in order."""
    invoke, clock = model.invoke, time.perf_counter_ns
    warm, end = 0, clock() + int(plan.seconds * 1e8)
    while plan.warmup and (warm < plan.warmup or clock() < end):
        invoke()
        warm += 1
    samples = array.array("q")  # 8 bytes a sample: memory is measured too
    end = clock() + int(plan.seconds * 1e9)
    while len(samples) < plan.runs or clock() < end:
        start = clock()
        invoke()
        samples.append(clock() - start)
    return samples


def random_input(spec: TensorSpec, rng: np.random.Generator) -> NDArray[Any]:
    """Data for one input: floats normal (mean 0, deviation 1), small integers over their range, others 0 or 1."""
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(spec.shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, spec.shape, dtype=dtype, endpoint=True)
    return rng.integers(0, 1, spec.shape, endpoint=True).astype(dtype)  # wide integers are indices or lengths


def judge(result: BenchResult, plan: BenchPlan) -> tuple[str, ...]:
    """What makes this measurement doubtful; pure."""
    assert result.stats is not None
    found = timing_doubts(result.stats)
    share = result.delegate
    if plan.kernels == "default" and share is not None and share.delegated_ops < share.ops:
        part = f"{share.delegated_ops} of {share.ops} ops, in {share.partitions} partitions"
        part = part if share.delegated_ops else f"none of {share.ops} ops"
        found += (f"the delegate took {part}; the rest runs on plain kernels",)
    return found


def as_document(board: Board, plan: BenchPlan, results: Sequence[BenchResult]) -> dict[str, Any]:
    """Everything, every sample included, as plain values for JSON."""
    rows = []
    for result in results:
        row = dataclasses.asdict(dataclasses.replace(result, error=None))
        rows.append({**row, "path": str(result.path), "error": result.error.__name__ if result.error else None})
    return {
        "format": FORMAT,
        "board": dataclasses.asdict(board),
        "plan": dataclasses.asdict(plan),
        "results": rows,
    }
