"""Write docs/reference/api.md from the docstrings of the public API: `python docs/api_reference.py`."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ghost_edge as ge

PAGE = Path(__file__).parent / "reference" / "api.md"
_HEAD = """\
# The Python API

Made by `python docs/api_reference.py` from the docstrings; a test compares the two.

`import ghost_edge as ge` costs nothing: each name is imported when it is first used. What bad input raises is a
`ge.GhostEdgeError` with one line of text; its class and exit code are in [exit codes](exit-codes.md). How to use it:
[Use ghost-edge from Python](../how-to/python.md).
"""


def page() -> str:
    """Return the page: functions, then types, then errors, each in the order of the alphabet."""
    named = {name: getattr(ge, name) for name in ge.__all__}
    errors = {name: each for name, each in named.items() if inspect.isclass(each) and issubclass(each, Exception)}
    types = {name: each for name, each in named.items() if inspect.isclass(each) and name not in errors}
    functions = {name: each for name, each in named.items() if name not in errors and name not in types}
    parts = [_HEAD, "## Functions\n", *map(_function, functions, functions.values())]
    parts += ["## Types\n", *map(_type, types, types.values()), "## Errors\n", *_errors(errors)]
    return "\n".join(parts)


def _function(name: str, function: Any) -> str:
    return f"### ge.{name}\n\n```python\n{_signature(name, function)}\n```\n\n{_text(function)}\n"


def _type(name: str, cls: Any) -> str:
    fields = [f"    {each.name}: {each.type}{_default(each)}" for each in dataclasses.fields(cls) if each.repr]
    methods = [
        f"\n`.{key}{_signature('', each)}`: {_first_line(each)}\n"
        if inspect.isfunction(each)
        else f"\n`.{key}`: {_first_line(each)}\n"
        for key, each in vars(cls).items()
        if not key.startswith("_") and (inspect.isfunction(each) or isinstance(each, property))
    ]
    body = "\n".join(fields) or "    no options"
    return f"### ge.{name}\n\n```\nclass {name}:\n{body}\n```\n\n{_text(cls)}\n{''.join(methods)}"


def _errors(errors: dict[str, Any]) -> Iterator[str]:
    yield "| class | exit code | what it is |\n|---|---:|---|"
    for name, cls in sorted(errors.items(), key=lambda each: each[1].exit_code):
        yield f"| `ge.{name}` | {cls.exit_code} | {' '.join(_text(cls).split())} |"
    yield ""


def _signature(name: str, function: Any) -> str:
    """Return `name(arguments) -> result`, a line for each argument where one line would be too long."""
    signature = inspect.signature(function)
    arguments = [
        re.sub(r"^(\w+): '([^']*)'", r"\1: \2", re.sub(r" = <.*>$", " = ...", str(each)))
        for each in signature.parameters.values()
    ]
    result = str(signature).rpartition(" -> ")[2].strip("'")
    stars = [index for index, each in enumerate(signature.parameters.values()) if each.kind is each.KEYWORD_ONLY]
    if stars and "*" not in "".join(arguments[: stars[0]]):
        arguments.insert(stars[0], "*")
    arguments = [each for each in arguments if each != "self"]
    line = f"{name}({', '.join(arguments)}) -> {result}"
    if len(line) <= 100 or not name:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in arguments) + f") -> {result}"


def _argument(parameter: inspect.Parameter) -> str:
    """Return `name: type = default`; a default that is an object of ours is a call or three dots."""
    text = re.sub(r"^(\w+): '([^']*)'", r"\1: \2", str(parameter))
    return re.sub(r" = (\w+)\(.*\)$", r" = \1()", re.sub(r" = <.*>$", " = ...", text))


def _default(field: dataclasses.Field[Any]) -> str:
    return "" if field.default is dataclasses.MISSING else f" = {field.default!r}"


def _text(item: Any) -> str:
    return inspect.getdoc(item) or ""


def _first_line(item: Any) -> str:
    return _text(item).splitlines()[0] if _text(item) else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
