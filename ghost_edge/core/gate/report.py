"""The gate's verdict for machines: JUnit XML, Markdown for a job's summary, annotations of GitHub Actions."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Optional
from xml.etree import ElementTree

from ghost_edge.core.files import write_bytes
from ghost_edge.core.gate.checks import COLUMNS, Check
from ghost_edge.core.tables import as_markdown, as_text

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2
_MESSAGE, _PROPERTY = "%\r\n", "%\r\n:,"  # what GitHub's runner unescapes there


def as_lines(checks: Sequence[Check], changes: Sequence[str]) -> list[str]:
    """Return the table of the checks, and a line for each doubt, change and, in GitHub Actions, annotation."""
    doubts = [f"doubt: {check.compared}: {check.doubt}" for check in checks if check.doubt]
    lines = [" ".join(line.split()) for line in (*doubts, *(f"changed: {change}" for change in changes))]
    # one line each: a text of the baseline must not become a command to GitHub
    annotations = github_annotations(checks) if os.environ.get("GITHUB_ACTIONS") == "true" else []
    return [as_text([check.row() for check in checks], COLUMNS), *lines, *annotations]


def write_reports(
    name: str, checks: Sequence[Check], changes: Sequence[str], *, junit: Optional[Path], markdown: Optional[Path]
) -> None:
    """Write the verdict as JUnit XML and as Markdown; the summary that jobs of GitHub Actions share is appended to."""
    if junit:
        write_bytes(as_junit(name, checks, changes).encode(), junit)
    if markdown:
        is_shared = str(markdown) == os.environ.get("GITHUB_STEP_SUMMARY") and markdown.is_file()
        before = markdown.read_bytes() if is_shared else b""
        write_bytes(before + as_summary(name, checks, changes).encode(), markdown)


def as_junit(name: str, checks: Sequence[Check], changes: Sequence[str]) -> str:
    """Return JUnit XML: a test case for each check, failed, or skipped where it could not be compared."""
    refused, doubted = sum(bool(each.reason) for each in checks), sum(bool(each.doubt) for each in checks)
    counts = {"tests": str(len(checks)), "failures": str(refused), "skipped": str(doubted)}
    suite = ElementTree.Element("testsuite", {"name": _clean(f"ghost-edge gate {name}"), **counts, "errors": "0"})
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", {"classname": _clean(check.compared), "name": check.metric})
        if check.reason:
            ElementTree.SubElement(case, "failure", {"message": _clean(check.reason)})
        elif check.doubt:
            ElementTree.SubElement(case, "skipped", {"message": _clean(check.doubt)})
    ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(changes))
    root = ElementTree.Element(
        "testsuites", {"name": "ghost-edge gate", **{key: counts[key] for key in ("tests", "failures")}}
    )
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def as_summary(name: str, checks: Sequence[Check], changes: Sequence[str]) -> str:
    """Return Markdown: the verdict, the reasons, the table, what changed."""
    reasons = [f"- **{_text(check.compared)}**: {_text(check.reason)}" for check in checks if check.reason]
    parts = [f"## ghost-edge gate: {name} {'FAIL' if reasons else 'PASS'}", "\n".join(reasons)]
    rows = [{key: _text(cell) for key, cell in check.row().items()} for check in checks]
    parts.append(as_markdown(rows, COLUMNS))
    if changes:
        parts.append("\n".join(["Changed since the baseline:", "", *(f"- {_text(line)}" for line in changes)]))
    return "\n\n".join(filter(None, parts)) + "\n"


def github_annotations(checks: Sequence[Check]) -> list[str]:
    """Return lines that GitHub Actions shows beside the change: an error for each FAIL, a warning for each doubt."""
    levels = [("error", check.compared, check.reason) for check in checks if check.reason]
    levels += [("warning", check.compared, check.doubt) for check in checks if check.doubt and not check.reason]
    return [
        f"::{level} title={_escape(f'ghost-edge gate, {title}', _PROPERTY)}::{_escape(text, _MESSAGE)}"
        for level, title, text in levels
    ]


def _escape(text: str, characters: str) -> str:
    return "".join(f"%{ord(each):02X}" if each in characters else each for each in text)


def _text(text: str) -> str:
    """Return the text on one line of Markdown, its markup escaped."""
    return re.sub(r"([\\`*{}\[\]#!<>&~])", r"\\\1", " ".join(text.split()))


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
