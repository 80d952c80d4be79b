"""Quantize the float model with the calibrated ranges."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.metadata import Card, card_text
from ghost_edge.host.calibration.observe import load_observed
from ghost_edge.host.chain.stages.calibrate import choose_images
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import class_names
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import quantize_observed
from ghost_edge.host.recipe.schema import Calibration, require
from ghost_edge.host.tflite.edit import add_card
from ghost_edge.host.tflite.graph import parse_model, read_model


def run(work: Work) -> tuple[Path, ...]:
    """Write <name>_<scheme>.tflite by the recipe's scheme, with its metadata."""
    options: Calibration = require(work.recipe.calibration, "calibration", "convert")
    content = quantize_observed(
        read_model(work.path(work.names.source)),
        load_observed(work.path(work.names.ranges)),
        choose_images(work.recipe, work.places).images,
        work.recipe.preprocess,
        work.recipe.quantization.options,
        ranges=options.ranges,
        say=work.tell,
    )
    path = work.path(work.names.quantized)
    write_bytes(add_card(content, card_text(_card(work, content))), path)
    return (path,)


def _card(work: Work, content: bytes) -> Card:
    """What the file says of itself; its twin is made here for its digest alone."""
    card = Card(work.recipe.preprocess, class_names(work.recipe, work.places))
    twins = [each for each in work.recipe.exports if EXPORTERS[each.kind].source == "quantized"]
    if not twins:
        return card
    try:
        made = EXPORTERS[twins[0].kind].export(parse_model(content, work.names.quantized), twins[0].options)
    except ConversionError:  # the stage export says so, when this file is there
        return card
    return dataclasses.replace(card, twin_sha256=hashlib.sha256(made).hexdigest())
