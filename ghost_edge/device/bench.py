"""Latency of models: each timed in child processes of its own, or several in turn in one."""

from __future__ import annotations

import array
import dataclasses
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import as_paths, sha256_file
from ghost_edge.core.latency import LatencyStats, median_interval, summarise
from ghost_edge.core.latency import doubts as timing_doubts
from ghost_edge.core.manifest import describe_input, read_metadata
from ghost_edge.core.options import check_types, convert
from ghost_edge.core.tables import Column, as_csv, as_markdown, as_text
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.bench_results import COLUMNS, CSV_ONLY, FORMAT, BenchResult, as_row, doubt_lines
from ghost_edge.device.board import Board, describe, read_board, read_conditions, throttling
from ghost_edge.device.board import doubts as board_doubts
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import Model
from ghost_edge.device.runtimes.open import check_model_file, find_models, import_interpreter, left_out, open_model

_DAY_S = 86400
LIMITS = {
    "runs": (1, 10**9),
    "rounds": (1, 1000),
    "seconds": (0, _DAY_S),
    "max_seconds": (0, _DAY_S),
    "precision": (0, 0.5),
    "warmup": (0, 10**9),
    "threads": (1, 256),
    "cpus": (0, 4095),
    "timeout_s": (0.001, _DAY_S),
}
Job = tuple[Path, int]  # a model file and a number of threads


@dataclasses.dataclass(frozen=True)
class BenchPlan:
    """Plan for timing a model.

    Warm up, then take at least `runs` runs and `seconds` of them, then go on until the 95 % interval of the median is
    within `precision` of it, or max_seconds are over.

    warmup: runs before the first sample, and at least a fifth of `seconds` of them.
    threads: a row for each number. cpus: cores to stay on; none: wherever the scheduler puts it.
    rounds: fresh processes for each row, all rows in turn, so that drift hits all of them; each takes `runs` and
    `seconds`, and the interval is that of all of them. timeout_s: for one process.
    """

    runs: int = 50
    seconds: float = 0.5
    max_seconds: float = 5.0
    precision: float = 0.01
    warmup: int = 5
    threads: tuple[int, ...] = (1,)
    cpus: tuple[int, ...] = ()
    rounds: int = 1
    runtime: str = "auto"
    kernels: str = "default"
    timeout_s: float = 300.0

    def __post_init__(self) -> None:
        check_types(self, "bench")
        if not self.threads:
            raise RecipeError("bench needs a number of threads, such as 1 or 1,2,4")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            for each in value if isinstance(value, tuple) else (value,):
                if not low <= each <= high:
                    raise RecipeError(f"bench with {name} {each}: it must be {low:g} to {high:g}")

    def as_options(self) -> list[str]:
        """Return the options of `ghost-edge bench` that make this plan, without those of the default plan."""
        found = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                found += [option_of(field.name), text]
        return found


def option_of(field: str) -> str:
    """Return the option of `ghost-edge bench` that sets a field of the plan."""
    return {"cpus": "--cpu", "timeout_s": "--timeout"}.get(field, f"--{field.replace('_', '-')}")


def bench_models(
    paths: Sequence[Path], plan: BenchPlan, say: Callable[[BenchResult], None] = lambda result: None
) -> list[BenchResult]:
    """Time every model that find_models() finds with every number of threads; say() gets each result as it is made.

    A model that fails is a result with its failure. Raises ArtifactError as find_models() does, and RecipeError for
    cores that this process may not use.
    """
    usable = os.sched_getaffinity(0)
    absent, allowed = (",".join(map(str, sorted(cores))) for cores in (set(plan.cpus) - usable, usable))
    if absent:
        raise RecipeError(f"--cpu {absent}: no such core for this process; it may use {allowed}")
    jobs = [(path, threads) for path in find_models(paths) for threads in plan.threads]
    results = {}
    for job, result in _run_in_turn(jobs, plan):
        results[job] = result
        say(result)
    return [results[job] for job in jobs]


def _run_in_turn(jobs: Sequence[Job], plan: BenchPlan) -> Iterator[tuple[Job, BenchResult]]:
    """Run all jobs in every round, every second one in reverse order; yield each as its last round is done."""
    done: dict[Job, list[BenchResult]] = {job: [] for job in jobs}
    for number in range(plan.rounds):
        for job in jobs if number % 2 == 0 else jobs[::-1]:
            if not any(part.failure for part in done[job]):
                done[job].append(_run(*job, plan))
            if number == plan.rounds - 1:
                yield job, _merge(done[job], plan)


def _run(path: Path, threads: int, plan: BenchPlan) -> BenchResult:
    outcome = run_isolated(measure, path, threads, plan, timeout_s=plan.timeout_s)
    if not outcome.failure:
        measured: BenchResult = outcome.value
        return measured
    failure = outcome.failure.removeprefix(f"{path}: ").removeprefix(f"{path} ")
    return BenchResult(path, sha256_file(path), path.stat().st_size, threads, failure=failure, error=outcome.error)


def _merge(parts: Sequence[BenchResult], plan: BenchPlan) -> BenchResult:
    """Merge the results of all rounds: all samples, medians of the cold start, the doubts; or the failure."""
    last = parts[-1]
    if last.failure:
        return last
    samples = [part.stats.samples_ns for part in parts if part.stats]
    worst = next((part for part in parts if part.before and part.after and throttling(part.before, part.after)), last)
    whole = dataclasses.replace(
        last,
        import_ms=_median(part.import_ms for part in parts),
        load_ms=_median(part.load_ms for part in parts),
        first_inference_ms=_median(part.first_inference_ms for part in parts),
        stats=summarise([each for taken in samples for each in taken], [len(taken) for taken in samples]),
        peak_rss_bytes=max(part.peak_rss_bytes or 0 for part in parts),
        before=worst.before,
        after=worst.after,
    )
    return dataclasses.replace(whole, doubts=find_doubts(whole, plan))


def measure(path: Path, threads: int, plan: BenchPlan) -> BenchResult:
    """Time one model in this process; raises what open_model() raises."""
    check_model_file(path)
    if plan.cpus:
        os.sched_setaffinity(0, plan.cpus)  # before the interpreter makes its threads: they inherit it
    clock = time.perf_counter_ns
    start = clock()
    import_interpreter(path, plan.runtime)
    imported = clock()
    model = open_model(path, runtime=plan.runtime, kernels=plan.kernels, threads=threads)
    loaded = clock()
    rng = np.random.default_rng(0)
    model.set_inputs([random_input(spec, rng) for spec in model.inputs])
    ready = clock()
    model.invoke()
    answered = clock()
    cpu = min(plan.cpus, default=0)
    before = read_conditions(cpu=cpu)
    samples = time_invokes(model, plan)
    after = read_conditions(cpu=cpu)
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return BenchResult(
        path=path,
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
        threads=threads,
        import_ms=(imported - start) / 1e6,
        load_ms=(loaded - imported) / 1e6,
        first_inference_ms=(answered - ready) / 1e6,
        stats=summarise(samples),
        peak_rss_bytes=peak_rss,
        delegate=model.delegate,
        interpreter=model.interpreter,
        version=model.version,
        before=before,
        after=after,
    )


def time_invokes(model: Model, plan: BenchPlan, clock: Callable[[], int] = time.perf_counter_ns) -> Sequence[int]:
    """Warm up, then time invoke() alone until the plan is fulfilled: nanoseconds, every run, in order."""
    invoke = model.invoke
    warm, end = 0, clock() + int(plan.seconds * 0.2e9)
    while plan.warmup and (warm < plan.warmup or clock() < end):
        invoke()
        warm += 1
    samples = array.array("q")  # 8 bytes a sample: memory is measured too
    end = clock() + int(plan.seconds * 1e9)
    limit = max(end, clock() + int(plan.max_seconds * 1e9))
    enough = plan.runs
    while True:
        while len(samples) < enough or clock() < end:
            start = clock()
            invoke()
            samples.append(clock() - start)
            if clock() > limit and len(samples) >= plan.runs:
                break
        if plan.rounds > 1 or plan.precision == 0 or clock() > limit or is_precise(samples, plan.precision):
            return samples
        enough = len(samples) * 5 // 4 + 1
        invoke()  # not timed: the look at the interval has used the caches


def is_precise(samples: Sequence[int], precision: float) -> bool:
    """Return whether the 95 % interval of the median is within `precision`, a fraction, of it on both sides.

    The interval of the first half must be, too: one look after the other would stop at the first interval that is
    narrow by chance.
    """
    values = np.asarray(samples)
    for part in (values, values[: len(values) // 2]):
        interval = median_interval(part)
        if interval is None or interval[1] - interval[0] > 2 * precision * float(np.median(part)):
            return False
    return True


def random_input(spec: TensorSpec, rng: np.random.Generator) -> NDArray[Any]:
    """Return data for an input: floats normal (mean 0, deviation 1), small integers over their range, others 0 or 1."""
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(spec.shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, spec.shape, dtype=dtype, endpoint=True)
    return rng.integers(0, 1, spec.shape, endpoint=True).astype(dtype)  # wide integers are indices or lengths


def find_doubts(result: BenchResult, plan: BenchPlan) -> tuple[str, ...]:
    """Return sentences on what makes this measurement doubtful."""
    assert result.stats is not None
    found = timing_doubts(result.stats)
    if plan.precision and result.stats.precision > plan.precision:
        known = f"to {result.stats.precision:.1%} only" if result.stats.low_ms else "by too little"
        taken = f"{result.stats.runs} runs, {sum(result.stats.samples_ns) / 1e9:.1f} s"
        found += (
            f"the median is known {known} after {taken} (asked: {plan.precision:.1%}); "
            "stop other work, raise --max-seconds or --rounds (6 or more)",
        )
    if result.before and result.after:
        throttled = throttling(result.before, result.after)
        found += (throttled,) if throttled else board_doubts(result.after)
    share = result.delegate
    if plan.kernels == "default" and share is not None and share.delegated_ops < share.ops:
        part = f"{share.delegated_ops} of {share.ops} ops, in {share.partitions} partitions"
        part = part if share.delegated_ops else f"none of {share.ops} ops"
        found += (f"the delegate took {part}; the rest runs on plain kernels",)
    return found


def as_document(board: Board, plan: BenchPlan, results: Sequence[BenchResult]) -> dict[str, Any]:
    """Return board, plan and results, every sample included, as plain values for JSON."""
    rows = []
    for result in results:
        row = dataclasses.asdict(dataclasses.replace(result, error=None))
        rows.append({**row, "path": str(result.path), "error": result.error.__name__ if result.error else None})
    return {"format": FORMAT, "board": dataclasses.asdict(board), "plan": dataclasses.asdict(plan), "results": rows}


def _median(values: Iterable[Optional[float]]) -> float:
    return float(np.median([value for value in values if value is not None]))


@dataclasses.dataclass(frozen=True)
class Bench:
    """A bench that has ended.

    document: the content of --json. results: a row for each model and number of threads. code: the exit code of a
    bundle's run.sh on the board, 0 where the models ran here.
    """

    document: Mapping[str, Any]
    results: Sequence[BenchResult]
    code: int = 0

    def __str__(self) -> str:
        return as_text([as_row(result) for result in self.results], COLUMNS)

    def as_file(self, kind: str) -> str:
        """Return the content of a file: "json" with every sample, "csv" or "markdown" with the table."""
        rows = [as_row(result) for result in self.results]
        if kind == "json":
            return json.dumps(self.document, allow_nan=False) + "\n"
        return as_csv(rows, (*COLUMNS, *CSV_ONLY)) if kind == "csv" else as_markdown(rows, COLUMNS) + "\n"


def bench(
    paths: Union[str, Path, Sequence[Union[str, Path]]],
    plan: BenchPlan = BenchPlan(),  # frozen
    say: Callable[[str], None] = lambda line: None,
) -> Bench:
    """Time the models of files and folders on this machine, each in a process of its own.

    say: gets each line of the table as soon as its model has run, with the board before and doubts behind. A model
    that fails is a result with its failure. Raises as find_models() and bench_models() do.
    """
    files, plan = as_paths(paths), convert(plan, BenchPlan, "plan")
    board, models = read_board(cpu=min(plan.cpus, default=0)), find_models(files)
    columns = (Column("model", "model", "", max(len(path.name) for path in models)), *COLUMNS[1:])
    say(describe(board))
    for path in left_out(files):
        say(f"left out: {path.name}, no interpreter for {path.suffix} files is installed here")
    say(as_text([], columns))
    metadata = {str(path): found for path in models if (found := read_metadata(path)) is not None}
    results = bench_models(models, plan, lambda result: say(as_text([as_row(result)], columns).splitlines()[-1]))
    used = sorted({f"{result.interpreter} {result.version}" for result in results if result.interpreter})
    if used:
        say(f"interpreter: {', '.join(used)}, {plan.kernels} kernels")
    inputs = {path: describe_input(found) for path, found in metadata.items()}
    for line in dict.fromkeys(inputs.values()):
        fed = [path for path, other in inputs.items() if other == line]
        say(f"input of {'all' if len(fed) == len(models) else ', '.join(fed)}: {line}")
    for line in doubt_lines(results):
        say(line)
    metadata_rows = {path: dataclasses.asdict(found) for path, found in metadata.items()}
    return Bench({**as_document(board, plan, results), "metadata": metadata_rows}, results)


def alternate(
    files: Sequence[Path],
    *,
    rounds: int = 30,
    runs: int = 5,
    warmup: int = 5,
    threads: int = 1,
    timeout_s: float = 300.0,
) -> list[LatencyStats]:
    """Time each file in every round, `runs` runs at a time; one LatencyStats a file, of rounds * runs samples in order.

    All files are open in one child process. Raises what open_model() raises, RecipeError for counts that cannot be,
    and DeviceError where the process ends otherwise or takes longer than timeout_s.
    """
    if min(rounds, runs, threads) < 1 or warmup < 0:
        raise RecipeError(
            f"rounds {rounds}, runs {runs}, warmup {warmup}, threads {threads}: warmup must be 0 or more, the others 1"
        )

    def measure() -> list[list[int]]:
        models = [open_model(file, threads=threads) for file in files]
        return time_in_turn(models, rounds=rounds, runs=runs, warmup=warmup)

    outcome = run_isolated(measure, timeout_s=timeout_s)
    subject = next((str(file) for file in files if outcome.failure.startswith(str(file))), "timing in turn")
    return [summarise(samples) for samples in outcome.unwrap(subject)]


def time_in_turn(models: Sequence[Model], *, rounds: int, runs: int, warmup: int) -> list[list[int]]:
    """Return nanoseconds of every invoke() by model; each round runs all models, every second one in reverse order."""
    clock = time.perf_counter_ns
    for model in models:
        rng = np.random.default_rng(0)
        model.set_inputs([random_input(spec, rng) for spec in model.inputs])
        for _ in range(warmup):
            model.invoke()
    samples: list[list[int]] = [[] for _ in models]
    for number in range(rounds):
        turns = list(zip(models, samples))
        for model, taken in turns if number % 2 == 0 else turns[::-1]:
            invoke = model.invoke
            invoke()  # not timed: the run before it was of another model
            for _ in range(runs):
                start = clock()
                invoke()
                taken.append(clock() - start)
    return samples
