"""Tables: rows as text, Markdown and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Column:
    """Column of a table: its title, the key in each row, the format of its numbers (such as ".2f"), its least width."""

    title: str
    key: str
    format: str = ""
    width: int = 0


def as_text(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Return a line of titles and a line for each row, two spaces between columns, numbers right, None as "-"."""
    table = as_cells(rows, columns)
    widths = [max([column.width, *(len(line[index]) for line in table)]) for index, column in enumerate(columns)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if _is_numeric(column, rows) else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns)
        ).rstrip()
        for line in table
    )


def as_markdown(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Return rows as a Markdown table; a "|" inside a cell is escaped."""
    titles, *lines = [[cell.replace("|", "\\|") for cell in line] for line in as_cells(rows, columns)]
    rule = ["---:" if _is_numeric(column, rows) else "---" for column in columns]
    return "\n".join("| " + " | ".join(line) + " |" for line in [titles, rule, *lines])


def as_csv(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Return rows as CSV for programs: keys in the first line, numbers in full, None as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    writer.writerows([row[column.key] for column in columns] for row in rows)
    return text.getvalue()


def as_cells(rows: Sequence[Row], columns: Sequence[Column]) -> list[list[str]]:
    """Return a line of titles and a line for each row, each value as text; None as "-"."""
    lines = [[_cell(row[column.key], column) for column in columns] for row in rows]
    return [[column.title for column in columns], *lines]


def _cell(value: Any, column: Column) -> str:
    if value is None:
        return "-"
    return format(value, column.format) if _is_number(value) else " ".join(str(value).split())


def _is_numeric(column: Column, rows: Sequence[Row]) -> bool:
    return bool(column.format) or any(_is_number(row[column.key]) for row in rows)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
