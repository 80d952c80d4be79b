"""From what is to be quantized and what it held to the quantized .tflite."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ghost_edge.core.accuracy import sqnr_db
from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.metadata import Card, card_text
from ghost_edge.core.preprocess import prepare
from ghost_edge.device.evaluate import predict
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import Ranges, load_observed, observe_means
from ghost_edge.host.chain.stages.calibrate import choose_images, enough
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import class_names
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.quantization.adaptive_rounding import adapt_rounding, observe_covariances
from ghost_edge.host.quantization.bias_correction import correct_biases
from ghost_edge.host.recipe.schema import Calibration, require
from ghost_edge.host.tflite.edit import add_card
from ghost_edge.host.tflite.graph import read_model

Refine = Callable[[bytes], bytes]
_HELD_BACK = 4  # every fourth calibration image
_FITTED = 50  # means of more images gave the same biases within the noise: 29.1 dB with 50, 150 and 200


def run(work: Work) -> tuple[Path, ...]:
    """Write <name>_<scheme>.tflite by the recipe's scheme, with its card."""
    scheme, source = work.recipe.quantization, work.path(work.names.source)
    row = QUANTIZERS[scheme.kind]
    content = row.quantize(scheme.options, source, estimated(work, source))
    content = refined(work, source, content, refinements(work, source))
    content = row.finish(content, work.recipe.preprocess) if row.finish else content
    path = work.path(work.names.quantized)
    write_bytes(add_card(content, card_text(_card(work, content))), path)
    return (path,)


def _card(work: Work, content: bytes) -> Card:
    """What the file says of itself; its twin is made here for its digest alone."""
    card = Card(work.recipe.preprocess, class_names(work.recipe, work.places))
    twins = [each for each in work.recipe.exports if EXPORTERS[each.kind].source == "quantized"]
    if not twins:
        return card
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / work.names.quantized
        path.write_bytes(content)
        try:
            made = EXPORTERS[twins[0].kind].export(twins[0].options, path)
        except ConversionError:  # the stage export says so, when this file is there
            return card
    return dataclasses.replace(card, twin_sha256=hashlib.sha256(made).hexdigest())


def estimated(work: Work, source: Path) -> Ranges:
    """What the recipe's estimator makes of the observed histograms."""
    options: Calibration = require(work.recipe.calibration, "calibration", "convert")
    return ESTIMATORS[options.ranges](load_observed(work.path(work.names.ranges)), read_model(source))


def held_back(work: Work) -> list[Image]:
    """Every fourth calibration image: these judge what the others made."""
    return list(choose_images(work.recipe, work.places).images)[::_HELD_BACK]


def refinements(work: Work, source: Path) -> list[tuple[str, Refine]]:
    """What the scheme's options ask to be done to the quantized content, by name, in order.

    What it is fitted to comes of images that are not held back; of a single one nothing is left, nothing is done.
    """
    options, images = work.recipe.quantization.options, choose_images(work.recipe, work.places).images
    preprocess = work.recipe.preprocess
    rest = [index for index in range(len(images)) if index % _HELD_BACK]
    fitted = [prepare(images[index], preprocess) for index in enough(rest, _FITTED, preprocess.size)]
    steps: list[tuple[str, Refine]] = []
    before = source.read_bytes()
    if options.adapt_rounding and fitted:
        share = 0.5 / len(fitted)
        seen = observe_covariances(source, fitted, lambda done: work.tell(share * done, "what layers see"))
        steps.append(("adaptive rounding", lambda content: adapt_rounding(before, content, seen)))
    if options.correct_bias and fitted:
        means = observe_means(source, read_model(source), fitted)
        steps.append(("bias correction", lambda content: correct_biases(before, content, means)))
    return steps


def refined(work: Work, source: Path, content: bytes, steps: Sequence[tuple[str, Refine]]) -> bytes:
    """Refined step by step, each step where it raises the SQNR of the logits on images that are held back."""
    held, preprocess = held_back(work), work.recipe.preprocess
    if not steps:
        return content
    reference = predict(source, held, preprocess)

    def judge(made: bytes) -> float:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "made.tflite"
            path.write_bytes(made)
            return sqnr_db(reference, predict(path, held, preprocess))

    best_db = judge(content)
    for number, (name, refine) in enumerate(steps, start=1):
        made = refine(content)
        made_db = judge(made)
        gain = f"{name}: {best_db:.1f} to {made_db:.1f} dB on {len(held)} images held back"
        work.tell(0.5 + 0.5 * number / len(steps), gain)
        if made_db > best_db:
            content, best_db = made, made_db
    return content
