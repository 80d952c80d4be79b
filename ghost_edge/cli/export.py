"""ghost-edge export: the ONNX twin of an int8 .tflite file, whoever made it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import RecipeError

_Path = click.Path(path_type=Path)


@click.command()
@click.argument("tflite", type=_Path)
@click.option("-o", "--out", type=_Path, help="The .onnx file to write.  [default: beside the .tflite]")
@click.option("--opset", default=17, show_default=True, type=click.IntRange(17, 21))
def export(tflite: Path, out: Optional[Path], opset: int) -> None:
    """Write int8 ONNX with the scales of TFLITE, once every operation was compared with its own on random inputs."""
    from ghost_edge.host.accuracy.parity import export_twin
    from ghost_edge.host.onnx.int8 import OnnxInt8

    if tflite.suffix == ".tflite" and out is None and tflite.with_suffix(".onnx").exists():
        raise RecipeError(f"{tflite.with_suffix('.onnx')} is there already; name it with -o to replace it")
    path = out or tflite.with_suffix(".onnx")
    with open_progress(Path(os.devnull)):
        operations = export_twin(OnnxInt8(opset), tflite, path)
    farthest, least = max(each.max_lsb for each in operations), min(each.equal for each in operations)
    click.echo(
        f"{path}: {len(operations)} operations compared on equal bytes, at most {farthest} steps apart, "
        f"at least {least:.2%} of the values equal"
    )
