"""Commands and outputs that a Markdown document shows, as a reader would copy them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md",
    "README.zh-CN.md",
    *(str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "docs").rglob("*.md"))),
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPERATORS = frozenset({";", "&&", "||", "|", "&", "(", ")"})
_REDIRECTIONS = frozenset({">", ">>", "<"})


class Line(NamedTuple):
    """One command line of a document, continued lines joined, and the exit code that its comment promises."""

    text: str
    exit_code: int


def blocks(document: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language ("" for outputs), in order."""
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    return [content for kind, content in _BLOCK.findall(text) if kind == language]


def command_lines(document: str) -> Iterator[Line]:
    """What stands in the bash blocks, without lines that are comments alone."""
    for block in blocks(document, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            code, promised = _without_comment(line), re.search(r"# exit (\d+)", line)
            if code:
                yield Line(code, int(promised[1]) if promised else 0)


def ghost_edge_calls(line: str) -> Iterator[list[str]]:
    """The arguments of each `ghost-edge` in a command line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    call: list[str] = []
    for token in [*lexer, ";"]:
        if token in _OPERATORS:
            if call and call[0] == "ghost-edge":
                yield [each for index, each in enumerate(call[1:], 1) if not _is_redirection(call, index)]
            call = []
        else:
            call.append(token)


def _is_redirection(call: list[str], index: int) -> bool:
    return call[index] in _REDIRECTIONS or call[index - 1] in _REDIRECTIONS


def _without_comment(line: str) -> str:
    """A '#' begins a comment where a word could begin, outside of quotes."""
    quote = ""
    for index, character in enumerate(line):
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        elif character == "#" and not quote and (index == 0 or line[index - 1].isspace()):
            return line[:index].strip()
    return line.strip()
