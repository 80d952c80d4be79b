"""The other formats that the recipe asks for."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.files import write_bytes
from ghost_edge.host.exporters import EXPORTERS
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write one file for each [[export]]."""
    paths = []
    for export, name in zip(work.recipe.exports, work.names.exports, strict=True):
        content = EXPORTERS[export.kind].export(export.options, work.path(work.names.float_tflite))
        write_bytes(content, work.path(name))
        paths.append(work.path(name))
        work.tell(len(paths) / len(work.recipe.exports), name)
    return tuple(paths)
