"""Limits that a model must keep, and the verdict."""

from __future__ import annotations

import dataclasses

from ghost_edge.core.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class Limits:
    """[gate]: max_drop is a fraction of top-1 (0.005 is half a point), min_agreement a fraction of answers."""

    max_drop: float = 0.01
    min_agreement: float = 0.95

    def __post_init__(self) -> None:
        for field in ("max_drop", "min_agreement"):
            if not 0 <= getattr(self, field) <= 1:
                raise RecipeError(
                    f"[gate] {field} is {getattr(self, field)}; it is a fraction: write 0.01 for one per cent"
                )
