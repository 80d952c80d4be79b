"""Gate on a converted folder: its limits, and an earlier run as the baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Protocol, Union

import numpy as np

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import as_paths
from ghost_edge.core.gate.baseline import Baseline, Held, Latency, read_baseline
from ghost_edge.core.gate.checks import Check, check_number, check_regression, check_run, describe_changes, open_run
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.gate.report import as_lines
from ghost_edge.core.latency import block_medians
from ghost_edge.core.manifest import Manifest, Model, Predictions
from ghost_edge.core.options import convert, from_table
from ghost_edge.device.bench_results import BenchResult, circumstances, read_bench_json, results_from_document

LATENCY = "latency.json"  # that convert leaves in the folder: measured on the workstation


@dataclasses.dataclass(frozen=True)
class GateResult:
    """Result of the gate on a run: its checks, and the changes since the baseline, a line each.

    run: the run as the next baseline. small: why it makes a poor baseline, where its images are too few.
    """

    name: str
    checks: list[Check]
    changes: list[str]
    run: Baseline
    small: list[Check]

    @property
    def reasons(self) -> list[str]:
        """The reasons of a FAIL, a sentence for each check that fails; empty for PASS."""
        return [f"{check.compared}: {check.reason}" for check in self.checks if check.reason]

    @property
    def passed(self) -> bool:
        """True for PASS."""
        return not self.reasons

    def __str__(self) -> str:
        return "\n".join([*as_lines(self.checks, self.changes), f"gate: {'PASS' if self.passed else 'FAIL'}"])


class HasFolder(Protocol):
    """A converted run, such as convert() returns."""

    @property
    def folder(self) -> Path:
        """The folder of the run."""


def gate(
    run: Union[str, Path, HasFolder],
    *,
    baseline: Union[str, Path, None] = None,
    limits: Union[Mapping[str, Any], Limits, None] = None,
    bench: Union[str, Path, None] = None,
    allow_few: bool = False,
) -> GateResult:
    """Check a converted run against its limits, and compare it with an earlier one, image by image.

    run: what convert() returned, its folder or its manifest.json. baseline: a baseline.json, or the folder of an
    earlier run. limits: in place of the recipe's [gate], such as {"max_drop": 0.01}. bench: a --json of `ghost-edge
    bench` (None: what convert measured). allow_few: check even with too few images to see the limit. A FAIL is in the
    result and raises nothing. Raises ArtifactError for a missing or damaged file, DataError where the two saw other
    images, RecipeError for a limit that is none.
    """
    (path,) = as_paths([getattr(run, "folder", run)])
    earlier, timed = (None if each is None else Path(each) for each in (baseline, bench))
    manifest, predictions = open_run(path)
    given = vars(limits) if isinstance(limits, Limits) else convert(limits or {}, dict, "limits")
    kept = from_table(Limits, {**vars(manifest.limits), **given}, "limits")
    held = hold_run(path, manifest, predictions, timed)
    checks, changes = check_run(held.models, predictions, kept, task=held.task, allow_few=allow_few), list[str]()
    if earlier:
        then = open_baseline(earlier)
        checks += check_regression(held, then, kept, allow_few=allow_few)
        changes = describe_changes(held, then)
    return GateResult(manifest.name, checks, changes, held, [] if allow_few else check_number(held, kept))


def hold_run(path: Path, manifest: Manifest, predictions: Predictions, bench: Optional[Path] = None) -> Baseline:
    """Return the run that open_run(path) gave, with the latencies of a --json of `ghost-edge bench` (None: convert's).

    Raises ArtifactError where the bench is missing, damaged, or of other files than the manifest's.
    """
    beside = (path if path.is_dir() else path.parent) / LATENCY
    document = read_bench_json(bench) if bench else read_bench_json(beside) if beside.is_file() else None
    timed = _timed(document, manifest, bench) if document else {}
    return Baseline(
        name=manifest.name,
        models={model.role: _hold(model, timed.get(model.artifact.file)) for model in manifest.models},
        predictions=predictions,
        recipe=manifest.recipe,
        weights_sha256=manifest.weights_sha256,
        tools=manifest.tools,
        bench=circumstances(document) if document else {},
        task=manifest.task,
    )


def open_baseline(path: Path) -> Baseline:
    """Read a baseline.json, or the folder or manifest.json of an earlier run."""
    if path.is_dir() or path.name == "manifest.json":
        return hold_run(path, *open_run(path))
    return read_baseline(path)


def _timed(document: Mapping[str, Any], manifest: Manifest, bench: Optional[Path]) -> dict[str, BenchResult]:
    """Return results by file name; of several numbers of threads, the one with the fewest."""
    sums = {model.artifact.file: model.artifact.sha256 for model in manifest.models}
    found: dict[str, BenchResult] = {}
    results = results_from_document(document, str(bench or LATENCY))
    for result in sorted(results, key=lambda result: result.threads):
        name = result.path.name
        if name in sums and result.sha256 != sums[name]:
            raise ArtifactError(f"{bench or LATENCY} timed another {name} than the manifest's; bench this folder")
        if name in sums and result.stats:
            found.setdefault(name, result)
    if bench and not found:
        raise ArtifactError(f"{bench} timed none of {', '.join(sums)}; give the --json of a bench of this folder")
    return found


def _hold(model: Model, timed: Optional[BenchResult]) -> Held:
    latency = None
    if timed and timed.stats:
        stats = timed.stats
        blocks = block_medians(np.asarray(stats.samples_ns), stats.processes)
        latency = Latency(timed.threads, stats.median_ms, tuple(map(round, blocks)), len(stats.processes))
    sqnr_db = model.accuracy.sqnr_db if model.accuracy else None
    return Held(model.artifact.sha256, model.artifact.size_bytes, sqnr_db, latency)
