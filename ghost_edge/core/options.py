"""Options: tables of TOML or JSON made dataclasses, and names looked up in literal tables."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
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
    """Return what was probably meant: "did you mean 'std'?", or the list of what there is."""
    names = sorted(known)
    begun = [each for each in names if name and each.startswith(str(name))]
    if len(begun) > 1:
        return f"did you mean {' or '.join(map(repr, begun))}?"
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"


def from_table(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Make the dataclass cls from a TOML or JSON table whose keys are its fields; fields may be dataclasses too.

    Raises RecipeError naming `where` (such as "[network]") and the key that is unknown, missing or of another type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise RecipeError(f"{where} has no key {key!r}; {suggest(key, fields)}")
    hints = _hints(cls)
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = convert(table[name], hints[name], f"{where} {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RecipeError(f"{where} needs the key {name!r}, and it is missing")
    return cls(**values)


def check_types(table: Any, where: str) -> None:
    """Make each field of a frozen dataclass what its type hint says; raise RecipeError for a value of another type."""
    for name, hint in _hints(typing.cast("Any", type(table))).items():
        object.__setattr__(table, name, convert(getattr(table, name), hint, f"{where} {name}"))


def check_lowest(table: Any, where: str, lowest: Mapping[str, float]) -> None:
    """Raise RecipeError where a field of the dataclass is under its limit."""
    for name, limit in lowest.items():
        if getattr(table, name) < limit:
            raise RecipeError(f"{where} {name} is {getattr(table, name)}; it must be {limit} or more")


def convert(value: Any, hint: Any, where: str) -> Any:
    """Make a value of TOML or JSON what a type hint says: dataclasses of tables, tuples of lists, at every depth.

    Raises RecipeError naming `where` and the place inside at which something of another type stands.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in _UNIONS:  # Optional[X], or Union[int, tuple[int, int]]
        if value is None and type(None) in arguments:
            return None
        is_list = isinstance(value, (list, tuple))
        kinds = [each for each in arguments if each is not type(None)]
        kind = next((each for each in kinds if (typing.get_origin(each) is tuple) == is_list), kinds[0])
        return convert(value, kind, where)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, Mapping):
            return from_table(typing.cast("type[Any]", hint), value, where)
        if isinstance(value, typing.cast("type[Any]", hint)):
            return value
        raise RecipeError(f"{where} must be a table, not {_cut(value)}")
    if origin is type:
        hint = type
    if origin is dict:
        table = convert(value, dict, where)
        return {key: convert(item, arguments[1], f"{where} {key}") for key, item in table.items()}
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise RecipeError(f"{where} must be a list, not {_cut(value)}")
        is_open = arguments[-1] is ...
        if is_open and arguments[0] in (int, str) and {*map(type, value)} == {arguments[0]}:
            return tuple(value)  # the samples of a bench, at once
        hints = arguments[:1] * len(value) if is_open else arguments
        if len(hints) != len(value):
            raise RecipeError(f"{where} must be a list of {len(hints)}, not {list(value)}")
        return tuple(convert(item, hints[index], f"{where}[{index}]") for index, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(f"{where} must be {_TYPE_NAMES.get(hint, hint.__name__)}, not {_cut(value)}")
    if hint is float and not math.isfinite(value):  # no comparison with NaN is true, so it would pass every check
        raise RecipeError(f"{where} must be a finite number, not {_cut(value)}")
    return value


def _cut(value: Any) -> str:
    """Return a value for a message: a whole file is no value that helps."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_hints: typing.Callable[[Any], dict[str, Any]] = functools.cache(typing.get_type_hints)
_LONGEST = 100  # characters of a value in a message
_UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))  # Python 3.9 has the first alone
_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    dict: "a table",
}
