"""One table of a recipe to one frozen dataclass, and one name to one row of a literal table."""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ghost_edge.core.errors import RecipeError

T = TypeVar("T")
ROW = TypeVar("ROW")


def pick(table: Mapping[str, ROW], name: str, *, kind: str) -> ROW:
    """Return table[name], or raise RecipeError that names the nearest known key."""
    if name in table:
        return table[name]
    raise RecipeError(f"{kind} {name!r} is not known; {suggest(name, table)}")


def suggest(name: str, known: Iterable[str]) -> str:
    """Say what was probably meant: "did you mean 'std'?", or the list of what there is."""
    names = sorted(known)
    begun = [each for each in names if name and each.startswith(str(name))]
    if len(begun) > 1:
        return f"did you mean {' or '.join(map(repr, begun))}?"
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"


def from_table(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Make the dataclass cls from a TOML or JSON table whose keys are its fields.

    Raises RecipeError naming `where` (such as "[network]") and the key that is unknown, missing or of another type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise RecipeError(f"{where} has no key {key!r}; {suggest(key, fields)}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(table[name], hints[name], f"{where} {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RecipeError(f"{where} needs the key {name!r}, and it is missing")
    return cls(**values)


def split_table(table: Mapping[str, Any], *classes: type) -> list[dict[str, Any]]:
    """Give each dataclass the keys that are its fields; keys that nobody knows go to the first, which names them."""
    parts: list[dict[str, Any]] = [{} for _ in classes]
    names = [{field.name for field in dataclasses.fields(cls)} for cls in classes]
    for key, value in table.items():
        owner = next((index for index, known in enumerate(names) if key in known), 0)
        parts[owner][key] = value
    return parts


def check_lowest(table: Any, where: str, lowest: Mapping[str, float]) -> None:
    """Raise RecipeError where a field of the dataclass is under its limit."""
    for name, limit in lowest.items():
        if getattr(table, name) < limit:
            raise RecipeError(f"{where} {name} is {getattr(table, name)}; it must be {limit} or more")


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Union:  # Optional[X]
        return None if value is None else _convert(value, arguments[0], where)
    if origin is dict:
        return dict(_convert(value, dict, where))
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise RecipeError(f"{where} must be a list, not {value!r}")
        return tuple(_convert(item, arguments[0], f"{where}[{index}]") for index, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(f"{where} must be {_TYPE_NAMES.get(hint, hint.__name__)}, not {value!r}")
    if hint is float and not math.isfinite(value):  # no comparison with NaN is true, so it would pass every check
        raise RecipeError(f"{where} must be a finite number, not {value!r}")
    return value


_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    dict: "a table",
}
