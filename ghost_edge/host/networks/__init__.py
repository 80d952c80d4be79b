"""Networks that a recipe can name: one row each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import ghostnet, ghostnet_tf2, light, own, shufflenet_v2, tables

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
    "ghostnet_v2": Network(ghostnet.GhostNetV2, lambda options, places: ghostnet.build(options)),
    "ghostnet_tf2": Network(ghostnet_tf2.GhostNetTF2, lambda options, places: ghostnet_tf2.build(options)),
    "mobilenet_v1": Network(tables.Scalable, lambda options, places: light.build("MobileNet", options)),
    "mobilenet_v2": Network(tables.Scalable, lambda options, places: light.build("MobileNetV2", options)),
    "mobilenet_v3_small": Network(tables.Scalable, lambda options, places: light.build("MobileNetV3Small", options)),
    "mobilenet_v3_large": Network(tables.Scalable, lambda options, places: light.build("MobileNetV3Large", options)),
    "efficientnet_b0": Network(tables.Light, lambda options, places: light.build("EfficientNetB0", options)),
    "shufflenet_v2": Network(shufflenet_v2.ShuffleNetV2, lambda options, places: shufflenet_v2.build(options)),
    "keras": Network(own.OwnModel, own.build, own.find_source),
}
