"""Statistics of timings: the median with its interval, and doubts about it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

BLOCKS, LEAST_IN_A_BLOCK, FEWEST_BLOCKS = 20, 5, 6  # the median of two is their mean, and no longer robust
BETWEEN_PROCESSES = 0.02  # of the median: medians of one file in separate processes were seen to spread over 1 to 2 %
LEAST_VON_NEUMANN = 1.04  # 2 for independent blocks; 1 to 2 % of such give less than this
MAX_MAD = 0.05  # of the median; a quiet machine stays under 0.01
MAX_P90 = 1.25  # times the median
MAX_FIRST_RUNS = 1.10  # times the median of the rest
MAX_DRIFT = 0.05  # change of the last third against the first, or of a step, of what was before
FEWEST_FOR_TRENDS = 20  # under that a third is too short for a median
LEAST_IN_A_MODE = 0.1  # of the samples
_NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution

Values = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class LatencyStats:
    """Samples in the order they were taken, and their statistics; frames_per_second is 1000 / median_ms.

    processes: how many of the samples each process took, in order; of several, median_ms is the median of medians.
    low_ms, high_ms: 95 % interval of the median, see median_interval(); None for too few.
    """

    samples_ns: tuple[int, ...]
    processes: tuple[int, ...]
    runs: int
    median_ms: float
    low_ms: Optional[float]
    high_ms: Optional[float]
    mad_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    min_ms: float
    frames_per_second: float

    @property
    def precision(self) -> float:
        """Half of the width of the interval as a fraction of the median; infinite where there is none."""
        if self.low_ms is None or self.high_ms is None:
            return math.inf
        return (self.high_ms - self.low_ms) / 2 / self.median_ms


def summarise(samples_ns: Sequence[int], processes: Sequence[int] = ()) -> LatencyStats:
    """Summarise timings in nanoseconds, at least one, all over 0; mad_ms is the median absolute deviation, unscaled.

    processes: how many of them each process took (none named: all are of one).
    """
    assert len(samples_ns) > 0, "no samples"
    assert min(samples_ns) > 0, "a run took no time"
    values = np.asarray(samples_ns, np.float64) / 1e6
    median = float(np.median(block_medians(values, processes) if len(processes) > 1 else values))
    low, high = median_interval(values, processes) or (None, None)
    return LatencyStats(
        samples_ns=tuple(int(sample) for sample in samples_ns),
        processes=tuple(processes) or (len(values),),
        runs=len(values),
        median_ms=median,
        low_ms=low,
        high_ms=high,
        mad_ms=_mad(values),
        p90_ms=float(np.percentile(values, 90)),
        p99_ms=float(np.percentile(values, 99)),
        mean_ms=float(values.mean()),
        min_ms=float(values.min()),
        frames_per_second=1000 / median,
    )


def block_medians(values: NDArray[Any], processes: Sequence[int] = ()) -> Values:
    """Return the medians of the processes [P]; of a single one, those of 20 blocks in time (6 or more of 5 runs each).

    Single runs are no independent draws: what slows one down slows its neighbours too, and memory layout and placement
    on the cores stay for as long as a process lives (Kalibera & Jones, ISMM 2013).
    """
    count = min(BLOCKS, max(FEWEST_BLOCKS, len(values) // LEAST_IN_A_BLOCK), len(values))
    ends = np.cumsum(processes)[:-1] if len(processes) > 1 else count
    return np.array([np.median(block) for block in np.array_split(np.asarray(values, np.float64), ends)])


def median_interval(values: NDArray[Any], processes: Sequence[int] = ()) -> Optional[tuple[float, float]]:
    """Return the distribution-free 95 % interval of the median: two order statistics of block medians; None under 6.

    Conover, Practical Nonparametric Statistics, section 3.2: the ranks that a binomial(n, 1/2) leaves 2.5 % outside.
    """
    medians = np.sort(block_medians(values, processes))
    count, outside, rank = len(medians), 0.0, 0
    while (outside := outside + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    return (float(medians[rank - 1]), float(medians[count - rank])) if rank else None


def ratio_interval(stats: LatencyStats, peer: LatencyStats) -> Optional[tuple[float, float]]:
    """Return the 95 % interval of the ratio of two latencies, the first over its peer's; None for too few blocks."""
    new, old = (block_medians(np.asarray(each.samples_ns), each.processes) for each in (stats, peer))
    return ratio_of_blocks(new, old, min(len(stats.processes), len(peer.processes)))


def ratio_of_blocks(new: NDArray[Any], old: NDArray[Any], processes: int) -> Optional[tuple[float, float]]:
    """Return the 95 % interval of the ratio new / old, from block medians of so many processes; None for too few.

    Hodges & Lehmann's interval of a shift, of the logarithms of block medians: order statistics of all ratios between
    the two, at ranks from the normal approximation of Mann & Whitney's U (Hollander & Wolfe, section 4.3). What
    differs from process to process is only seen in several: with fewer than 6 it is widened by BETWEEN_PROCESSES.
    """
    ratios = np.sort(np.divide.outer(new, old).ravel())
    spread = _NORMAL_95 * math.sqrt(len(ratios) * (len(new) + len(old) + 1) / 12)
    rank = math.floor(len(ratios) / 2 - spread)
    if rank < 1:
        return None
    allowed = 1 + (BETWEEN_PROCESSES if processes < FEWEST_BLOCKS else 0)
    return float(ratios[rank - 1]) / allowed, float(ratios[-rank]) * allowed


def doubts(stats: LatencyStats) -> tuple[str, ...]:
    """Return sentences on why the median may not be the model's: spread, two speeds, first runs, a step, drift.

    Of several processes: what half of them have, and medians that differ.
    """
    values = np.asarray(stats.samples_ns, np.float64) / 1e6
    if len(stats.processes) == 1:
        return _doubts_of_one(values)
    parts = np.array_split(values, np.cumsum(stats.processes)[:-1])
    found: dict[str, list[str]] = {}
    for part in parts:
        for sentence in _doubts_of_one(part):
            found.setdefault(sentence.partition(":")[0], []).append(sentence)
    often = [
        f"in {len(each)} of {len(parts)} processes: {each[0]}" for each in found.values() if 2 * len(each) >= len(parts)
    ]
    return tuple(filter(None, (_between_processes(block_medians(values, stats.processes)), *often)))


def _doubts_of_one(values: Values) -> tuple[str, ...]:
    if len(values) < FEWEST_FOR_TRENDS:
        return tuple(filter(None, (_spread(values),)))
    settled = values[max(5, len(values) // 10) :]  # other first runs are a doubt of their own
    speeds = _two_speeds(settled)
    if speeds:
        return (speeds,)
    step = _step(settled)
    first = "" if step else _first_runs(values)
    trend = step or _drift(settled) or ("" if first else _correlated(values))
    return tuple(sentence for sentence in ("" if trend else _spread(values), first, trend) if sentence)


def _between_processes(medians: Values) -> str:
    low, high = float(medians.min()), float(medians.max())
    if high <= (1 + MAX_DRIFT) * low:
        return ""
    return (
        f"the median differs from process to process, {low:.3f} to {high:.3f} ms: other work, heat, or where the "
        "scheduler put the threads; try --cpu and more --rounds"
    )


def _spread(values: Values) -> str:
    median, mad, p90 = float(np.median(values)), _mad(values), float(np.percentile(values, 90))
    if mad > MAX_MAD * median:
        share = f"{mad / median:.0%} of the median (limit {MAX_MAD:.0%})"
        return f"spread too wide: MAD is {share}; stop other work and run again"
    if p90 > MAX_P90 * median:
        return (
            f"spread too wide: p90 is {p90 / median:.2f}x the median (limit {MAX_P90}x); stop other work and run again"
        )
    return ""


def _two_speeds(values: Values) -> str:
    """Return a doubt where Otsu's split (1979) of the samples leaves two narrow modes far from each other."""
    ordered = np.sort(np.minimum(values, np.percentile(values, 95)))  # a few outliers are no mode
    split = _best_split(ordered)
    fast, slow = ordered[:split], ordered[split:]
    gap = float(np.median(slow) - np.median(fast))
    narrow = gap > 10 * max(_mad(fast), _mad(slow))  # 3 to 5 for one heap of any usual shape
    if min(len(fast), len(slow)) < LEAST_IN_A_MODE * len(values) or gap < MAX_DRIFT * np.median(fast) or not narrow:
        return ""
    third = len(values) // 3
    shares = [float((part >= slow[0]).mean()) for part in (values[:third], values[-third:])]
    if abs(shares[1] - shares[0]) > 0.4:  # first the one, then the other: a trend
        return ""
    return (
        f"two speeds: {len(slow) / len(values):.0%} of the runs take {np.median(slow) / np.median(fast):.2f}x the "
        "others; another process, or two kinds of cores: pin it with --cpu, stop other work"
    )


def _first_runs(values: Values) -> str:
    count = max(5, len(values) // 20)
    first, rest = values[:count], values[count:]
    ratio = float(np.median(first) / np.median(rest))
    if 1 / MAX_FIRST_RUNS <= ratio <= MAX_FIRST_RUNS or not _apart(first, rest):
        return ""
    if ratio < 1:
        return f"first runs faster: the first {count} took {ratio:.2f}x the rest; the core slowed down (heat, governor)"
    return f"first runs slower: the first {count} took {ratio:.2f}x the rest (limit {MAX_FIRST_RUNS}x); raise --warmup"


def _correlated(values: Values) -> str:
    """Return a doubt where neighbouring blocks resemble each other, by von Neumann's ratio (1941)."""
    medians = block_medians(values)
    deviations = float(((medians - medians.mean()) ** 2).sum())
    wide = deviations > len(medians) * (0.001 * float(np.median(values))) ** 2  # under 0.1 % it is not worth a word
    if len(medians) < BLOCKS / 2 or not wide or float((np.diff(medians) ** 2).sum()) >= LEAST_VON_NEUMANN * deviations:
        return ""
    return "slow waves: neighbouring runs resemble each other, so the interval is too narrow; use --rounds 6 or more"


def _step(values: Values) -> str:
    """Return a doubt where every run after one moment takes longer, as on a core slowed by heat; no ramp, no noise."""
    medians = block_medians(values)
    split = _best_split(medians)
    before, after = medians[:split], medians[split:]
    change = float(np.median(after) / np.median(before)) - 1
    left = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
    line = np.polynomial.Polynomial.fit(np.arange(len(medians)), medians, 1)
    ramp = float(((medians - line(np.arange(len(medians)))) ** 2).sum())
    sudden = min(len(before), len(after)) >= 2 and 2 * left < ramp
    if change <= MAX_DRIFT or not sudden or before.max() >= after.min():
        return ""
    return (
        f"a step: after about {split / len(medians):.0%} of the runs each took {change:+.0%}, and it stayed so; "
        "the core was slowed down (heat, governor) or other work began: look at both, cool it, run again"
    )


def _drift(values: Values) -> str:
    first, last = values[: len(values) // 3], values[-(len(values) // 3) :]
    change = float(np.median(last) / np.median(first)) - 1
    if abs(change) <= MAX_DRIFT or not _apart(first, last):
        return ""
    return (
        f"drift: the last third took {change:+.0%} against the first (limit {MAX_DRIFT:.0%}); "
        "look at the clock governor, the temperature and other work"
    )


def _best_split(values: Values) -> int:
    """Return where to cut a sequence in two, at least one value each, with the least squares inside the parts."""
    counts = np.arange(1, len(values))
    sums, total = np.cumsum(values)[:-1], values.sum()
    between = sums**2 / counts + (total - sums) ** 2 / (len(values) - counts)
    return int(between.argmax()) + 1


def _apart(left: Values, right: Values) -> bool:
    """Return whether two medians differ by more than twice the larger MAD: three sigma for the shortest thirds."""
    return abs(float(np.median(left) - np.median(right))) > 2 * max(_mad(left), _mad(right))


def _mad(values: Values) -> float:
    return float(np.median(np.abs(values - np.median(values))))


@dataclasses.dataclass(frozen=True)
class TimeRatio:
    """Ratio of two latencies, median_ms / peer_ms; low, high: its quartiles over the rounds."""

    ratio: float
    low: float
    high: float
    median_ms: float
    peer_ms: float


def time_ratio(stats: LatencyStats, peer: LatencyStats, *, rounds: int) -> TimeRatio:
    """Compare two results of the same alternate() call of so many rounds."""
    assert stats.runs == peer.runs and stats.runs % rounds == 0, "not from the same call"
    medians = [np.median(np.reshape(each.samples_ns, (rounds, -1)), axis=1) for each in (stats, peer)]
    low, high = np.percentile(medians[0] / medians[1], (25, 75))
    return TimeRatio(stats.median_ms / peer.median_ms, float(low), float(high), stats.median_ms, peer.median_ms)
