"""The one writer of TOML: recipes that are shown, and recipes that `init` and `fit` make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

COLUMN = 22  # in which a comment begins, counted from 0


def as_toml(recipe: Mapping[str, Any]) -> str:
    """Return the keys, tables and lists of tables of a recipe as TOML, with an empty line before each table."""
    parts = [table("", {key: value for key, value in recipe.items() if not _tables(value)})]
    for key, value in recipe.items():
        header = f"[[{key}]]" if isinstance(value, list) else f"[{key}]"
        parts += [table(header, each) for each in _tables(value)]
    return "\n".join(filter(None, parts))


def table(header: str, keys: Mapping[str, Any], *, about: str = "", notes: Mapping[str, str] | None = None) -> str:
    """Return one table of TOML: a line for the header (none if empty) and a line for each key.

    about, notes: comments of the header and of keys; aligned in COLUMN, or above a line that is longer.
    """
    rows = [(header, about)] if header else []
    rows += [(f"{key} = {_value(value)}", (notes or {}).get(key, "")) for key, value in keys.items()]
    return "".join(_row(line, note) for line, note in rows)


def _row(line: str, note: str) -> str:
    if not note:
        return f"{line}\n"
    return f"{line:<{COLUMN - 1}} # {note}\n" if len(line) < COLUMN else f"# {note}\n{line}\n"


def _tables(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return found if all(isinstance(each, Mapping) for each in found) else []


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML forbids DEL, JSON does not
