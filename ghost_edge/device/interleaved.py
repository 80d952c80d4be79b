"""Interleaved timing: model files run in turn, so that whatever slows the machine down slows all of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.latency import LatencyStats, summarise
from ghost_edge.device.bench import random_input
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import Model
from ghost_edge.device.runtimes.open import open_model


@dataclasses.dataclass(frozen=True)
class TimeRatio:
    """Ratio of two latencies, median_ms / peer_ms; low, high: its quartiles over the rounds."""

    ratio: float
    low: float
    high: float
    median_ms: float
    peer_ms: float


def alternate(
    files: Sequence[Path],
    *,
    rounds: int = 30,
    runs: int = 5,
    warmup: int = 5,
    threads: int = 1,
    runtime: str = "auto",
    kernels: str = "default",
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
        models = [open_model(file, runtime=runtime, kernels=kernels, threads=threads) for file in files]
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


def time_ratio(stats: LatencyStats, peer: LatencyStats, *, rounds: int) -> TimeRatio:
    """Compare two results of the same alternate() call of so many rounds."""
    assert stats.runs == peer.runs and stats.runs % rounds == 0, "not from the same call"
    medians = [np.median(np.reshape(each.samples_ns, (rounds, -1)), axis=1) for each in (stats, peer)]
    low, high = np.percentile(medians[0] / medians[1], (25, 75))
    return TimeRatio(stats.median_ms / peer.median_ms, float(low), float(high), stats.median_ms, peer.median_ms)
