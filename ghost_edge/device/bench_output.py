"""A whole bench: the lines that it says, its document, and its comparison with an older one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from ghost_edge.core.errors import DeviceError
from ghost_edge.core.metadata import describe as describe_input
from ghost_edge.core.metadata import read_metadata
from ghost_edge.core.tables import Column, as_csv, as_markdown, as_text
from ghost_edge.device.bench import BenchPlan, as_document, bench_models, find_models, left_out
from ghost_edge.device.bench_results import (
    CHANGE_COLUMNS,
    COLUMNS,
    CSV_ONLY,
    BenchResult,
    as_row,
    check_changes,
    compare_results,
    differences,
    doubt_lines,
    results_from_document,
)
from ghost_edge.device.board import describe, read_board

Say = Callable[[str], None]


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
    plan: BenchPlan = BenchPlan(),  # noqa: B008  # frozen
    say: Say = lambda line: None,
) -> Bench:
    """Time the models of files and folders on this machine, each in a process of its own.

    say: gets each line of the table as soon as its model has run, with the board before and doubts behind. A model
    that fails is a result with its failure. Raises as find_models() and bench_models() do.
    """
    files = [Path(each) for each in ([paths] if isinstance(paths, (str, Path)) else paths)]
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


def raise_failures(results: Sequence[BenchResult]) -> None:
    """Raise when a model failed: DeviceError, or the failures' own class when nothing ran and all are of one kind."""
    failed = [result for result in results if result.failure]
    if not failed:
        return
    errors = {result.error for result in failed}
    error = errors.pop() if len(failed) == len(results) and len(errors) == 1 else DeviceError
    first = f"{failed[0].path.name}: {failed[0].failure}"
    raise (error or DeviceError)(f"{len(failed)} of {len(results)} models failed: {first}")


def compare(new: Mapping[str, Any], old: Mapping[str, Any], say: Say, fail_above: Optional[float] = None) -> None:
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
