"""Options that several kinds of [network] share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import check_lowest
from ghost_edge.core.preprocess import Size, check_size

# kernel, expanded channels, output channels, squeeze-and-excite ratio (0: none), stride; arXiv 1911.11907, table 7.
TABLE_7: tuple[tuple[float, ...], ...] = (
    (3, 16, 16, 0, 1),
    (3, 48, 24, 0, 2),
    (3, 72, 24, 0, 1),
    (5, 72, 40, 0.25, 2),
    (5, 120, 40, 0.25, 1),
    (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 480, 112, 0.25, 1),
    (3, 672, 112, 0.25, 1),
    (5, 672, 160, 0.25, 2),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
)


@dataclasses.dataclass(frozen=True)
class Light:
    """[network] of a network that has one width, such as kind = "efficientnet_b0"."""

    input_size: Size = 224
    input_channels: int = 3
    classes: int = 1000
    smallest: ClassVar[int] = 32  # pixels of input_size

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_size", check_size(self.input_size, "[network] input_size", self.smallest))
        check_lowest(self, "[network]", {"input_channels": 1, "classes": 1})


@dataclasses.dataclass(frozen=True)
class Scalable(Light):
    """[network] of a network with a width multiplier, such as kind = "mobilenet_v2"."""

    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width <= 0:
            raise RecipeError(f"[network] width is {self.width}; it must be over 0, such as 1.0")


@dataclasses.dataclass(frozen=True)
class GhostStages(Scalable):
    """[network] of a network made of ghost bottlenecks.

    stages: rows of (kernel, expanded channels, output channels, squeeze ratio, stride) before the width multiplier.
    """

    ratio: int = 2
    stem_channels: int = 16
    stem_stride: int = 2
    head_channels: int = 1280
    dropout: float = 0.2
    stages: tuple[tuple[float, ...], ...] = TABLE_7
    smallest: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lowest(self, "[network]", dict.fromkeys(("ratio", "stem_channels", "stem_stride", "head_channels"), 1))
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"[network] dropout is {self.dropout}; it is a fraction from 0 to under 1")
        if not self.stages:
            raise RecipeError("[network] stages is empty; leave it out for table 7 of the paper")
        for row in self.stages:
            _check_row(row)


def _check_row(row: Sequence[float]) -> None:
    if len(row) != 5:
        raise RecipeError(
            f"[network] stages row {list(row)} has {len(row)} numbers; "
            "it must be [kernel, expanded, output, squeeze ratio, stride]"
        )
    kernel, expanded, output, squeeze, stride = row
    if min(kernel, expanded, output, stride) < 1 or squeeze < 0 or any(int(n) != n for n in (kernel, stride)):
        raise RecipeError(
            f"[network] stages row {list(row)}: kernel and stride are whole numbers, all but squeeze 1 or more"
        )
