"""Time ghost-edge --help, and bench until a model has run."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from checkout import COMMAND, run_fresh
from figures import Figure, finish, parser

HELP_BAR_S, BENCH_BAR_S = 0.3, 0.5
# what nobody can go below: the interpreter alone, opening the file and running it once
ALONE = """
import sys
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1])
model.allocate_tensors()
model.invoke()
"""


def main() -> int:
    """Time fresh processes of four commands, in turn."""
    options = parser(__doc__)
    options.add_argument("file", nargs="?", type=Path, help="a small model (default: the embedded default, converted)")
    options.add_argument("--runs", type=int, default=10, help="processes of each command (default 10)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        walls = time_commands(asked.file or convert_default(scratch), asked.runs, scratch / "log")
    for name, samples in walls.items():
        print(f"{name:<18} median {statistics.median(samples):.3f} s, {min(samples):.3f} to {max(samples):.3f}")
    print("ghost-edge bench is the whole command: Python, imports, a child process, opening, two inferences, the table")
    return finish(summary(walls), asked.json, asked.check, samples=walls)


def convert_default(folder: Path) -> Path:
    """Convert the embedded default in this folder and return its int8 model."""
    run_fresh((*COMMAND, "convert", "--out", folder), folder / "log")
    (model,) = folder.glob("*_int8.tflite")
    return model


def time_commands(model: Path, runs: int, log: Path) -> dict[str, list[float]]:
    """Return the wall seconds of each command, by its name, in fresh processes that take turns."""
    commands = {
        "python -c pass": (sys.executable, "-c", "pass"),
        "ghost-edge --help": (*COMMAND, "--help"),
        "interpreter alone": (sys.executable, "-c", ALONE, model),
        "ghost-edge bench": (
            *COMMAND,
            "bench",
            model,
            "--runs",
            "1",
            "--seconds",
            "0",
            "--max-seconds",
            "0",
            "--warmup",
            "0",
        ),
    }
    walls: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            walls[name].append(run_fresh(command, log))
    return walls


def summary(walls: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Return the medians with their bars, beside those of a process that does less."""
    medians = {name: statistics.median(samples) for name, samples in walls.items()}
    help_s, bench_s = medians["ghost-edge --help"], medians["ghost-edge bench"]
    return [
        Figure("--help", help_s, bar=HELP_BAR_S, unit=" s"),
        Figure("of python -c pass", help_s / medians["python -c pass"], unit="x"),
        Figure("bench, whole command with two inferences", bench_s, bar=BENCH_BAR_S, unit=" s"),
        Figure("of the interpreter alone", bench_s / medians["interpreter alone"], unit="x"),
    ]


if __name__ == "__main__":
    sys.exit(main())
