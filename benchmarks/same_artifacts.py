"""Convert recipes with this checkout and with another commit, and compare every .tflite and .onnx byte for byte."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from checkout import COMMAND, ROOT, run_fresh
from figures import Figure, finish, parser

SUFFIXES = (".tflite", ".onnx")
GATE = 7  # a gate that says FAIL comes after the files


def main() -> int:
    """Convert each recipe twice and list the files that differ."""
    options = parser(__doc__)
    options.add_argument("commit", help="the commit to compare with, such as main~20")
    options.add_argument("recipes", nargs="*", type=Path, help="recipes (default: all of models/)")
    options.add_argument("--data", type=Path, help="folder of the images that are not part of the project")
    asked = options.parse_args()
    recipes = [path.resolve() for path in asked.recipes or sorted((ROOT / "models").glob("*.toml"))]
    data = ("--data", asked.data.resolve()) if asked.data else ()
    found: dict[str, list[str]] = {}
    count = 0
    with tempfile.TemporaryDirectory() as scratch, checked_out(asked.commit, Path(scratch) / "then") as other:
        for recipe in recipes:
            made = []
            for side, root in (("then", other), ("now", ROOT)):
                folder = Path(scratch) / f"{recipe.stem}_{side}"
                own = root / recipe.relative_to(ROOT) if recipe.is_relative_to(ROOT) else recipe
                command = (*COMMAND, "convert", own, "--out", folder, *data)
                run_fresh(command, Path(scratch) / "log", allowed=(0, GATE), root=root)
                made.append(artifacts(folder))
            found[recipe.stem], count = different(*made), count + len(made[1])
            print(f"{recipe.stem}: {len(made[1])} files; differ: {', '.join(found[recipe.stem]) or 'none'}", flush=True)
    apart = sum(map(len, found.values()))
    figures = [Figure("files", count), Figure("files that differ", apart, bar=0)]
    return finish(figures, asked.json, asked.check, samples=found)


@contextlib.contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder that goes afterwards."""
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run((*git, "add", "--detach", str(folder), commit), check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run((*git, "remove", "--force", str(folder)), check=True)


def artifacts(folder: Path) -> dict[str, bytes]:
    """Return name and content of the models that a convert leaves, without those it works with."""
    files = (path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in sorted(files)}


def different(then: Mapping[str, bytes], now: Mapping[str, bytes]) -> list[str]:
    """List the files that only one side has, or that have other bytes there."""
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


if __name__ == "__main__":
    sys.exit(main())
