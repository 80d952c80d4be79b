"""docs/reference/recipe.md says what the program's own tables say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from ghost_edge.host.recipe.schema import TABLES

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_reference", DOCS / "recipe_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text() -> str:
    return (DOCS / "reference" / "recipe.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_tables_say(reference: ModuleType, text: str) -> None:
    assert text == reference.page(), "docs/reference/recipe.md is old; make it again: python docs/recipe_reference.py"


def test_every_table_and_key_of_a_recipe_has_a_place(text: str) -> None:
    titles = re.findall(r"^## \[+(\w+)\]+$", text, re.MULTILINE)
    keys = re.findall(r"^\| `(\w+)` ", text, re.MULTILINE)
    assert set(TABLES) <= {*titles, *keys}


def test_every_key_is_explained(text: str) -> None:
    rows = re.findall(r"^\| `.*\|$", text, re.MULTILINE)
    assert len(rows) > 80
    assert [row for row in rows if re.search(r"\| *\|$", row)] == []


def test_a_key_that_nobody_explains_is_noticed(reference: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(reference._PLAIN, "samples")
    with pytest.raises(KeyError, match="samples"):
        reference.page()


def test_a_default_that_changed_is_noticed(reference: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(reference.Limits.__dataclass_fields__["max_drop"], "default", 0.5)
    assert text != reference.page()
