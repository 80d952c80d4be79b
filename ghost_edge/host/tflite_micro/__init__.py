"""TFLite Micro: sources, arena and golden vectors for firmware that runs an int8 .tflite file."""

from __future__ import annotations

import dataclasses
import re

from ghost_edge.core.errors import RecipeError

# MISRA C:2012 rule 5.1: names differ in their first 31 characters, and the longest of ours has 11 after the prefix
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,19}")
_RESERVED = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr continue
    decltype default delete do double else enum explicit export extern false float for friend goto if inline int long
    main mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register restrict
    return short signed sizeof static std struct switch template tflite this throw true try typedef typeid typename
    union unsigned using virtual void volatile while xor xor_eq""".split()  # noqa: SIM905
)


@dataclasses.dataclass(frozen=True)
class Micro:
    """[[export]] with kind = "micro".

    prefix: starts every C name in the sources (default: made of the recipe's name). images: number of golden vectors,
    images of [evaluation].
    """

    prefix: str = ""
    images: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.images <= 100:
            raise RecipeError(f"[[export]] images is {self.images}; a kit holds 1 to 100 golden vectors")
        if self.prefix:
            check_prefix(self.prefix)


def default_prefix(name: str) -> str:
    """Make a prefix of C names from a model's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:20].strip("_")


def check_prefix(prefix: str) -> None:
    """Raise RecipeError unless the prefix can stand in front of C names."""
    if not _PREFIX.fullmatch(prefix) or prefix in _RESERVED or prefix.endswith("_"):
        raise RecipeError(
            f"{prefix!r} cannot stand in front of C names; give at most 20 lower-case letters, digits and '_' that "
            "begin with a letter and are no keyword (--prefix, or prefix in [[export]])"
        )
