"""The same rows in each form."""

from __future__ import annotations

import pytest

from ghost_edge.core.tables import Column, as_csv, as_markdown, as_text

ROWS = [
    {"name": "small|int8.tflite", "ms": 1.23456, "runs": 50, "note": None},
    {"name": "big.tflite", "ms": None, "runs": 1000, "note": "failed:\n  no memory"},
]
COLUMNS = (Column("model", "name"), Column("median ms", "ms", ".2f"), Column("runs", "runs"), Column("note", "note"))


def test_text_puts_numbers_to_the_right_and_none_is_a_dash() -> None:
    assert as_text(ROWS, COLUMNS) == (
        "model              median ms  runs  note\n"
        "small|int8.tflite       1.23    50  -\n"
        "big.tflite                 -  1000  failed: no memory"
    )


def test_rows_printed_one_by_one_line_up_with_their_titles() -> None:
    columns = (Column("model", "name", "", 20), Column("median ms", "ms", ".2f", 9))
    together = as_text(ROWS, columns).splitlines()
    assert [as_text([], columns), *(as_text([row], columns).splitlines()[1] for row in ROWS)] == together


def test_markdown_aligns_numbers_and_escapes_bars() -> None:
    assert as_markdown(ROWS, COLUMNS[:2]) == (
        "| model | median ms |\n| --- | ---: |\n| small\\|int8.tflite | 1.23 |\n| big.tflite | - |"
    )


def test_csv_keeps_every_digit_and_leaves_none_empty() -> None:
    assert as_csv(ROWS, COLUMNS[:3]) == "name,ms,runs\nsmall|int8.tflite,1.23456,50\nbig.tflite,,1000\n"


def test_a_row_without_a_column_s_key_is_an_error() -> None:
    with pytest.raises(KeyError, match="runs"):
        as_text([{"name": "x", "ms": 1.0}], COLUMNS)
