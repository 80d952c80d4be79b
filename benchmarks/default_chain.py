"""ghost-edge convert: how long the first run takes, that the second touches nothing, that two folders are alike."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from checkout import COMMAND, run_fresh
from figures import Figure, finish, parser

FIRST_BAR_S, SECOND_BAR_S = 90.0, 2.0
ARTIFACTS = (".tflite", ".onnx")
LOG = "tools.log"  # every run adds what the tools said
Snapshot = Mapping[str, tuple[int, str]]  # file name to (mtime in nanoseconds, SHA-256)


def main() -> int:
    """Convert twice into one folder and once into another."""
    options = parser(__doc__)
    options.add_argument("recipe", nargs="?", type=Path, help="a recipe (default: the embedded default)")
    asked = options.parse_args()
    command = (*COMMAND, "convert", *([asked.recipe] if asked.recipe else []), "--out")
    with tempfile.TemporaryDirectory() as scratch:
        first, other, log = (Path(scratch) / name for name in ("first", "other", "log"))
        first_s = run_fresh((*command, first), log)
        print(log.read_text(), flush=True)
        before = snapshot(first)
        second_s = run_fresh((*command, first), log)
        moved = touched(before, snapshot(first))
        third_s = run_fresh((*command, other), log)
        apart = different(before, snapshot(other))
        made = sorted(name for name in before if name.endswith(ARTIFACTS))
    print(f"artifacts: {', '.join(made)}")
    print(f"touched by the second run: {', '.join(moved) or 'nothing'}")
    print(f"other bytes in the other folder: {', '.join(apart) or 'none'}")
    figures = [
        Figure("first run", first_s, bar=FIRST_BAR_S, unit=" s"),
        Figure("second run", second_s, bar=SECOND_BAR_S, unit=" s"),
        Figure("files touched by it", len(moved), bar=0),
        Figure(f"of {len(made)} artifacts with other bytes in the other folder", len(apart), bar=0),
    ]
    return finish(figures, asked.json, asked.check, samples={"first_s": [first_s, third_s], "second_s": [second_s]})


def snapshot(folder: Path) -> Snapshot:
    """Time stamp and SHA-256 of every file in a folder and below."""
    from ghost_edge.core.files import sha256_file

    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, sha256_file(path)) for path in files}


def touched(before: Snapshot, after: Snapshot) -> list[str]:
    """Names of files that appeared, went, or have another time stamp or content; the log is not counted."""
    return sorted(name for name in before.keys() | after.keys() if name != LOG and before.get(name) != after.get(name))


def different(one: Snapshot, other: Snapshot) -> list[str]:
    """Names of artifacts that only one folder has, or that have other bytes there."""
    names = (name for name in one.keys() | other.keys() if name.endswith(ARTIFACTS))
    return sorted(name for name in names if name not in one or name not in other or one[name][1] != other[name][1])


if __name__ == "__main__":
    sys.exit(main())
