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
    from ghost_edge.host.accuracy.parity import export_onnx
    from ghost_edge.host.onnx.int8 import OnnxInt8

    if tflite.suffix == ".tflite" and out is None and tflite.with_suffix(".onnx").exists():
        raise RecipeError(f"{tflite.with_suffix('.onnx')} exists; name it with -o to replace it")
    path = out or tflite.with_suffix(".onnx")
    with open_progress():
        operations = export_onnx(OnnxInt8(opset), tflite, path)
    farthest, least = max(each.max_lsb for each in operations), min(each.equal for each in operations)
    click.echo(
        f"{path}: {len(operations)} ops compared on identical inputs: they match within {farthest} LSB, with "
        f"{least:.2%} or more of the values equal"
    )
