"""Networks that a recipe can name: NETWORKS, a row for each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import ghostnet, options, shufflenet_v2, user_model
from ghost_edge.host.networks.keras_applications import build as build_keras

if TYPE_CHECKING:
    import keras


class Network(NamedTuple):
    """A row of NETWORKS: the schema of [network] and the function that builds a keras.Model from it.

    source: finds the file that decides the network where that is not our own code; it may hold weights too.
    """

    options: type[Any]
    build: Callable[[Any, Places], keras.Model]
    source: Callable[[Any, Places], Path] | None = None


NETWORKS: dict[str, Network] = {
    "ghostnet": Network(ghostnet.GhostNet, lambda table, places: ghostnet.build(table)),
    "ghostnet_v2": Network(ghostnet.GhostNetV2, lambda table, places: ghostnet.build(table)),
    "ghostnet_tf2": Network(ghostnet.GhostNetTF2, lambda table, places: ghostnet.build_tf2(table)),
    "mobilenet_v1": Network(options.Scalable, lambda table, places: build_keras("MobileNet", table)),
    "mobilenet_v2": Network(options.Scalable, lambda table, places: build_keras("MobileNetV2", table)),
    "mobilenet_v3_small": Network(options.Scalable, lambda table, places: build_keras("MobileNetV3Small", table)),
    "mobilenet_v3_large": Network(options.Scalable, lambda table, places: build_keras("MobileNetV3Large", table)),
    "efficientnet_b0": Network(options.Light, lambda table, places: build_keras("EfficientNetB0", table)),
    "shufflenet_v2": Network(shufflenet_v2.ShuffleNetV2, lambda table, places: shufflenet_v2.build(table)),
    "keras": Network(user_model.OwnModel, user_model.build, user_model.find_source),
}
