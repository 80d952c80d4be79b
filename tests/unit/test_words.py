"""Docstrings open with a verb or a noun, and one thing has one word: docs/glossary.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FIRST_WORDS = ("Of", "The same", "What", "Whether", "Those", "One", "As", "By", "From", "That", "It")
# pattern, in any case, to the word of docs/glossary.md
SYNONYMS = {
    r"\bpictures?\b": "image",
    r"\b(?:images|pictures) that judge\b|\bjudging set\b": "evaluation images",
    r"\bjudg(?:es|ed|ing)\b|\b(?:to|that|can|cannot|not) judge\b": "evaluates, compares, decides, checks",
    r"(?<!:)\btwins?\b": "int8 ONNX model",  # names of tensors in shipped .onnx files end in :twin
    r"(?<!model )(?<!model-)(?<!model_)(?<!SD )\bcards?\b": "model card (of weights), model metadata (in a file)",
    r"\b(?:evened|evening) out\b|\bevened\b": "cross-layer equalization",
    r"\b(?:take|takes|taking|taken) back\b": "bias correction",
    r"\bsteps? (?:beside|apart|away)\b|\bsteps of the output\b": "LSB",
    r"\bties\b(?! go)": "shared scale",
    r"\bmixing\b": "mixed precision",
    r"\bin (?:one|how many|\d+) pieces?\b": "partition of the delegate",
    r"\bbookkeeping\b": "arena tail",
    r"\bleast that starts\b": "minimum arena",
    r"\bnot told\b": "not compared",
    r"\btold from\b|\btold apart\b|\btells? apart\b": "distinguish; differ",
    r"\b(?:is|are) said\b": "say who says it",
}
FOLDERS = ("ghost_edge", "docs", "benchmarks", "models", "calibration", ".ci")
TEXT = {".py", ".md", ".in", ".html", ".toml", ".sh"}


def first_word(docstring: str) -> str:
    """Return the forbidden opening of a docstring, or an empty string."""
    return next((word for word in FIRST_WORDS if re.match(rf"{word}\b", docstring)), "")


def bad_openings(source: str) -> Iterator[str]:
    """Yield the first lines of docstrings that open with a forbidden word."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node) or ""
            if first_word(text):
                yield text.splitlines()[0]


def synonyms(text: str) -> list[str]:
    """List "found: say" for each word that docs/glossary.md replaces."""
    return [
        f"{found[0]!r}: say {word}"
        for pattern, word in SYNONYMS.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def faults(path: Path) -> list[str]:
    """List what a file says against the rules; the glossary may name the words that it forbids."""
    text = path.read_text(encoding="utf-8")
    openings = list(bad_openings(text)) if path.suffix == ".py" else []
    return openings + ([] if path.name == "glossary.md" else synonyms(text))


def written(repository: Path) -> list[Path]:
    files = [path for folder in FOLDERS for path in (repository / folder).rglob("*") if path.suffix in TEXT]
    return sorted([*files, *repository.glob("*.md")])


def test_words_are_plain_and_always_the_same(repository: Path) -> None:
    files = {str(path.relative_to(repository)): path for path in written(repository)}
    assert len(files) > 150
    wrong = {name: found for name, path in files.items() if (found := faults(path))}
    assert wrong == {}


@pytest.mark.parametrize("word", FIRST_WORDS)
def test_a_docstring_that_opens_with_a_forbidden_word_is_found(word: str) -> None:
    source = f'class A:\n    def f(self):\n        """{word} thing that is meant."""\n'
    assert list(bad_openings(source)) == [f"{word} thing that is meant."]


@pytest.mark.parametrize("opening", ["Off-by-one guard.", "Itemise the parts.", "The smallest arena.", "Ask one."])
def test_a_docstring_that_only_begins_alike_is_not(opening: str) -> None:
    assert first_word(opening) == ""


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("The picture is judged by the card.", ["picture", "judged", "card"]),
        ("its twins; Bookkeeping; not told", ["twins", "Bookkeeping", "not told"]),
        ("two steps apart, in one piece, evened out", ["evened out", "steps apart", "in one piece"]),
        ("The model card lies on the SD card; the stage judge writes gate.json; ties go to the lower class.", []),
    ],
)
def test_a_word_that_the_glossary_replaces_is_found(sentence: str, words: list[str]) -> None:
    assert [each.split("'")[1] for each in synonyms(sentence)] == words


def test_each_word_to_say_stands_in_the_glossary(repository: Path) -> None:
    glossary = (repository / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = ["image", "evaluation images", "int8 ONNX model", "model card", "model metadata", "LSB", "shared scale"]
    terms += ["cross-layer equalization", "bias correction", "mixed precision", "partition", "not compared"]
    assert [term for term in terms if term not in glossary] == []
