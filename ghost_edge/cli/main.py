"""The ghost-edge command: a list of commands, each loaded when it is used, and one place where errors end."""

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
    "init": "A first recipe from your images, Keras model or checkpoint.",
    "recipes": "The recipes that come with ghost-edge, and whether their images are here.",
    "convert": "From a recipe to int8 artifacts, with the proof of what was lost.",
    "bench": "Time models with the interpreter that is installed here.",
    "bundle": "Pack converted models with all that a board without a network needs.",
    "compare": "MobileNet, EfficientNet, ShuffleNetV2 and GhostNet side by side on this machine.",
    "completion": "Completion of commands and options for bash, zsh or fish.",
    "doctor": "What is wrong with the images that a recipe calibrates with; --env: with the installation.",
    "evaluate": "Top-1 and top-5 of model files on a recipe's evaluation images.",
    "export": "The ONNX twin of an int8 .tflite file, whoever made it.",
    "fit": "GhostNets that fit into a microcontroller's memory.",
    "gate": "Exit 7 when a converted model lost more than its limits allow.",
    "inspect": "What a model costs by layer, and what its ghost modules save.",
    "micro": "Sources for TFLite Micro that prove themselves on the target.",
    "parity": "One model in every runtime of this machine, and where two of them part.",
    "quantize": "What int8 costs each layer; with a target, the cheapest mix that meets it.",
    "report": "One page that shows what a conversion did; of several folders, side by side.",
    "train": "Fit a recipe's network on its training images.",
    "view": "Per-layer numbers on the graph, in Model Explorer.",
    "weights": "Import a PyTorch checkpoint for a recipe, or export one.",
}


_GO_ON = ("bench", "compare", "convert", "doctor", "quantize", "train")  # commands that may leave finished parts
_KEPT = "stopped; what was finished is kept, the same command goes on from there"
_NOTHING_KEPT = "stopped; nothing was written"


class LazyGroup(click.Group):
    """Imports ghost_edge.cli.<name> when the command runs, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """Import the command; raises RecipeError that names the nearest one, but while a shell completes a word."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:
                return None
            raise RecipeError(f"there is no command {cmd_name!r}; {suggest(cmd_name, COMMANDS)}")
        command: click.Command = getattr(importlib.import_module(f"ghost_edge.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C becomes an Abort that says what is left of it."""
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
    help="Say the version; with --verbose, also what a report of a fault needs.",
)
@click.option(
    *("--verbose", "-v"),
    is_flag=True,
    is_eager=True,  # known when --version answers, wherever it stands
    help="Say what happens inside, on stderr.",
)
def cli(verbose: bool) -> None:
    """GhostNet from a recipe to a ZYNQ board: train, convert to int8, prove, bench, gate."""
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
