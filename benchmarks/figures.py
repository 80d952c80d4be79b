"""Results of a benchmark against their bars: a line for people, a file for machines, an exit code for CI."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from checkout import ROOT

from ghost_edge.core.files import write_json
from ghost_edge.device.board import read_board

AT_MOST, AT_LEAST = "at most", "at least"


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number and the limit that it must keep; without a bar it is printed only. direction: AT_MOST or AT_LEAST."""

    name: str
    value: float
    bar: float | None = None
    direction: str = AT_MOST
    unit: str = ""

    @property
    def falls_short(self) -> bool:
        """True where the bar is missed; not-a-number misses every bar."""
        if self.bar is None:
            return False
        return not (self.value <= self.bar if self.direction == AT_MOST else self.value >= self.bar)

    def __str__(self) -> str:
        text = f"{self.name} {self.value:.4g}{self.unit}"
        if self.bar is None:
            return text
        return f"{text} ({self.direction} {self.bar:g}{self.unit}: {'MISSED' if self.falls_short else 'ok'})"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark; description is the docstring of the script."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", type=Path, metavar="FILE", help="write figures, machine and raw samples")
    options.add_argument("--check", action="store_true", help="exit 1 where a bar is missed")
    return options


def finish(
    figures: Sequence[Figure], json_file: Path | None, check: bool, *, samples: Mapping[str, Any] | None = None
) -> int:
    """Print the figures on the last line, write them with the raw samples, return the exit code."""
    short = [figure.name for figure in figures if figure.falls_short]
    if json_file is not None:
        document = {
            "format": 1,
            "benchmark": Path(sys.argv[0]).stem,
            "checkout": str(ROOT),
            "machine": dataclasses.asdict(read_board()),
            "falls_short": short,
            "figures": [_plain(figure) for figure in figures],
            "samples": dict(samples or {}),
        }
        write_json(document, json_file)
    print("; ".join(map(str, figures)), flush=True)
    return 1 if check and short else 0


def _plain(figure: Figure) -> dict[str, Any]:
    """Return the figure for JSON, which has no infinity and no NaN: they become null."""
    return {**dataclasses.asdict(figure), "value": figure.value if math.isfinite(figure.value) else None}
