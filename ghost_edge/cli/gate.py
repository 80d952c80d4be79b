"""The command `ghost-edge gate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, TypeVar

import click

from ghost_edge.cli.options import PATH
from ghost_edge.core.errors import GateError, RecipeError
from ghost_edge.core.gate.baseline import write_baseline
from ghost_edge.core.gate.report import as_lines, write_reports

Command = TypeVar("Command", bound=Callable[..., Any])
_LIMITS = {
    "max_drop": "Largest drop of top-1 against the float model, as a fraction.",
    "min_agreement": "Least share of answers equal to the float model's, as a fraction.",
    "min_sqnr_db": "Least SQNR against the float model, in dB.",
    "max_size_bytes": "Largest quantized file, in bytes.",
    "max_loss": "Against the baseline: largest significant drop of top-1 or agreement, as a fraction.",
    "max_sqnr_loss_db": "Against the baseline: largest drop of SQNR, in dB.",
    "max_size_ratio": "Against the baseline: largest ratio of bytes.",
    "max_latency_ratio": "Against the baseline: largest ratio of median latencies; its lower 95 % limit counts.",
}


def fraction(text: str) -> float:
    """Parse a number; click's usage error where it is something else."""
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no fraction: write 0.01 for one per cent") from error


def _limits(command: Command) -> Command:
    for name, text in reversed(_LIMITS.items()):
        kind: Any = int if name == "max_size_bytes" else fraction if "fraction" in text else float
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, type=kind, help=f"{text}  [default: the recipe's]")(command)
    return command


@click.command()
@click.argument("manifest", type=PATH)
@click.option(
    "--baseline", type=PATH, help="baseline.json (or folder, manifest.json) of an earlier run to compare with."
)
@click.option("--update", type=PATH, metavar="FILE", help="Write this run as a baseline, if it passes.")
@click.option("--bench", type=PATH, metavar="FILE", help="A board's --json of bench.  [default: what convert measured]")
@click.option("--junit", type=PATH, metavar="FILE", help="Write the checks as JUnit XML.")
@click.option("--markdown", type=PATH, metavar="FILE", help='Write a summary; append it to "$GITHUB_STEP_SUMMARY".')
@click.option("--allow-few", is_flag=True, help="Check even with too few images to see the limit.")
@_limits
def gate(
    manifest: Path,
    baseline: Optional[Path],
    update: Optional[Path],
    bench: Optional[Path],
    junit: Optional[Path],
    markdown: Optional[Path],
    allow_few: bool,
    **limits: Any,
) -> None:
    """Compare the quantized models of MANIFEST with their float model, and with an earlier run, image by image."""
    from ghost_edge.device.gate import gate as check

    if bench and not (baseline or update):
        raise RecipeError("--bench goes with --baseline or --update; give one of the two")
    files = [file.resolve() for file in (junit, markdown, update) if file]
    if len(set(files)) < len(files):
        raise RecipeError(f"--junit, --markdown and --update need a file each, not all of them {files[0].name}")
    given = {name: value for name, value in limits.items() if value is not None}
    found = check(manifest, limits=given, baseline=baseline, bench=bench, allow_few=allow_few)
    click.echo("\n".join(as_lines(found.checks, found.changes)))
    write_reports(found.name, found.checks, found.changes, junit=junit, markdown=markdown)
    if not found.passed:
        raise GateError("; ".join(found.reasons))
    if update:
        for few in found.small:
            click.echo(f"doubt: as a baseline: {few.reason}")
        write_baseline(found.run, update)
        click.echo(f"baseline: {update}")
    click.echo("gate: PASS")
