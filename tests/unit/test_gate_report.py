"""What strangers write into a recipe or a baseline stays text in every form of the verdict."""

from __future__ import annotations

from xml.etree import ElementTree

from ghost_edge.core.gate.checks import Check
from ghost_edge.core.gate.report import as_junit, as_summary, github_annotations

EVIL = "x\n::error::pwned `<img src=x>` # [a](b) | \x00"
NO = Check(EVIL, "top-1", "1", "2", "", "", reason=EVIL)
DOUBT = Check("m / baseline", "latency", "", "", "", "", doubt="50 % slower, perhaps")


def test_an_annotation_is_one_line_and_names_the_level() -> None:
    lines = github_annotations([NO, DOUBT])
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert [line.count("\n") for line in lines] == [0, 0]
    assert lines[1].endswith("::50 %25 slower, perhaps")


def test_markdown_holds_no_markup_of_theirs() -> None:
    text = as_summary("m", [NO], [EVIL])
    assert "\n::error" not in text
    assert "\\<img" in text
    assert not any(line.lstrip().startswith("# ") for line in text.splitlines())
    assert "\\`\\<img" in text


def test_junit_is_xml_whatever_they_write() -> None:
    suite = ElementTree.fromstring(as_junit("m", [NO, DOUBT], [EVIL]))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
    assert suite[0].find("failure") is not None
    assert suite[1].find("skipped") is not None
