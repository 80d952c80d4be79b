"""The other formats that the recipe asks for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.card import Card, card_text
from ghost_edge.core.digest import sha256_file
from ghost_edge.core.files import write_bytes
from ghost_edge.host.datasets import class_names
from ghost_edge.host.exporters import EXPORTERS, add_card
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write one file for each [[export]], with its card."""
    paths, card = [], Card(work.recipe.preprocess, class_names(work.recipe, work.places))
    for export, name in zip(work.recipe.exports, work.names.exports, strict=True):
        row, source = EXPORTERS[export.kind], work.path(work.names.models[EXPORTERS[export.kind].source])
        content = row.export(export.options, source)
        text = card_text(dataclasses.replace(card, twin_sha256=sha256_file(source)))
        write_bytes(add_card(content, text), work.path(name))
        paths.append(work.path(name))
        work.tell(len(paths) / len(work.recipe.exports), name)
    return tuple(paths)
