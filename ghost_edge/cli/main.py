"""The command `ghost-edge`: commands that are imported when they are used, and the one place where errors end."""

from __future__ import annotations

import contextlib
import importlib
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any, Optional

import click
from click.shell_completion import CompletionItem

from ghost_edge import __version__
from ghost_edge.core.errors import GhostEdgeError, MissingPackageError, RecipeError
from ghost_edge.core.options import suggest

COMMANDS = {
    "init": "Write a first recipe for your images, Keras model or checkpoint.",
    "recipes": "List the recipes that come with ghost-edge, and whether their images are here.",
    "convert": "Convert the model of a recipe to int8 artifacts, and measure what was lost.",
    "bench": "Time models with the interpreter that is installed here.",
    "bundle": "Pack converted models with all that a board without a network needs.",
    "compare": "Compare MobileNet, EfficientNet, ShuffleNetV2 and GhostNet on this machine.",
    "completion": "Print the completion script for bash, zsh or fish.",
    "doctor": "Check the calibration images of a recipe; with --env: the installation.",
    "evaluate": "Measure the accuracy of model files on a recipe's evaluation images.",
    "export": "Write the int8 ONNX model of any int8 .tflite file.",
    "fit": "Search GhostNets that fit into a microcontroller's memory.",
    "gate": "Check a converted model against its limits and a baseline; exit 7 on FAIL.",
    "inspect": "Show the cost of a model by layer, and the savings of its ghost modules.",
    "micro": "Write C sources for TFLite Micro that verify themselves on the target.",
    "parity": "Compare one model in every runtime of this machine.",
    "quantize": "Show the noise of int8 by layer; with a target, search mixed precision that meets it.",
    "report": "Write a page about a conversion, or about several side by side.",
    "train": "Train a recipe's network on its training images.",
    "view": "Open the quantized model in Model Explorer, with numbers by operation.",
    "weights": "Import or export weights in the layout of PyTorch.",
}


_GO_ON = ("bench", "compare", "convert", "doctor", "quantize", "train")  # commands that keep finished parts
_KEPT = "stopped; what was finished is kept, the same command goes on from there"
_NOTHING_KEPT = "stopped; nothing was written"


class LazyGroup(click.Group):
    """A group that imports ghost_edge.cli.<name> when the command runs, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """Import a command; an unknown one raises RecipeError with the nearest name, or is None during completion."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:
                return None
            raise RecipeError(f"there is no command {cmd_name!r}; {suggest(cmd_name, COMMANDS)}")
        command: click.Command = getattr(importlib.import_module(f"ghost_edge.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C becomes an Abort that says what is kept."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            click.echo(err=True)  # behind the terminal's ^C
            raise click.Abort(_KEPT if ctx.invoked_subcommand in _GO_ON else _NOTHING_KEPT) from stop

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command or an option without importing any command."""
        names = [CompletionItem(name, help=told) for name, told in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _say_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    click.echo(f"ghost-edge, version {__version__}")
    if ctx.params["verbose"]:
        from ghost_edge.device.environment import describe_environment

        for name, value in describe_environment():
            click.echo(f"{name}: {value}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    *("--version", "-V"),
    is_flag=True,
    expose_value=False,
    callback=_say_version,
    help="Print the version; with --verbose, also what a bug report needs.",
)
@click.option(
    *("--verbose", "-v"),
    is_flag=True,
    is_eager=True,  # known when --version answers, wherever it stands
    help="Print what happens inside on stderr.",
)
def cli(verbose: bool) -> None:
    """GhostNet from a recipe to a ZYNQ board: train, convert to int8, verify, bench, gate."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr
    )


def main(arguments: Optional[Sequence[str]] = None) -> Any:
    """Run the command line; a GhostEdgeError becomes one line on stderr and its exit code, Ctrl-C becomes 130."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that temporary folders go
    try:
        code = cli.main(
            # alone it is asked for help, which newer clicks give as an error on one line
            args=list(sys.argv[1:] if arguments is None else arguments) or ["--help"],
            prog_name="ghost-edge",
            standalone_mode=False,
        )
    except GhostEdgeError as error:
        click.echo(f"ghost-edge: {error}", err=True)
        code = error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ghost_edge"):
            raise
        click.echo(
            f'ghost-edge: the package {error.name} is not installed; python -m pip install "ghost-edge[host]"', err=True
        )
        code = MissingPackageError.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "ghost-edge"
        reason = error.format_message().rstrip(".")
        click.echo(f"ghost-edge: {' '.join(reason.split())}; `{command} --help` shows what it takes", err=True)
        code = error.exit_code
    except OSError as error:  # a full disk behind stdout, which has no name; most files have errors of their own
        what = f"{error.filename} could not be used" if error.filename else "the output could not be written"
        with contextlib.suppress(OSError):
            click.echo(f"ghost-edge: {what} ({error.strerror})", err=True)
        sys.stdout = None  # nothing to flush it into
        code = GhostEdgeError.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        click.echo(f"ghost-edge: {str(stop) or _NOTHING_KEPT}", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
