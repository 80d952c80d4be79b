"""The public API: lazy, whole, typed, and documented."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ghost_edge as ge

# architecture.md, "Public API", without sweep, which is to come
PROMISED = {"load_recipe", "train", "convert", "quantize", "to_onnx", "to_tflite_micro", "evaluate", "bench", "gate"}
ON_A_BOARD = ["bench", "gate", "BenchPlan", "Preprocess", "Limits", "GhostEdgeError"]
HEAVY = (
    "tensorflow",
    "keras",
    "onnx",
    "onnxruntime",
    "PIL",
    "ai_edge_litert",
    "litert_quantizer",
    "matplotlib",
    "rich",
)


def test_the_promised_names_are_public() -> None:
    assert {*PROMISED, "inspect"} <= set(ge.__all__)
    assert len(set(ge.__all__)) == len(ge.__all__)


@pytest.mark.parametrize("name", ge.__all__)
def test_a_public_name_has_its_own_home_and_a_docstring(name: str) -> None:
    found = getattr(ge, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ghost_edge' has no attribute 'quantise'"):
        _ = ge.quantise


def test_completion_shows_every_public_name() -> None:
    assert set(ge.__all__) <= set(dir(ge))


def test_type_checkers_see_what_the_program_gives(repository: Path) -> None:
    tree = ast.parse((repository / "ghost_edge" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == {name: f"ghost_edge.{home}" for name, home in ge._HOMES.items()}
    assert (repository / "ghost_edge" / "py.typed").is_file()


def run(code: str, repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=repository)


def test_importing_the_package_imports_nothing_else(repository: Path) -> None:
    code = "import sys; before = set(sys.modules); import ghost_edge; print(sorted(set(sys.modules) - before))"
    done = run(code, repository)
    assert [name for name in ast.literal_eval(done.stdout) if name.startswith(("ghost_edge.", "numpy"))] == []


@pytest.mark.parametrize("name", ON_A_BOARD)
def test_what_a_board_needs_imports_no_package_of_the_workstation(repository: Path, name: str) -> None:
    block = "; ".join(f"sys.modules[{package!r}] = None" for package in (*HEAVY, "ghost_edge.host"))
    done = run(f"import sys; {block}; import ghost_edge as ge; print(ge.{name}.__name__)", repository)
    assert (done.stdout.strip(), done.stderr) == (name, "")


def test_the_reference_is_what_the_docstrings_say(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("api_reference", repository / "docs" / "api_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (repository / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert text == module.page(), "docs/reference/api.md is old; make it again: python docs/api_reference.py"
