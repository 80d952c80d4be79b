"""Summary of repeated timings, and what makes it doubtful."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_MAD = 0.05  # of the median; a quiet machine stays under 0.01
MAX_P90 = 1.25  # times the median
MAX_FIRST_RUNS = 1.10  # times the median of the rest
MAX_DRIFT = 0.05  # change of the last third against the first, of the first
FEWEST_FOR_TRENDS = 20  # under that a third is too short for a median


@dataclasses.dataclass(frozen=True)
class LatencyStats:
    """Every sample in the order it was taken, and the numbers people quote; frames_per_second is 1000 / median_ms."""

    samples_ns: tuple[int, ...]
    runs: int
    median_ms: float
    mad_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    min_ms: float
    frames_per_second: float


def summarise(samples_ns: Sequence[int]) -> LatencyStats:
    """Summarise timings in nanoseconds, at least one, all over 0; mad_ms is the median absolute deviation, unscaled."""
    assert len(samples_ns) > 0, "no samples"
    assert min(samples_ns) > 0, "a run took no time"
    values = np.asarray(samples_ns, np.float64) / 1e6
    median = float(np.median(values))
    return LatencyStats(
        samples_ns=tuple(int(sample) for sample in samples_ns),
        runs=len(values),
        median_ms=median,
        mad_ms=_mad(values),
        p90_ms=float(np.percentile(values, 90)),
        p99_ms=float(np.percentile(values, 99)),
        mean_ms=float(values.mean()),
        min_ms=float(values.min()),
        frames_per_second=1000 / median,
    )


def doubts(stats: LatencyStats) -> tuple[str, ...]:
    """Sentences on why the median may not be the model's: wide spread, slow first runs, drift; empty when sound."""
    values = np.asarray(stats.samples_ns, np.float64) / 1e6
    return tuple(sentence for sentence in (_spread(stats), _first_runs(values), _drift(values)) if sentence)


def _spread(stats: LatencyStats) -> str:
    if stats.mad_ms > MAX_MAD * stats.median_ms:
        share = stats.mad_ms / stats.median_ms
        return f"spread too wide: MAD is {share:.0%} of the median (limit {MAX_MAD:.0%}); stop other work and run again"
    if stats.p90_ms > MAX_P90 * stats.median_ms:
        ratio = stats.p90_ms / stats.median_ms
        return f"spread too wide: p90 is {ratio:.2f}x the median (limit {MAX_P90}x); stop other work and run again"
    return ""


def _first_runs(values: NDArray[np.float64]) -> str:
    if len(values) < FEWEST_FOR_TRENDS:
        return ""
    count = max(5, len(values) // 10)
    first, rest = values[:count], values[count:]
    ratio = float(np.median(first) / np.median(rest))
    if ratio <= MAX_FIRST_RUNS or not _apart(first, rest):
        return ""
    return f"first runs slower: the first {count} took {ratio:.2f}x the rest (limit {MAX_FIRST_RUNS}x); raise --warmup"


def _drift(values: NDArray[np.float64]) -> str:
    if len(values) < FEWEST_FOR_TRENDS:
        return ""
    settled = values[max(5, len(values) // 10) :]  # slow first runs are another doubt
    first, last = settled[: len(settled) // 3], settled[-(len(settled) // 3) :]
    change = float(np.median(last) / np.median(first)) - 1
    if abs(change) <= MAX_DRIFT or not _apart(first, last):
        return ""
    return (
        f"drift: the last third took {change:+.0%} against the first (limit {MAX_DRIFT:.0%}); "
        "look at the clock governor, the temperature and other work"
    )


def _apart(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    """Whether two medians differ by more than twice the larger MAD: three sigma for the shortest thirds we judge."""
    return abs(float(np.median(left) - np.median(right))) > 2 * max(_mad(left), _mad(right))


def _mad(values: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(values - np.median(values))))
