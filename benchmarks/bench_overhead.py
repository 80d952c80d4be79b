"""Compare `ghost-edge bench` with a bare loop over interpreter.invoke(): the difference should not be measurable."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from checkout import COMMAND, run_fresh
from figures import Figure, finish, parser

MEDIAN_BAR, SHORT_BAR, SHORT_MS = 0.01, 0.03, 0.2
RSS_BAR_MIB, FIRST_ROW_BAR_S = 5.0, 1.0
SECONDS = 0.5
# the same interpreter, input and warm-up, and nothing else in the process
BARE = """
import json, resource, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1], num_threads=1)
model.allocate_tensors()
(detail,) = model.get_input_details()
model.set_tensor(detail["index"], np.random.default_rng(0).integers(-128, 127, detail["shape"], np.int8, endpoint=True))
invoke, clock, samples = model.invoke, time.perf_counter_ns, []
end = clock() + int(float(sys.argv[2]) * 0.2e9)
while clock() < end:
    invoke()
end = clock() + int(float(sys.argv[2]) * 1e9)
while clock() < end:
    start = clock()
    invoke()
    samples.append(clock() - start)
samples.sort()
print(json.dumps([samples[len(samples) // 2] / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> int:
    """Time both in fresh processes that take turns, for each model."""
    options = parser(__doc__)
    options.add_argument("files", nargs="*", type=Path, help="int8 models (default: the embedded default, converted)")
    options.add_argument("--runs", type=int, default=9, help="processes of each kind for each model (default 9)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = asked.files or [convert_default(Path(folder))]
        measured = {file.name: [one_turn(file, number) for number in range(asked.runs)] for file in files}
        first_rows = [seconds_to_first_row(files[0]) for _ in range(asked.runs)]
    return finish(
        summary(measured, first_rows), asked.json, asked.check, samples={**measured, "first row s": first_rows}
    )


def convert_default(folder: Path) -> Path:
    """Convert the embedded default in this folder and return its int8 model."""
    run_fresh((*COMMAND, "convert", "--out", folder), folder / "log")
    (model,) = folder.glob("*_int8.tflite")
    return model


def one_turn(model: Path, number: int) -> dict[str, float]:
    """Run one process of each kind, each first in every second turn; return medians in ms and peak memory in MiB."""
    found: dict[str, float] = {}
    for kind in ("bench", "bare")[:: 1 if number % 2 == 0 else -1]:
        found[f"{kind} ms"], found[f"{kind} MiB"] = by_bench(model) if kind == "bench" else by_bare_loop(model)
    return found


def by_bench(model: Path) -> tuple[float, float]:
    """Return the median and the peak memory that `ghost-edge bench` prints."""
    command = (*COMMAND, "bench", model, "--seconds", SECONDS, "--precision", 0, "--json", "-")
    row = json.loads(output_of(command))["results"][0]
    return row["stats"]["median_ms"], row["peak_rss_bytes"] / 2**20


def by_bare_loop(model: Path) -> tuple[float, float]:
    """Return the median and the peak memory of the loop alone."""
    median, rss = json.loads(output_of((sys.executable, "-c", BARE, model, SECONDS)))
    return median, rss


def output_of(command: Sequence[Any]) -> str:
    """Run a command and return what it printed."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def seconds_to_first_row(model: Path) -> float:
    """Return the seconds from the start of the command, with default options, to the line of the first model."""
    start = time.perf_counter()
    command = [str(part) for part in (*COMMAND, "bench", model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(model.name):
                return time.perf_counter() - start
    raise SystemExit(f"{model} has no row")


def summary(measured: Mapping[str, Sequence[Mapping[str, float]]], first_rows: Sequence[float]) -> list[Figure]:
    """Return, for each model, the medians of the ratio and of the difference in memory, with their bars."""
    figures = []
    for name, turns in measured.items():
        bare_ms = statistics.median(turn["bare ms"] for turn in turns)
        off = abs(statistics.median(turn["bench ms"] / turn["bare ms"] for turn in turns) - 1)
        more = statistics.median(turn["bench MiB"] - turn["bare MiB"] for turn in turns)
        bar = SHORT_BAR if bare_ms < SHORT_MS else MEDIAN_BAR
        figures += [
            Figure(f"{name}: median off the bare loop's {bare_ms:.3f} ms", off, bar=bar),
            Figure(f"{name}: peak memory more than the bare loop's", more, bar=RSS_BAR_MIB, unit=" MiB"),
        ]
    return [*figures, Figure("first row on screen", statistics.median(first_rows), bar=FIRST_ROW_BAR_S, unit=" s")]


if __name__ == "__main__":
    sys.exit(main())
