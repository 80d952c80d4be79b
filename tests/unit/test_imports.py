"""Who may import whom, and what the commands for the board may load."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STANDARD = sys.stdlib_module_names
# docs: arrows of the architecture point down; a folder may import the packages named here and nothing else
ALLOWED = {
    "core": {"ghost_edge.core", "numpy"},
    # packaging where it is installed: a workstation's doctor --env; a test blocks it
    "device": {"ghost_edge.core", "ghost_edge.device", "numpy", "click", "packaging"},
    "host": {
        "ghost_edge.core",
        "ghost_edge.device",
        "ghost_edge.host",
        "numpy",
        "tensorflow",
        "keras",
        "onnx",
        "onnxruntime",
        "tf2onnx",
        "ai_edge_litert",
        "flatbuffers",
        "litert_quantizer",
        "PIL",
        "jinja2",
        "markupsafe",
        "matplotlib",
        "model_explorer",
        "safetensors",
    },
    # device is as light as core, and a command's file is imported when the command runs
    "cli": {"ghost_edge.cli", "ghost_edge.core", "ghost_edge.device", "click"},
}
INSIDE_COMMANDS = {"ghost_edge.host", "rich"}
# host, from the ground up: a room imports itself and the rooms of the floors below it, inside functions too
FLOORS = (
    ("datasets", "tflite"),
    ("networks",),
    ("calibration", "onnx", "tflite_micro"),
    ("quantization",),
    ("recipe",),
    ("accuracy", "board", "init", "training"),
    ("report",),
    ("chain",),
    ("explore", "sweep"),
)


parse = functools.cache(ast.parse)  # three tests read every file


def walk(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node, and whether it lies in a function."""
    yield node, inside
    inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for child in ast.iter_child_nodes(node):
        yield from walk(child, inside)


@functools.cache
def imports(source: str) -> tuple[tuple[str, bool], ...]:
    """Return (module, inside a function?) for every import of a file."""
    return tuple(_imports(parse(source)))


def _imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    for node, inside in walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.Call) and (name := imported_by_name(node)):
            yield name, inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module or ""
            yield from ((f"{base}.{alias.name}" if base == "ghost_edge" else base, inside) for alias in node.names)


def imported_by_name(call: ast.Call) -> str:
    """The module of import_module("x") or __import__("x"); empty for other calls, and where the name is computed."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if function in ("import_module", "__import__") and isinstance(first, ast.Constant):
        return str(first.value)
    return ""


def violations(folder: str, source: str) -> list[str]:
    """Imports that a file of this folder may not have."""
    found = []
    for module, is_inside in imports(source):
        parts = module.split(".")
        if parts[0] in STANDARD or module in ("ghost_edge", "ghost_edge.__version__"):
            continue
        name = ".".join(parts[:2]) if parts[0] == "ghost_edge" else parts[0]
        allowed = ALLOWED[folder] | (INSIDE_COMMANDS if folder == "cli" and is_inside else set())
        if name not in allowed:
            found.append(module)
    return found


def floor(room: str) -> int:
    """Return the index in FLOORS of a room of host."""
    return next(index for index, rooms in enumerate(FLOORS) if room in rooms)


def upward(room: str, source: str) -> list[str]:
    """List the modules of host, without `ghost_edge.host.`, that lie beside or above this room."""
    found = [module.removeprefix("ghost_edge.host.") for module, _ in imports(source) if "ghost_edge.host." in module]
    return [module for module in found if (other := module.split(".")[0]) != room and floor(other) >= floor(room)]


def sources(repository: Path) -> list[Path]:
    return sorted((repository / "ghost_edge").rglob("*.py"))


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_a_folder_imports_only_what_lies_below_it(repository: Path, folder: str) -> None:
    files = [path for path in sources(repository) if path.relative_to(repository / "ghost_edge").parts[0] == folder]
    assert files
    wrong = {path.name: found for path in files if (found := violations(folder, path.read_text(encoding="utf-8")))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("folder", "source", "wrong"),
    [
        ("core", "import tensorflow", ["tensorflow"]),
        ("core", "def f():\n    from PIL import Image", ["PIL"]),
        ("core", "from ghost_edge.device.bench import bench_models", ["ghost_edge.device.bench"]),
        ("device", "import keras", ["keras"]),
        ("core", "from ghost_edge import host", ["ghost_edge.host"]),
        ("core", "class A:\n    def f(self):\n        import scipy.stats", ["scipy.stats"]),
        ("core", "import importlib\nimportlib.import_module('keras')", ["keras"]),
        ("device", "def f():\n    __import__('tensorflow')", ["tensorflow"]),
        ("device", "from ghost_edge.host.tflite.graph import read_model", ["ghost_edge.host.tflite.graph"]),
        ("device", "if True:\n    try:\n        import onnx\n    except ImportError:\n        pass", ["onnx"]),
        ("host", "from ghost_edge.cli.main import main", ["ghost_edge.cli.main"]),
        ("host", "import torch", ["torch"]),
        ("cli", "import rich", ["rich"]),
        ("cli", "def f():\n    import tensorflow", ["tensorflow"]),
        ("cli", "from ghost_edge.host.recipe.schema import load_recipe", ["ghost_edge.host.recipe.schema"]),
        ("cli", "def f():\n    from ghost_edge.host.recipe.schema import load_recipe", []),
    ],
)
def test_the_guard_finds_an_import_that_points_up(folder: str, source: str, wrong: list[str]) -> None:
    assert violations(folder, source) == wrong


def test_a_room_of_host_imports_only_rooms_below_it(repository: Path) -> None:
    host = repository / "ghost_edge" / "host"
    files = [path.relative_to(host) for path in sorted(host.rglob("*.py")) if path.parent != host]
    assert len(files) > 50
    found = {
        (str(path), module)
        for path in files
        for module in upward(path.parts[0], (host / path).read_text(encoding="utf-8"))
    }
    assert found == set(), "an arrow points up"


def test_every_room_of_host_has_a_floor(repository: Path) -> None:
    rooms = {path.parent.name for path in (repository / "ghost_edge" / "host").glob("*/__init__.py")}
    known = [room for rooms_of_a_floor in FLOORS for room in rooms_of_a_floor]
    assert sorted(rooms | {"sweep"}) == sorted(known)
    assert [path.name for path in (repository / "ghost_edge" / "host").glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("report", "from ghost_edge.host.chain.convert import convert", ["chain.convert"]),
        ("report", "def f():\n    from ghost_edge.host.explore.planner import plan", ["explore.planner"]),
        ("training", "from ghost_edge.host.accuracy.evaluate import check_labels", ["accuracy.evaluate"]),  # beside
        ("tflite", "import ghost_edge.host.recipe.schema", ["recipe.schema"]),
        ("chain", "from ghost_edge.host.report.read import read\nfrom ghost_edge.host.chain import stages", []),
        ("quantization", "from ghost_edge.core.files import write\nimport numpy", []),
    ],
)
def test_the_guard_finds_a_room_that_looks_up(room: str, source: str, wrong: list[str]) -> None:
    assert upward(room, source) == wrong


# ghost_edge.host itself too: what is blocked by folder cannot come in by a package that nobody thought of
BLOCKED = (
    *(
        "tensorflow",
        "keras",
        "onnx",
        "onnxruntime",
        "tf2onnx",
        "onnxruntime",
        "PIL",
        "packaging",
        "jinja2",
        "markupsafe",
        "matplotlib",
        "model_explorer",
        "safetensors",
        "rich",
        "litert_quantizer",
    ),
    "ghost_edge.host",
)


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["gate", "--help"], ["--version"]])
def test_help_needs_none_of_the_workstation_packages(repository: Path, arguments: list[str]) -> None:
    block = "; ".join(f"sys.modules[{name!r}] = None" for name in BLOCKED)
    code = f"import sys; {block}; from ghost_edge.cli.main import main; main({arguments!r})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=repository)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("name", ["rich", "ghost_edge.host"])
def test_a_blocked_package_cannot_be_imported(repository: Path, name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; import {name}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=repository)
    assert f"import of {name} halted" in run.stderr


def test_no_file_imports_what_imports_it(repository: Path) -> None:
    names = {str(path.relative_to(repository).with_suffix("")).replace("/", "."): path for path in sources(repository)}
    files = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {}
    for name, path in files.items():
        tree = parse(path.read_text(encoding="utf-8"))
        found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        wanted = {f"{node.module}.{alias.name}" for node in found for alias in node.names}
        graph[name] = {each for each in wanted | {str(node.module) for node in found} if each in files} - {name}
        # a package's own name stands for its file, which imports the files in it
        graph[name] -= {package for package in graph[name] if name.startswith(f"{package}.")}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them
