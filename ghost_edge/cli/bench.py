"""The command `ghost-edge bench`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar

import click

from ghost_edge.cli.options import PATH, data_option
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.device.bench import BenchPlan, option_of
from ghost_edge.device.bench import bench as bench_here
from ghost_edge.device.bench_results import check_changes, compare, raise_failures, read_bench_json
from ghost_edge.device.runtimes.open import INTERPRETERS, KERNELS

Command = TypeVar("Command", bound=Callable[..., Any])
# field of BenchPlan, in the order of --help
_PLAN = {
    "runs": "At least this many timed runs.",
    "seconds": "At least this many seconds of timed runs.",
    "precision": "Go on until the median is known to this fraction (0: do not).",
    "max_seconds": "Stop after this many seconds, and say so.",
    "warmup": "Runs before the first timed one.",
    "threads": "Threads of the interpreter; 1,2,4 makes three rows.",
    "cpus": "Stay on these cores, such as 0 or 2,3.",
    "rounds": "Fresh processes for each row, all rows in turn: an A/B comparison.",
    "runtime": "Interpreter.",
    "kernels": "Kernels of the interpreter.",
    "timeout_s": "Seconds for one process.",
}


def _numbers(value: Any) -> tuple[int, ...]:
    """Parse whole numbers with commas between them, such as 1,2,4; click's usage error where it is something else."""
    try:
        return value if isinstance(value, tuple) else tuple(dict.fromkeys(map(int, value.split(","))))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a whole number or several with commas between them") from error


def _plan_options(command: Command) -> Command:
    choices = {"runtime": ["auto", *INTERPRETERS], "kernels": KERNELS}
    for field, text in reversed(_PLAN.items()):
        default = getattr(BenchPlan, field)
        is_list = isinstance(default, tuple)
        kind: Any = _numbers if is_list else click.Choice(choices[field]) if field in choices else None
        shown = (",".join(map(str, default)) or False) if is_list else True
        metavar = "N[,N...]" if is_list else None
        settings = {"default": default, "show_default": shown, "type": kind, "metavar": metavar, "help": text}
        command = click.option(option_of(field), field, **settings)(command)
    return command


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="FILE-OR-FOLDER...")
@_plan_options
@click.option("--ssh", metavar="USER@BOARD", help="Copy a folder that convert made to a board, bench it there.")
@click.option(
    "--ssh-option", "ssh_options", multiple=True, metavar="KEY=VALUE", help="Passed to ssh with -o; repeatable."
)
@click.option("--images", default=0, type=click.IntRange(0), help="With --ssh: also evaluate this many images there.")
@click.option("--recipe", type=PATH, help="With --images: the recipe that made the folder.  [default: the embedded]")
@click.option("--keep", is_flag=True, help="With --ssh: leave what was copied on the board.")
@click.option("--json", metavar="FILE", help="Write everything, every sample too ('-': stdout).")
@click.option("--csv", metavar="FILE", help="Write the table ('-': stdout).")
@click.option("--markdown", metavar="FILE", help="Write the table ('-': stdout).")
@click.option("--compare", "old", type=PATH, metavar="OLD.json", help="Print the ratio to an older --json.")
@click.option(
    "--fail-above", type=float, metavar="RATIO", help="With --compare: exit 7 when a model is slower than this."
)
@data_option
def bench(paths: Sequence[Path], old: Optional[Path], fail_above: Optional[float], **options: Any) -> None:
    """Time .tflite and .onnx models on this machine, or with --ssh on a board, each in a process of its own."""
    plan = BenchPlan(**{field: options.pop(field) for field in _PLAN})
    files = {kind: target for kind in ("json", "csv", "markdown") if (target := options.pop(kind)) is not None}
    _check(files, options, fail_above is not None and old is None)
    before = read_bench_json(old) if old else None
    check_changes([], 1.0 if fail_above is None else fail_above)  # the ratio itself, before minutes of work
    say = functools.partial(click.echo, err="-" in files.values())
    if host := options.pop("ssh"):
        from ghost_edge.host.board.ssh import bench_folder

        stdout = sys.stderr if "-" in files.values() else None
        found = bench_folder(host, paths, plan, say=functools.partial(click.echo, err=True), stdout=stdout, **options)
    else:
        found = bench_here(paths, plan, say)
    for kind, target in files.items():
        if target == "-":
            click.echo(found.as_file(kind), nl=False)
        else:
            write_bytes(found.as_file(kind).encode(), Path(target))
    raise_failures(found.results)
    if before is not None:
        compare(found.document, before, say, fail_above)
    click.get_current_context().exit(found.code)


def _check(files: dict[str, str], options: dict[str, Any], has_no_old: bool) -> None:
    """Raise RecipeError where options do not go together."""
    if has_no_old:
        raise RecipeError("--fail-above needs --compare OLD.json, the bench to compare with")
    if options["ssh"] is None and any(value for key, value in options.items() if key != "ssh"):
        raise RecipeError("--images, --recipe, --data, --keep and --ssh-option go with --ssh USER@BOARD")
    if len(set(files.values())) < len(files):
        raise RecipeError(
            f"--json, --csv and --markdown need a file each, not all of them {next(iter(files.values()))}"
        )
