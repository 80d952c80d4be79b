"""The command `ghost-edge bench`."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar

import click

from ghost_edge.cli.options import data_option
from ghost_edge.core.errors import DeviceError, GhostEdgeError, RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.metadata import describe as describe_card
from ghost_edge.core.metadata import read_card
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
    read_bench_json,
    results_from_document,
)
from ghost_edge.device.board import describe, read_board
from ghost_edge.device.runtimes.open import INTERPRETERS, KERNELS

_Path = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5 only
    """Whole numbers with commas between them, such as 1,2,4."""

    name = "N[,N...]"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> tuple[int, ...]:
        """Parse the text; click's usage error where it is something else."""
        try:
            return value if isinstance(value, tuple) else tuple(dict.fromkeys(map(int, value.split(","))))
        except ValueError:
            self.fail(f"{value!r} is not a whole number or several with commas between them", param, ctx)


def _plan_option(flag: str, field: str, text: str, kind: Any = None) -> Callable[[Command], Command]:
    default = getattr(BenchPlan, field)
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else True
    return click.option(flag, field, default=default, show_default=shown or False, type=kind, help=text)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE-OR-FOLDER...")
@_plan_option("--runs", "runs", "At least so many timed runs.")
@_plan_option("--seconds", "seconds", "At least so many seconds of them.")
@_plan_option("--precision", "precision", "Go on until the median is known to this fraction (0: do not).")
@_plan_option("--max-seconds", "max_seconds", "Go on no longer than this, and say so.")
@_plan_option("--warmup", "warmup", "Runs before the first timed one.")
@_plan_option("--threads", "threads", "Threads of the interpreter; 1,2,4 makes three rows.", Numbers())
@_plan_option("--cpu", "cpus", "Stay on these cores, such as 0 or 2,3.", Numbers())
@_plan_option("--rounds", "rounds", "Fresh processes for each row, all rows in turn: an A/B comparison.")
@_plan_option("--runtime", "runtime", "", click.Choice(["auto", *INTERPRETERS]))
@_plan_option("--kernels", "kernels", "", click.Choice(KERNELS))
@_plan_option("--timeout", "timeout_s", "Seconds for one process.")
@click.option("--ssh", metavar="USER@BOARD", help="Copy a folder that convert made to a board, bench it there.")
@click.option(
    "--ssh-option", "ssh_options", multiple=True, metavar="KEY=VALUE", help="Passed to ssh with -o; repeatable."
)
@click.option("--images", default=0, type=click.IntRange(0), help="With --ssh: evaluate so many images there, too.")
@click.option("--recipe", type=_Path, help="With --images: the recipe that made the folder.  [default: the embedded]")
@click.option("--keep", is_flag=True, help="With --ssh: leave what was copied on the board.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything, every sample too ('-': stdout).")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the table ('-': stdout).")
@click.option("--markdown", "markdown_file", metavar="FILE", help="Write the table ('-': stdout).")
@click.option("--compare", type=_Path, metavar="OLD.json", help="Print the ratio to an older --json.")
@click.option(
    "--fail-above", type=float, metavar="RATIO", help="With --compare: exit 7 when a model is slower than this."
)
@data_option
def bench(
    paths: Sequence[Path],
    json_file: Optional[str],
    csv_file: Optional[str],
    markdown_file: Optional[str],
    compare: Optional[Path],
    fail_above: Optional[float],
    ssh: Optional[str],
    ssh_options: Sequence[str],
    images: int,
    recipe: Optional[Path],
    data: Optional[Path],
    keep: bool,
    **plan_options: Any,
) -> None:
    """Time .tflite and .onnx models on this machine, or with --ssh on a board, each in a process of its own."""
    if fail_above is not None and compare is None:
        raise RecipeError("--fail-above needs --compare OLD.json, the bench to compare with")
    if ssh is None and (images or recipe or data or keep or ssh_options):
        raise RecipeError("--images, --recipe, --data, --keep and --ssh-option go with --ssh USER@BOARD")
    files = {"json": json_file, "csv": csv_file, "markdown": markdown_file}
    targets = [target for target in files.values() if target is not None]
    if len(set(targets)) < len(targets):
        raise RecipeError(f"--json, --csv and --markdown need a file each, not all of them {targets[0]}")
    plan, old = BenchPlan(**plan_options), read_bench_json(compare) if compare else None
    check_changes([], 1.0 if fail_above is None else fail_above)  # the ratio itself, before minutes of work
    to_stderr = "-" in targets
    if ssh is None:
        document, results, code = *_bench_here(paths, plan, to_stderr), 0
    else:
        document, results, code = _bench_there(
            paths,
            ssh,
            to_stderr,
            pack={"images": images, "recipe": recipe, "data": data},
            reach={"ssh_options": ssh_options, "keep": keep, "arguments": _arguments(plan)},
        )
    _write(files, document, results)
    raise_failures(results)
    if old is not None:
        _compare(document, old, fail_above, to_stderr)
    click.get_current_context().exit(code)


def _compare(new: dict[str, Any], old: dict[str, Any], fail_above: Optional[float], to_stderr: bool) -> None:
    """Print what differs and the ratios; raises GateError where one is above the limit."""
    changes = compare_results(*(results_from_document(document, "the bench") for document in (new, old)))
    for line in differences(new, old):
        click.echo(line, err=to_stderr)
    click.echo(as_text([vars(change) for change in changes], CHANGE_COLUMNS), err=to_stderr)
    if fail_above is not None:
        check_changes(changes, fail_above)


def _bench_here(paths: Sequence[Path], plan: BenchPlan, to_stderr: bool) -> tuple[dict[str, Any], list[BenchResult]]:
    """Run the plan, and print the board, what is left out, a row as soon as it is there, and the doubts."""
    board, models = read_board(cpu=min(plan.cpus, default=0)), find_models(paths)
    columns = (Column("model", "model", "", max(len(path.name) for path in models)), *COLUMNS[1:])
    click.echo(describe(board), err=to_stderr)
    for path in left_out(paths):
        click.echo(f"left out: {path.name}, no interpreter for {path.suffix} files is installed here", err=to_stderr)
    click.echo(as_text([], columns), err=to_stderr)

    def show(result: BenchResult) -> None:
        click.echo(as_text([as_row(result)], columns).splitlines()[-1], err=to_stderr)

    cards = {str(path): card for path in models if (card := read_card(path)) is not None}
    results = bench_models(models, plan, show)
    used = sorted({f"{result.interpreter} {result.version}" for result in results if result.interpreter})
    if used:
        click.echo(f"interpreter: {', '.join(used)}, {plan.kernels} kernels", err=to_stderr)
    for line in dict.fromkeys(map(describe_card, cards.values())):
        fed = [path for path, card in cards.items() if describe_card(card) == line]
        click.echo(f"input of {'all' if len(fed) == len(models) else ', '.join(fed)}: {line}", err=to_stderr)
    for line in doubt_lines(results):
        click.echo(line, err=to_stderr)
    document = as_document(board, plan, results)
    return {**document, "cards": {path: dataclasses.asdict(card) for path, card in cards.items()}}, results


def _bench_there(
    paths: Sequence[Path], host: str, to_stderr: bool, *, pack: Mapping[str, Any], reach: Mapping[str, Any]
) -> tuple[dict[str, Any], list[BenchResult], int]:
    """The same on a board, which prints the lines; what it evaluated is in the document under "evaluation"."""
    from ghost_edge.host.board.bundle import make_bundle
    from ghost_edge.host.board.ssh import bench_over_ssh

    if len(paths) != 1 or not paths[0].is_dir():
        raise RecipeError("bench --ssh takes one folder, such as out/ghostnet_mnist, which ghost-edge convert made")

    def say(line: str) -> None:
        click.echo(line, err=True)

    make = functools.partial(make_bundle, paths[0], say=say, **pack)
    found, code = bench_over_ssh(host, make, say=say, stdout=sys.stderr if to_stderr else None, **reach)
    if found["bench"] is None:
        error = next((each for each in GhostEdgeError.__subclasses__() if each.exit_code == code), DeviceError)
        raise error(f"{host}: bench ended there with exit code {code} and no results; it says why above")
    return {**found["bench"], "evaluation": found["evaluation"]}, results_from_document(found["bench"], host), code


def _arguments(plan: BenchPlan) -> list[str]:
    """The command line that makes this plan, without what is default anyway."""
    arguments = []
    for option in click.get_current_context().command.params:
        value = getattr(plan, option.name or "", None)
        if value not in (None, getattr(BenchPlan, option.name or "", None)):
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            arguments += [option.opts[0], text]
    return arguments


def raise_failures(results: Sequence[BenchResult]) -> None:
    """Raise when a model failed: DeviceError; or the failures' own class when nothing ran and all are of one kind."""
    failed = [result for result in results if result.failure]
    if not failed:
        return
    errors = {result.error for result in failed}
    error = errors.pop() if len(failed) == len(results) and len(errors) == 1 else DeviceError
    first = f"{failed[0].path.name}: {failed[0].failure}"
    raise (error or DeviceError)(f"{len(failed)} of {len(results)} models failed: {first}")


def _write(files: Mapping[str, Optional[str]], document: dict[str, Any], results: Sequence[BenchResult]) -> None:
    rows = [as_row(result) for result in results]
    texts = {
        "json": json.dumps(document, allow_nan=False) + "\n",
        "csv": as_csv(rows, (*COLUMNS, *CSV_ONLY)),
        "markdown": as_markdown(rows, COLUMNS) + "\n",
    }
    for kind, target in files.items():
        if target == "-":
            click.echo(texts[kind], nl=False)
        elif target is not None:
            write_bytes(texts[kind].encode(), Path(target))
