"""The recipes that travel with the package, their weights and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.preprocess import say_size
from ghost_edge.core.tables import Column
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.network import read_model_card
from ghost_edge.host.recipe.schema import Recipe, load_recipe

COLUMNS = (
    Column("recipe", "name"),
    *(Column(key, key) for key in ("network", "pixels", "classes")),
    Column("top-1", "top1", ".2%"),
    *(Column(key, key) for key in ("images", "here", "path")),
)

_PACKAGE = Path(__file__).resolve().parents[2]
_DEFAULT = Path("models") / "ghostnet_mnist.toml"


def default_recipe() -> Path:
    """Return the path of the embedded default: inside the installed package, or in the checkout it is run from."""
    for folder in (_PACKAGE / "shipped", _PACKAGE.parent):
        if (folder / _DEFAULT).is_file():
            return folder / _DEFAULT
    raise RecipeError("this installation lacks the default recipe; install ghost-edge again, or name a recipe")


def shipped_recipes() -> list[dict[str, Any]]:
    """Return a row of COLUMNS for each recipe beside the default one; top1: of the model card, else None."""
    return [_row(load_recipe(path)) for path in sorted(default_recipe().parent.glob("*.toml"))]


def _row(recipe: Recipe) -> dict[str, Any]:
    network, evaluation, folder = recipe.network, recipe.evaluation, recipe.path.parent
    assert network is not None and evaluation is not None  # of every recipe that is shipped: tests read them all
    model_card = read_model_card(folder / network.weights)
    return {
        "name": recipe.name,
        "network": f"{network.kind} {network.options.width:g}x",
        "pixels": say_size(recipe.preprocess.size),
        "classes": network.options.classes,
        "top1": model_card.top1 if model_card else None,
        "images": Path(evaluation.source.path).name,
        "here": "yes" if _is_here(evaluation.source.path, folder) else "no: name their folder with GHOST_EDGE_DATA",
        "path": str(recipe.path),
    }


def _is_here(path: str, folder: Path) -> bool:
    try:
        return bool(places_for(folder).find(path))
    except DataError:
        return False
