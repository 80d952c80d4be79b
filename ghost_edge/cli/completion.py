"""The command `ghost-edge completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_GHOST_EDGE_COMPLETE"  # which click looks for, by the name of the command


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash: ghost-edge completion bash > ~/.local/share/bash-completion/completions/ghost-edge
    zsh:  ghost-edge completion zsh > ~/.zfunc/_ghost-edge    (a folder in $fpath, before compinit)
    fish: ghost-edge completion fish > ~/.config/fish/completions/ghost-edge.fish
    """
    made = get_completion_class(shell)
    assert made is not None  # click knows the three
    root = click.get_current_context().find_root()
    click.echo(made(root.command, {}, "ghost-edge", _VARIABLE).source())
