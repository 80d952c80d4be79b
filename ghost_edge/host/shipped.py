"""What travels with the package: the default recipe, its weights and its pictures."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.errors import RecipeError

_PACKAGE = Path(__file__).resolve().parent.parent
_DEFAULT = Path("models") / "ghostnet_mnist.toml"


def default_recipe() -> Path:
    """Path of the embedded default: inside the installed package, or in the checkout it is run from."""
    for folder in (_PACKAGE / "shipped", _PACKAGE.parent):
        if (folder / _DEFAULT).is_file():
            return folder / _DEFAULT
    raise RecipeError("this installation lacks the default recipe; install ghost-edge again, or name a recipe")
