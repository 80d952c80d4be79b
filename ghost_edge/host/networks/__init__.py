"""Networks that a recipe can name: one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ghost_edge.host.networks import ghostnet

if TYPE_CHECKING:
    import keras


class Network(NamedTuple):
    """The schema of [network] and the function that builds a keras.Model from it."""

    options: type[Any]
    build: Callable[[Any], keras.Model]


NETWORKS: dict[str, Network] = {
    "ghostnet": Network(ghostnet.GhostNet, ghostnet.build),
}
