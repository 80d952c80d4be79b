"""What the end of a conversion says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ghost_edge.host.chain.stages.report import delegate_doubts


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
    tmp_path: Path, partitions: int | None, delegated: int | None, said: list[str]
) -> None:
    counts = {"CONV_2D": 3, "HARD_SWISH": 2}
    found = {"operations": counts, "delegate_partitions": partitions, "delegated_operations": delegated}
    (tmp_path / "verify.json").write_text(json.dumps(found))
    doubts = delegate_doubts(tmp_path / "verify.json")
    assert len(doubts) == len(said)
    assert all(words in doubt for words, doubt in zip(said, doubts, strict=True))


@pytest.mark.parametrize(("delegated", "doubts"), [(56, 0), (55, 1)])
def test_the_ends_of_a_uint8_file_are_not_the_delegate_s(tmp_path: Path, delegated: int, doubts: int) -> None:
    counts = {"CONV_2D": 56, "QUANTIZE": 2}
    found = {"operations": counts, "delegate_partitions": 1, "delegated_operations": delegated}
    (tmp_path / "verify.json").write_text(json.dumps(found))
    assert len(delegate_doubts(tmp_path / "verify.json")) == doubts
