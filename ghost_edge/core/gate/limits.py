"""Limits of [gate], and checks: each number against its limit."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Optional

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import check_lowest, check_types
from ghost_edge.core.tables import Column
from ghost_edge.core.tasks.task import Comparison

COLUMNS = tuple(Column(key, key) for key in ("compared", "metric", "before", "now", "change", "limit", "verdict"))


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


@dataclasses.dataclass(frozen=True)
class Check:
    """Number of a model against its limit, as text with units.

    reason: why it fails, empty where it passes. doubt: what could not be compared.
    """

    compared: str
    metric: str
    before: str
    now: str
    change: str
    limit: str
    reason: str = ""
    doubt: str = ""

    def row(self) -> dict[str, Any]:
        """Return the check as a row of COLUMNS."""
        return {**vars(self), "verdict": "FAIL" if self.reason else "not compared" if self.doubt else "PASS"}


def check_accuracy(
    found: Comparison, limits: Limits, *, compared: str = "", allow_few: bool = False
) -> tuple[Check, Check]:
    """Return the checks of drop and agreement; the first fails also where the images are too few to see the drop.

    Images are too few when the 95 % margin is wider than max_drop: a model without any loss would then fail,
    or one with twice the allowed loss pass, by luck alone. allow_few compares all the same.
    """
    few = ""
    if found.margin > limits.max_drop and not allow_few:
        # the margin falls with the root of their number, if they differ as often as these
        needed = found.images * (found.margin / limits.max_drop) ** 2 if limits.max_drop else math.inf
        wider = f"the margin of {found.margin:.2%} is wider than the limit of {limits.max_drop:.2%}"
        few = too_few(found.images, wider, needed)
    drop = f"{found.drop:.2%} ± {found.margin:.2%}"
    fell = f"{found.metric} dropped by {drop}; the limit is {limits.max_drop:.2%}"
    agree = f"only {found.agreement:.2%} of the answers agree; the limit is {limits.min_agreement:.2%}"
    values = f"{found.reference:.2%}", f"{found.value:.2%}"
    change = f"drop {found.drop * 100:.2f} ± {found.margin * 100:.2f}", f"{limits.max_drop * 100:.2f}"
    reason = "; ".join(filter(None, (few, fell if found.drop > limits.max_drop else "")))
    agreement = "", f"{found.agreement:.2%}", "", f"{limits.min_agreement:.2%}"
    return (
        Check(compared, found.metric, *values, *change, reason),
        Check(compared, "agreement", *agreement, agree if found.agreement < limits.min_agreement else ""),
    )


def too_few(images: int, why: str, needed: float) -> str:
    """Return the sentence for images that are too few, with the number that would do."""
    wanted = f"about {math.ceil(needed)}" if math.isfinite(needed) else "no finite number"
    return f"{images} images are too few: {why}; {wanted} would do, or --allow-few"
