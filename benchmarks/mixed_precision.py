"""Compare int8 with the mixed precision that `ghost-edge quantize` finds for 99.5 % agreement with float."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from checkout import COMMAND, ROOT, run_fresh
from figures import AT_LEAST, Figure, finish, parser

AGREEMENT_BAR, TIME_BAR = 0.995, 1.5
BOARD = 'target = "zynq7000"'  # whose interpreter has no float; this is about LiteRT on x86


def main() -> int:
    """Search mixed precision for a shipped model without its target."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder with cifar10.npz")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, models = Path(scratch), ROOT / "models"
        text = (models / "ghostnet_cifar10.toml").read_text()
        assert BOARD in text
        recipe = folder / "ghostnet_cifar10.toml"
        recipe.write_text(text.replace(BOARD, "").replace('"weights/', f'"{models}/weights/'))
        command = ("quantize", recipe, "--data", asked.data.resolve(), "--out", folder / "out")
        run_fresh((*COMMAND, *command, "--target-agreement", AGREEMENT_BAR), folder / "quantize.log")
        found = json.loads((folder / "out" / "mixed.json").read_text())
        print((folder / "quantize.log").read_text())
    return finish(summary(found), asked.json, asked.check, samples={"mixed": found})


def summary(found: Mapping[str, Any]) -> list[Figure]:
    """Return agreement and latency from mixed.json with their bars; figures of images held back have no bar."""
    int8, mixed = (row["accuracy"]["agreement"] for row in found["models"])
    return [
        Figure("mix: agreement", found["deciding"]["agreement"], bar=AGREEMENT_BAR, direction=AT_LEAST),
        Figure("mix: time / int8's", found["time"]["ratio"], bar=TIME_BAR, unit="x"),
        Figure("mix: agreement on images that decided nothing", mixed),
        Figure("int8: agreement on these", int8),
    ]


if __name__ == "__main__":
    sys.exit(main())
