"""The other formats that the recipe asks for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import sha256_file, write_bytes, write_json
from ghost_edge.core.metadata import Card, card_text
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import class_names
from ghost_edge.host.onnx import EXPORTERS, add_card
from ghost_edge.host.tflite.graph import read_model


def run(work: Work) -> tuple[Path, ...]:
    """Write one file for each [[export]], with its card, and left_out.json: why one that nobody asked for is not there.

    Raises ConversionError where one that was asked for cannot be made.
    """
    paths, left_out = [], dict[str, str]()
    card = Card(work.recipe.preprocess, class_names(work.recipe, work.places))
    for export, name in zip(work.recipe.exports, work.names.exports, strict=True):
        row, source = EXPORTERS[export.kind], work.path(work.names.models[EXPORTERS[export.kind].source])
        try:
            content = row.export(read_model(source), export.options)
        except ConversionError as error:
            if not work.recipe.has_default_exports:
                raise ConversionError(
                    f'{error}; change the network, or take [[export]] kind = "{export.kind}" out'
                ) from error
            work.path(name).unlink(missing_ok=True)  # of an earlier network
            left_out[name] = str(error)
            continue
        text = card_text(dataclasses.replace(card, twin_sha256=sha256_file(source)))
        write_bytes(add_card(content, text), work.path(name))
        paths.append(work.path(name))
        work.tell(len(paths) / len(work.recipe.exports), name)
    write_json(left_out, work.path(work.names.left_out))
    return *paths, work.path(work.names.left_out)


def left_out_lines(path: Path) -> list[str]:
    """left_out.json for people."""
    return [f"left out: {name}: {why}" for name, why in json.loads(path.read_text(encoding="utf-8")).items()]
