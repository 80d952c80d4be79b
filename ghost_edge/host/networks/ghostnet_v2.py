"""GhostNetV2 as its authors published it (Tang et al., NeurIPS 2022, arXiv 2211.12905): GhostNet with DFC attention."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ghost_edge.host.networks import ghostnet

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class GhostNetV2(ghostnet.GhostNet):
    """[network] with kind = "ghostnet_v2": the same options; all but the first two bottlenecks attend."""


def build(options: GhostNetV2) -> keras.Model:
    """Build the network: images float32 [1, size, size, channels], normalised, to logits float32 [1, classes].

    Raises RecipeError where a picture is too small for the attention's pooling.
    """
    return ghostnet.build(options, attention_from=2)
