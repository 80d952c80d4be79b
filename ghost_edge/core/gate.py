"""Limits that a model must keep, and the verdict."""

from __future__ import annotations

import dataclasses
import math

from ghost_edge.core.accuracy import AccuracyDrop
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


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the gate says, and why; `reasons` is empty when it passes."""

    passed: bool
    reasons: tuple[str, ...]


def judge(drop: AccuracyDrop, limits: Limits, *, allow_few: bool = False) -> Verdict:
    """Say no where the drop or the agreement breaks its limit, or where the pictures are too few to see the drop.

    Pictures are too few when the 95 % margin is wider than max_drop: a model without any loss would then be refused,
    or one with twice the allowed loss be passed, by luck alone. allow_few judges all the same.
    """
    reasons = []
    if drop.margin > limits.max_drop and not allow_few:
        # the margin falls with the root of their number, if they differ as often as these
        needed = math.ceil(drop.images * (drop.margin / limits.max_drop) ** 2) if limits.max_drop > 0 else None
        wanted = f"about {needed}" if needed else "no finite number"
        reasons.append(
            f"{drop.images} pictures are too few: the margin of {drop.margin:.2%} is wider than the limit of "
            f"{limits.max_drop:.2%}; {wanted} would do, or --allow-few"
        )
    if drop.drop > limits.max_drop:
        reasons.append(f"top-1 dropped by {drop.drop:.2%} ± {drop.margin:.2%}; the limit is {limits.max_drop:.2%}")
    if drop.agreement < limits.min_agreement:
        reasons.append(f"only {drop.agreement:.2%} of the answers agree; the limit is {limits.min_agreement:.2%}")
    return Verdict(passed=not reasons, reasons=tuple(reasons))
