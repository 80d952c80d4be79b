"""Limits of [gate]: the keys, their defaults and ranges."""

from __future__ import annotations

import dataclasses
from typing import Optional

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import check_lowest, check_types


@dataclasses.dataclass(frozen=True)
class Limits:
    """[gate]: max_drop is a fraction of the task's main metric, such as top-1 (0.005 is half a point).

    min_agreement: fraction of the images with the float model's answer.

    min_sqnr_db, max_size_bytes: of the quantized models (None: any).
    Only against a baseline: max_loss, a fraction of the main metric or of agreement that may be lost beyond chance;
    max_sqnr_loss_db; max_size_ratio and max_latency_ratio, now / then.
    """

    max_drop: float = 0.01
    min_agreement: float = 0.95
    min_sqnr_db: Optional[float] = None
    max_size_bytes: Optional[int] = None
    max_loss: float = 0.0
    max_sqnr_loss_db: float = 1.0
    max_size_ratio: float = 1.05
    max_latency_ratio: float = 1.1

    def __post_init__(self) -> None:
        check_types(self, "[gate]")
        for field in ("max_drop", "min_agreement", "max_loss"):
            if not 0 <= getattr(self, field) <= 1:
                raise RecipeError(
                    f"[gate] {field} is {getattr(self, field)}; it is a fraction: write 0.01 for one per cent"
                )
        check_lowest(self, "[gate]", dict.fromkeys(("max_sqnr_loss_db", "max_size_ratio", "max_latency_ratio"), 0))
