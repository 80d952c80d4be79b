"""A recipe's tables as TOML again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_toml(recipe: Mapping[str, Any]) -> str:
    """Tables of values, and lists of such tables, as a recipe has them."""
    lines = [f"{key} = {_value(value)}" for key, value in recipe.items() if not _tables(value)]
    for key, value in recipe.items():
        for table in _tables(value):
            lines += ["", f"[[{key}]]" if isinstance(value, list) else f"[{key}]"]
            lines += [f"{inner} = {_value(each)}" for inner, each in table.items()]
    return "\n".join(lines)


def _tables(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return found if found and all(isinstance(each, Mapping) for each in found) else []


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
