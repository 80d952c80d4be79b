"""The page: report.html of one run, or several runs side by side, rendered from templates without scripts."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from ghost_edge import __version__
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.gate.checks import flatten
from ghost_edge.core.latency import LatencyStats
from ghost_edge.core.tables import Column, as_cells
from ghost_edge.core.tasks import TASKS
from ghost_edge.host.accuracy.evaluate import MOST
from ghost_edge.host.accuracy.layers import COLUMNS as LAYERS
from ghost_edge.host.accuracy.layers import label, layer_rows
from ghost_edge.host.recipe.output import Layout
from ghost_edge.host.recipe.toml import as_toml
from ghost_edge.host.report import plots
from ghost_edge.host.report.read import Bench, Run, read_run
from ghost_edge.host.report.summary import accuracy_cells, columns, summary_rows, verdict

_WORST, _HISTOGRAMS, _NAME = 10, 4, 80  # layers, plots, characters of a name before it is cut
_LATENCY = (
    Column("model", "model"),
    Column("median ms", "median_ms", ".3f"),
    Column("95 % interval", "interval"),
    Column("p90", "p90_ms", ".3f"),
    Column("p99", "p99_ms", ".3f"),
    Column("runs", "runs", ",d"),
)
_SIDE_BY_SIDE = (
    Column("run", "name"),
    Column("scheme", "scheme"),
    Column("board", "board"),
    Column("threads", "threads", "d"),
    *(column for column in columns() if column.key not in ("file", "median_ms")),
    Column("median ms", "median_ms", ".3f"),
    Column("gate", "gate"),
)


def write_report(groups: Sequence[Sequence[Path]], out: Path | None) -> Path:
    """Write the page of one folder or several, and return its path.

    groups: a folder that convert made, and paths of benches of its models. out: report.html in the folder if not
    given. Raises RecipeError where several folders have no `out`, and as read_run().
    """
    if len(groups) > 1 and out is None:
        raise RecipeError("several folders make one page that belongs to none of them; name it with -o comparison.html")
    first = groups[0][0]
    page = out or (first if first.is_dir() else first.parent) / Layout.page
    write_bytes(render([read_run(folder, benches) for folder, *benches in groups]).encode(), page)
    return page


def render(runs: Sequence[Run]) -> str:
    """Return the page of one run, or of several: HTML with all its images in it, without scripts."""
    context = _one(runs[0]) if len(runs) == 1 else _several(runs)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        base64=lambda png: base64.b64encode(png).decode(),
        cells=accuracy_cells,
        cut=_cut,
        limits=lambda limits: dataclasses.asdict(limits).items(),
    )
    page: str = environment.get_template("run.html" if len(runs) == 1 else "runs.html").render(
        version=__version__, **context
    )
    return page


def _one(run: Run) -> dict[str, Any]:
    numbers = itertools.count()
    return {
        "title": run.manifest.name,
        "run": run,
        "verdict": verdict(run.manifest),
        "metric": TASKS[run.manifest.task].metric,
        "artifacts": table(summary_rows(run.manifest), columns(run.manifest.task)),
        "noise": plots.draw_noise(run.layers, next(numbers)),
        "weights": plots.draw_weights(run.weights, next(numbers)) if run.weights else None,
        "worst": table(layer_rows(run.layers, _WORST), LAYERS),
        "histograms": list(_histograms(run, numbers)),
        "most": MOST,
        "benches": [_bench(bench, numbers) for bench in run.benches],
        "memory": plots.draw_memory(run.alive, next(numbers)),
        "recipe": as_toml(run.manifest.recipe),
    }


def _several(runs: Sequence[Run]) -> dict[str, Any]:
    numbers = itertools.count()
    keys = [dict(flatten(run.manifest.recipe)) for run in runs]
    unlike = [
        [key, *(_text(each.get(key)) for each in keys)]
        for key in dict.fromkeys(itertools.chain(*keys))
        if len({_text(each.get(key)) for each in keys}) > 1
    ]
    labels = [run.manifest.name for run in runs]
    if len(set(labels)) < len(labels):
        labels = [f"{name} ({run.folder.resolve().name})" for name, run in zip(labels, runs)]
    names = [f"{number} {name}" for number, name in enumerate(labels, 1)]
    sides = [side for number, run in enumerate(runs, 1) for side in _sides(number, labels[number - 1], run)]
    points = [side.point for side in sides if side.point]
    return {
        "title": " / ".join(names),
        "rows": table([side.row for side in sides], _SIDE_BY_SIDE),
        "trade": plots.draw_trade(points, next(numbers)) if points else None,
        "latency": plots.draw_latency([(side.label, side.stats) for side in sides], next(numbers)),
        "noise": [(name, plots.draw_noise(run.layers, next(numbers))) for name, run in zip(names, runs)],
        "memory": plots.draw_memory(
            {name: run.alive[run.model("quantized").artifact.file] for name, run in zip(names, runs)}, next(numbers)
        ),
        "names": names,
        "unlike": unlike,
    }


class _Side(NamedTuple):
    """Row of the page, and its place in the plots: the quantized model of a run, on a machine with so many threads."""

    label: str
    row: dict[str, Any]
    stats: LatencyStats
    point: plots.Point | None


def _sides(number: int, name: str, run: Run) -> Iterator[_Side]:
    model, recipe = run.model("quantized"), run.manifest.recipe
    cells: Mapping[str, Any] = dict.fromkeys(each.key for each in columns(run.manifest.task))
    cells = accuracy_cells(model.accuracy) if model.accuracy else cells
    row = {**cells, "size_bytes": model.artifact.size_bytes, "gate": verdict(run.manifest)}
    row["scheme"] = recipe.get("quantization", {"kind": "int8"})["kind"] if recipe else None
    timed = [(bench.board, each) for bench in run.benches for each in bench.timed if each.file == model.artifact.file]
    for place, (board, each) in enumerate(timed, 1):
        short = f"{number}" if len(timed) == 1 else f"{number}.{place}"
        point = None
        if model.accuracy:
            point = plots.Point(short, each.stats.median_ms, model.accuracy.drop, model.accuracy.margin)
        label = f"{short} {name}"
        measured = {"name": label, "board": board, "threads": each.threads, "median_ms": each.stats.median_ms}
        yield _Side(label, {**row, **measured}, each.stats, point)


def _histograms(run: Run, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    """Yield histograms of the tensors with a calibrated range in which most noise enters."""
    held = dict(zip(run.observed.names, run.observed.histograms))
    worst = sorted((row for row in run.layers if row.name in held), key=lambda row: -row.noise)
    for row in [row for row in worst if row.low is not None][:_HISTOGRAMS]:
        name = f"{'input' if row.index is None else row.index}: {_cut(label(row.name))}"
        assert row.low is not None and row.high is not None, "a range has two ends"
        plot = plots.draw_histogram(held[row.name], row.low, row.high, name, next(numbers))
        yield {"plot": plot, "name": name, "clipped": row.clipped, "bits": row.bits}


def _bench(bench: Bench, numbers: Iterator[int]) -> dict[str, Any]:
    rows = [
        {
            **vars(stats),
            "model": name,
            "interval": f"{stats.low_ms:.3f} to {stats.high_ms:.3f}" if stats.low_ms and stats.high_ms else None,
        }
        for name, stats in bench.named()
    ]
    plot = plots.draw_latency(bench.named(), next(numbers))
    return {"board": bench.board, "plot": plot, "table": table(rows, _LATENCY), "doubts": bench.doubts}


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> dict[str, Any]:
    """Return titles, cells as text, and which columns hold numbers."""
    titles, *cells = as_cells(rows, columns)
    numeric = [bool(column.format) or column.key in ("drop", "interval") for column in columns]
    return {"titles": titles, "rows": cells, "numeric": numeric}


def _cut(text: str) -> str:
    return text if len(text) <= _NAME else f"{text[: _NAME - 1]}…"


def _text(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
