"""Networks that a recipe can name: one row each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import ghostnet, own

if TYPE_CHECKING:
    import keras


class Network(NamedTuple):
    """The schema of [network] and the function that builds a keras.Model from it.

    source: the file that decides the network where that is not our own code; it may hold weights too.
    """

    options: type[Any]
    build: Callable[[Any, Places], keras.Model]
    source: Callable[[Any, Places], Path] | None = None


NETWORKS: dict[str, Network] = {
    "ghostnet": Network(ghostnet.GhostNet, lambda options, places: ghostnet.build(options)),
    "keras": Network(own.OwnModel, own.build, own.find_source),
}
