"""Time ghost-edge convert against the script that people write, and run it again: nothing is touched, same bytes."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from checkout import COMMAND, ROOT, run_fresh
from figures import Figure, finish, parser

RATIO_BAR, FIRST_BAR_S, SECOND_BAR_S = 0.8, 90.0, 2.0
ARTIFACTS = (".tflite", ".onnx")
LOG = "tools.log"  # every run adds what the tools said
RECIPE = ROOT / "models" / "ghostnet_mnist.toml"  # the embedded default
Snapshot = Mapping[str, tuple[int, str]]  # file name to (mtime in nanoseconds, SHA-256)


def main() -> int:
    """Convert into new folders, in turn with the script, then once more into the first folder."""
    options = parser(__doc__)
    options.add_argument("recipe", nargs="?", type=Path, default=RECIPE, help="a recipe (default: the embedded one)")
    options.add_argument("--runs", type=int, default=3, help="pairs of runs (default 3)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch), Path(scratch) / "log"
        ours_s, theirs_s = _time_both(asked.recipe, asked.runs, folder, log)
        before = snapshot(folder / "ours_0")
        second_s = run_fresh((*COMMAND, "convert", asked.recipe, "--out", folder / "ours_0"), log)
        moved = touched(before, snapshot(folder / "ours_0"))
        apart = different(before, snapshot(folder / f"ours_{asked.runs - 1}"))
        made = sorted(name for name in before if name.endswith(ARTIFACTS) and not name.startswith("."))
    print(f"artifacts: {', '.join(made)}")
    print(f"touched by the second run: {', '.join(moved) or 'nothing'}")
    print(f"other bytes in the other folder: {', '.join(apart) or 'none'}")
    figures = [
        *speed(ours_s, theirs_s),
        Figure("second run", second_s, bar=SECOND_BAR_S, unit=" s"),
        Figure("files touched by it", len(moved), bar=0),
        Figure(f"of {len(made)} artifacts with other bytes in the other folder", len(apart), bar=0),
    ]
    samples = {"ours_s": ours_s, "theirs_s": theirs_s, "second_s": [second_s]}
    return finish(figures, asked.json, asked.check, samples=samples)


def speed(ours_s: Sequence[float], theirs_s: Sequence[float]) -> list[Figure]:
    """Return the ratio of medians with its bar, the worst pair, and the median of our first runs."""
    ours, theirs = statistics.median(ours_s), statistics.median(theirs_s)
    return [
        Figure("convert / handwritten script, medians", ours / theirs, bar=RATIO_BAR, unit="x"),
        Figure("worst pair", max(a / b for a, b in zip(ours_s, theirs_s, strict=True)), unit="x"),
        Figure("first run", ours, bar=FIRST_BAR_S, unit=" s"),
        Figure("script", theirs, unit=" s"),
    ]


def _time_both(recipe: Path, runs: int, folder: Path, log: Path) -> tuple[list[float], list[float]]:
    """Run each side `runs` times in turn; one run of each before that fills the caches and is not counted."""
    commands = {
        "ours": (*COMMAND, "convert", recipe, "--out"),
        "theirs": (sys.executable, Path(__file__).with_name("handwritten.py"), recipe),
    }
    seconds: dict[str, list[float]] = {side: [] for side in commands}
    for number in range(-1, runs):
        for side, command in commands.items():
            wall_s = run_fresh((*command, folder / f"{side}_{number}"), log)
            print(f"{side:<6} {wall_s:6.2f} s{'' if number >= 0 else '  (not counted)'}", flush=True)
            if number >= 0:
                seconds[side].append(wall_s)
    return seconds["ours"], seconds["theirs"]


def snapshot(folder: Path) -> Snapshot:
    """Return time stamp and SHA-256 of every file in a folder and below."""
    from ghost_edge.core.files import sha256_file

    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, sha256_file(path)) for path in files}


def touched(before: Snapshot, after: Snapshot) -> list[str]:
    """List the files that appeared, went, or have another time stamp or content; the log is not counted."""
    return sorted(name for name in before.keys() | after.keys() if name != LOG and before.get(name) != after.get(name))


def different(one: Snapshot, other: Snapshot) -> list[str]:
    """List the artifacts that only one folder has, or that have other bytes there."""
    names = (name for name in one.keys() | other.keys() if name.endswith(ARTIFACTS))
    return sorted(name for name in names if name not in one or name not in other or one[name][1] != other[name][1])


if __name__ == "__main__":
    sys.exit(main())
