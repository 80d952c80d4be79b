"""Results of a bench: as rows of a table, as a JSON document, and compared with an older bench."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from ghost_edge.core import errors
from ghost_edge.core.errors import ArtifactError, DeviceError, GateError, GhostEdgeError, RecipeError
from ghost_edge.core.files import check_format, damage, read_document
from ghost_edge.core.latency import LatencyStats, ratio_interval, summarise
from ghost_edge.core.options import from_table
from ghost_edge.core.tables import Column, as_text
from ghost_edge.device.board import Conditions
from ghost_edge.device.runtimes.model import DelegateShare

FORMAT = 2  # of the JSON document; raise it when a key changes its meaning or goes
WRITTEN_BY = "ghost-edge bench --json"
_WHOLE = ("threads", "sha256", "size_bytes", "import_ms", "load_ms", "first_inference_ms", "cold_start_ms")
_STATS = (
    *("runs", "min_ms", "mean_ms", "median_ms", "low_ms", "high_ms", "mad_ms", "p90_ms", "p99_ms"),
    "frames_per_second",
)

COLUMNS = (
    Column("model", "model"),
    Column("threads", "threads", "d", 7),
    Column("cold ms", "cold_start_ms", ".1f", 7),
    Column("first ms", "first_inference_ms", ".2f", 8),
    Column("median ms", "median_ms", ".3f", 9),
    Column("+-", "precision", ".1%", 5),
    Column("MAD", "mad_ms", ".3f", 6),
    Column("p90", "p90_ms", ".3f", 8),
    Column("p99", "p99_ms", ".3f", 8),
    Column("fps", "frames_per_second", ".1f", 8),
    Column("RSS MiB", "peak_rss_mib", ".1f", 7),
    Column("bytes", "size_bytes", "d", 9),
    Column("delegate", "delegate", "", 12),
    Column("result", "result"),
)
CHANGE_COLUMNS = (
    Column("model", "model"),
    Column("threads", "threads", "d"),
    *(Column(key.replace("_", " "), key, ".3f") for key in ("old_ms", "new_ms", "ratio", "low", "high")),
)
CSV_ONLY = tuple(
    Column(key, key)
    for key in (
        *("import_ms", "load_ms", "runs", "min_ms", "mean_ms", "low_ms", "high_ms", "interpreter", "sha256"),
        *("ops", "delegated_ops", "partitions"),
    )
)


@dataclasses.dataclass(frozen=True)
class BenchResult:
    """Measurements of a model on this machine; or failure, the sentence that says why there are none, and its class.

    import_ms, load_ms, first_inference_ms: in a fresh process, importing the interpreter, opening and allocating, the
    first invoke(); together the cold start, with the file in the page cache. Medians, where there were several rounds.
    peak_rss_bytes: of the child process, with Python, numpy and the interpreter in it.
    before, after: the clock and the heat around the timed runs.
    """

    path: Path
    sha256: str
    size_bytes: int
    threads: int
    import_ms: Optional[float] = None
    load_ms: Optional[float] = None
    first_inference_ms: Optional[float] = None
    stats: Optional[LatencyStats] = None
    peak_rss_bytes: Optional[int] = None
    delegate: Optional[DelegateShare] = None
    interpreter: Optional[str] = None
    version: Optional[str] = None
    before: Optional[Conditions] = None
    after: Optional[Conditions] = None
    failure: Optional[str] = None
    error: Optional[type[GhostEdgeError]] = None
    doubts: tuple[str, ...] = ()

    @property
    def cold_start_ms(self) -> Optional[float]:
        """Time of a fresh process up to its first answer, without starting Python; None where it failed."""
        parts = (self.import_ms, self.load_ms, self.first_inference_ms)
        return sum(part for part in parts if part is not None) if None not in parts else None


@dataclasses.dataclass(frozen=True)
class Change:
    """Latency of a model against an older bench: ratio of medians and its 95 % interval (None: too few runs)."""

    model: str
    threads: int
    old_ms: float
    new_ms: float
    ratio: float
    low: Optional[float]
    high: Optional[float]


def as_row(result: BenchResult) -> dict[str, Any]:
    """Return a result as a row of the table and of the CSV; None for what a failed model does not have."""
    share, stats = result.delegate, result.stats
    return {
        "model": result.path.name,
        **{name: getattr(result, name) for name in _WHOLE},
        **{name: getattr(stats, name) if stats else None for name in _STATS},
        "precision": stats.precision if stats and stats.low_ms else None,
        "peak_rss_mib": result.peak_rss_bytes / 2**20 if result.peak_rss_bytes else None,
        "delegate": f"{share.delegated_ops}/{share.ops} in {share.partitions}" if share else None,
        **{name: getattr(share, name) if share else None for name in ("ops", "delegated_ops", "partitions")},
        "interpreter": f"{result.interpreter} {result.version}" if result.interpreter else None,
        "result": f"failed: {result.failure}" if result.failure else "ok",
    }


def doubt_lines(results: Sequence[BenchResult]) -> list[str]:
    """Return every doubt once, with the models it is about."""
    about: dict[str, list[str]] = {}
    sweep = len({result.threads for result in results}) > 1
    for result in results:
        threads = f" ({result.threads} thread{'s' if result.threads > 1 else ''})" if sweep else ""
        for doubt in result.doubts:
            about.setdefault(doubt, []).append(result.path.name + threads)
    measured = sum(result.failure is None for result in results)
    return [
        f"doubt: {'all models' if len(names) == measured > 1 else ', '.join(names)}: {doubt}"
        for doubt, names in about.items()
    ]


def results_from_document(document: Any, name: str) -> list[BenchResult]:
    """Return the results in a document of `ghost-edge bench --json`; raises ArtifactError, which says `name`."""
    check_format(document, FORMAT, name, WRITTEN_BY)
    with damage(name, WRITTEN_BY):
        return [_parse(row, f"results[{index}]") for index, row in enumerate(document["results"])]


def _parse(row: Mapping[str, Any], where: str) -> BenchResult:
    samples, processes = (row["stats"][key] for key in ("samples_ns", "processes")) if row["stats"] else ([], [])
    for number in (*samples, *processes, row["threads"]):
        if type(number) is not int or not 0 < number < 2**53:  # beyond it a float64 is no whole number any more
            raise ValueError(f"{number!r} is no time, count or number of threads")
    if sum(processes) != len(samples):
        raise ValueError(f"{len(samples)} samples of processes that took {sum(processes)}")
    error = getattr(errors, row["error"]) if row["error"] else None
    stats = summarise(samples, processes) if samples else None
    return from_table(BenchResult, {**row, "path": Path(row["path"]), "error": error, "stats": stats}, where)


def read_bench_json(path: Path) -> dict[str, Any]:
    """Read what `ghost-edge bench --json` or a bundle's run.sh wrote; ArtifactError where it is missing or damaged."""
    document = read_document(path, dict[str, Any], written_by=WRITTEN_BY)
    with damage(str(path), WRITTEN_BY):
        document = dict(document["bench"] or {}) if "bench" in document else document
    results_from_document(document, str(path))
    with damage(f"{path}: its board or plan", WRITTEN_BY):
        circumstances(document)
    return document


def compare_results(new: Sequence[BenchResult], old: Sequence[BenchResult]) -> list[Change]:
    """Return a Change for every model, by file name and threads, that was measured both times.

    Raises ArtifactError where there is none, or where two of one time have the same name and threads.
    """
    now, then = _by_name(new), _by_name(old)
    changes = []
    for name, threads in [key for key in now if key in then]:
        stats, peer = now[name, threads], then[name, threads]
        low, high = ratio_interval(stats, peer) or (None, None)
        ratio = stats.median_ms / peer.median_ms
        changes.append(Change(name, threads, peer.median_ms, stats.median_ms, ratio, low, high))
    if not changes:
        known = ", ".join(f"{name} ({threads} threads)" for name, threads in then) or "nothing"
        raise ArtifactError(f"no model was measured both times; the older file has {known}")
    return changes


def _by_name(results: Sequence[BenchResult]) -> dict[tuple[str, int], LatencyStats]:
    found: dict[tuple[str, int], LatencyStats] = {}
    for result in results:
        if (result.path.name, result.threads) in found:
            raise ArtifactError(
                f"two models are called {result.path.name}; give them names of their own to compare them"
            )
        if result.stats:
            found[result.path.name, result.threads] = result.stats
    return found


def circumstances(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the latencies in a document of --json beside the models: machine, plan, interpreter."""
    return {
        "processor": document["board"]["cpu"],
        "board": document["board"]["model"],
        "kernels": document["plan"]["kernels"],
        "cores": list(document["plan"]["cpus"]),
        "interpreter": sorted(
            {f"{row['interpreter']} {row['version']}" for row in document["results"] if row["stats"]}
        ),
    }


def differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Return sentences on what differs between two documents of --json: machine, plan, interpreter, models."""
    before, now = (
        {
            **circumstances(document),
            "list of models": sorted({Path(row["path"]).name for row in document["results"] if row["stats"]}),
        }
        for document in (old, new)
    )
    options = {"kernels": "--kernels", "cores": "--cpu"}
    return [
        f"not alike: {options.get(what, f'the {what}')} was {was}, is {now[what]}"
        for what, was in before.items()
        if was != now[what]
    ]


def check_changes(changes: Sequence[Change], fail_above: float) -> None:
    """Raise GateError when a model takes more than fail_above times as long as it did; RecipeError for no ratio."""
    if not 0 < fail_above < math.inf:
        raise RecipeError(f"--fail-above {fail_above}: it must be a ratio over 0, such as 1.05")
    slower = [change for change in changes if change.ratio > fail_above]
    if slower:
        worst = max(slower, key=lambda change: change.ratio)
        sure = worst.low is not None and worst.low > fail_above
        raise GateError(
            f"{len(slower)} of {len(changes)} models are slower: {worst.model} takes {worst.ratio:.3f}x as long, limit "
            f"{fail_above:g}"
            + ("" if sure else "; the interval reaches under the limit: bench both with --rounds 6 or more")
        )


def raise_failures(results: Sequence[BenchResult]) -> None:
    """Raise when a model failed: DeviceError, or the failures' own class when nothing ran and all are of one kind."""
    failed = [result for result in results if result.failure]
    if not failed:
        return
    errors = {result.error for result in failed}
    error = errors.pop() if len(failed) == len(results) and len(errors) == 1 else DeviceError
    first = f"{failed[0].path.name}: {failed[0].failure}"
    raise (error or DeviceError)(f"{len(failed)} of {len(results)} models failed: {first}")


def compare(
    new: Mapping[str, Any], old: Mapping[str, Any], say: Callable[[str], None], fail_above: Optional[float] = None
) -> None:
    """Say what differs between two documents of --json but for speed, and the ratios of the medians.

    Raises GateError where a model takes more than fail_above times as long (None: any), ArtifactError where no model
    was measured both times.
    """
    changes = compare_results(*(results_from_document(document, "the bench") for document in (new, old)))
    for line in differences(new, old):
        say(line)
    say(as_text([vars(change) for change in changes], CHANGE_COLUMNS))
    if fail_above is not None:
        check_changes(changes, fail_above)
