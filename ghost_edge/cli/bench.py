"""The command `ghost-edge bench`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import click

from ghost_edge.core.errors import DeviceError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.report import Column, as_csv, as_text
from ghost_edge.device.bench import BenchPlan, BenchResult, as_document, bench_models, find_models, left_out
from ghost_edge.device.board import describe, read_board
from ghost_edge.device.runtime import INTERPRETERS, KERNELS

COLUMNS = (
    Column("bytes", "size_bytes", "d", 9),
    Column("load ms", "load_ms", ".1f", 7),
    Column("first ms", "first_inference_ms", ".2f", 8),
    Column("median ms", "median_ms", ".3f", 9),
    Column("MAD", "mad_ms", ".3f", 6),
    Column("p90", "p90_ms", ".3f", 8),
    Column("p99", "p99_ms", ".3f", 8),
    Column("fps", "frames_per_second", ".1f", 8),
    Column("RSS MiB", "peak_rss_mib", ".1f", 7),
    Column("delegate", "delegate", "", 12),
    Column("interpreter", "interpreter", "", 21),
    Column("threads", "threads", "d", 7),
    Column("result", "result"),
)
_CSV_ONLY = tuple(
    Column(key, key) for key in ("runs", "min_ms", "mean_ms", "ops", "delegated_ops", "partitions", "sha256")
)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE-OR-FOLDER...")
@click.option("--runs", default=BenchPlan.runs, show_default=True, help="At least so many timed runs.")
@click.option("--seconds", default=BenchPlan.seconds, show_default=True, help="At least so many seconds of them.")
@click.option("--warmup", default=BenchPlan.warmup, show_default=True, help="Runs before the first timed one.")
@click.option("--threads", default=BenchPlan.threads, show_default=True, help="Threads of the interpreter.")
@click.option("--runtime", default="auto", show_default=True, type=click.Choice(["auto", *INTERPRETERS]))
@click.option("--kernels", default="default", show_default=True, type=click.Choice(KERNELS))
@click.option("--timeout", "timeout_s", default=BenchPlan.timeout_s, show_default=True, help="Seconds for one model.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything, every sample too ('-': stdout).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the table ('-': stdout).")
def bench(paths: Sequence[Path], json_file: Optional[str], csv_file: Optional[str], **plan_options: Any) -> None:
    """Time .tflite and .onnx models on this machine, each in a process of its own."""
    plan, board, models = BenchPlan(**plan_options), read_board(), find_models(paths)
    to_stderr = "-" in (json_file, csv_file)
    columns = (Column("model", "model", "", max(len(path.name) for path in models)), *COLUMNS)
    click.echo(describe(board), err=to_stderr)
    for path in left_out(paths):
        click.echo(f"left out: {path.name}, no interpreter for {path.suffix} files is installed here", err=to_stderr)
    click.echo(as_text([], columns), err=to_stderr)

    def show(result: BenchResult) -> None:
        click.echo(as_text([as_row(result)], columns).splitlines()[-1], err=to_stderr)

    results = bench_models(models, plan, show)
    for line in doubt_lines(results):
        click.echo(line, err=to_stderr)
    _write(json_file, json.dumps(as_document(board, plan, results), allow_nan=False) + "\n")
    _write(csv_file, as_csv([as_row(result) for result in results], (*columns, *_CSV_ONLY)))
    raise_failures(results)


def as_row(result: BenchResult) -> dict[str, Any]:
    """One result as a row of the table and of the CSV; None for what a failed model does not have."""
    names = ("runs", "min_ms", "mean_ms", "median_ms", "mad_ms", "p90_ms", "p99_ms", "frames_per_second")
    share = result.delegate
    return {
        "model": result.path.name,
        "size_bytes": result.size_bytes,
        "sha256": result.sha256,
        "load_ms": result.load_ms,
        "first_inference_ms": result.first_inference_ms,
        **{name: getattr(result.stats, name) if result.stats else None for name in names},
        "peak_rss_mib": result.peak_rss_bytes / 2**20 if result.peak_rss_bytes else None,
        "delegate": f"{share.delegated_ops}/{share.ops} in {share.partitions}" if share else None,
        **{name: getattr(share, name) if share else None for name in ("ops", "delegated_ops", "partitions")},
        "interpreter": f"{result.interpreter} {result.version}" if result.interpreter else None,
        "threads": result.threads,
        "result": f"failed: {result.failure}" if result.failure else "ok",
    }


def doubt_lines(results: Sequence[BenchResult]) -> list[str]:
    """Every doubt once, with the models it is about."""
    about: dict[str, list[str]] = {}
    for result in results:
        for doubt in result.doubts:
            about.setdefault(doubt, []).append(result.path.name)
    measured = sum(result.failure is None for result in results)
    return [
        f"doubt: {'all models' if len(names) == measured > 1 else ', '.join(names)}: {doubt}"
        for doubt, names in about.items()
    ]


def raise_failures(results: Sequence[BenchResult]) -> None:
    """Raise when a model failed: DeviceError; or the failures' own class when nothing ran and all are of one kind."""
    failed = [result for result in results if result.failure]
    if not failed:
        return
    errors = {result.error for result in failed}
    error = errors.pop() if len(failed) == len(results) and len(errors) == 1 else DeviceError
    first = f"{failed[0].path.name}: {failed[0].failure}"
    raise (error or DeviceError)(f"{len(failed)} of {len(results)} models failed: {first}")


def _write(target: Optional[str], text: str) -> None:
    if target == "-":
        click.echo(text, nl=False)
    elif target is not None:
        write_bytes(text.encode(), Path(target))
