"""The command `ghost-edge export`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import RecipeError


@click.command()
@click.argument("tflite", type=PATH)
@click.option("-o", "--out", type=PATH, help="The .onnx file to write.  [default: beside the .tflite]")
@click.option("--opset", default=17, show_default=True, type=click.IntRange(17, 21))
def export(tflite: Path, out: Optional[Path], opset: int) -> None:
    """Write TFLITE as int8 ONNX with the same scales, after a comparison of every operation on random inputs."""
    from ghost_edge.host.onnx.compare import to_onnx
    from ghost_edge.host.onnx.int8 import OnnxInt8

    path = out or tflite.with_suffix(".onnx")
    for file, suffix in ((tflite, ".tflite"), (path, ".onnx")):
        if file.suffix != suffix:
            raise RecipeError(f"{file} is not named {suffix}; export takes an int8 .tflite and writes an .onnx")
    if out is None and path.exists():
        raise RecipeError(f"{path} exists; name it with -o to replace it")
    with open_progress():
        made = to_onnx(tflite, OnnxInt8(opset))
    made.save(path)
    farthest, least = max(each.max_lsb for each in made.operations), min(each.equal for each in made.operations)
    click.echo(
        f"{path}: {len(made.operations)} ops compared on identical inputs: they match within {farthest} LSB, with "
        f"{least:.2%} or more of the values equal"
    )
