"""Warnings about the delegate at the end of a conversion."""

from __future__ import annotations

import pytest

from ghost_edge.host.tflite.verify import Verified, delegate_doubts


@pytest.mark.parametrize(
    ("partitions", "delegated", "said"),
    [
        (1, 5, []),
        (None, None, []),
        (2, 5, ["5 of 5"]),
        (1, 4, ["4 of 5"]),
        (20, 3, ["3 of 5 operations here, in 20"]),
    ],
)
def test_a_delegate_that_took_less_than_all_in_one_piece_is_a_doubt(
    partitions: int | None, delegated: int | None, said: list[str]
) -> None:
    counts = {"CONV_2D": 3, "HARD_SWISH": 2}
    found = Verified({}, counts, partitions, delegated)
    doubts = delegate_doubts(found)
    assert len(doubts) == len(said)
    assert all(words in doubt for words, doubt in zip(said, doubts, strict=True))


@pytest.mark.parametrize(("delegated", "doubts"), [(56, 0), (55, 1)])
def test_the_ends_of_a_uint8_file_are_not_the_delegate_s(delegated: int, doubts: int) -> None:
    counts = {"CONV_2D": 56, "QUANTIZE": 2}
    found = Verified({}, counts, 1, delegated)
    assert len(delegate_doubts(found)) == doubts
