"""Refine a quantized .tflite by adaptive rounding and bias correction, each kept where the SQNR rises."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ghost_edge.core.accuracy import sqnr_db
from ghost_edge.core.dataset import Image
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.core.progress import Say, part
from ghost_edge.device.evaluate import predict
from ghost_edge.host.calibration.observe import enough, observe_means
from ghost_edge.host.quantization.adaptive_rounding import adapt_rounding, observe_covariances
from ghost_edge.host.quantization.bias_correction import correct_biases
from ghost_edge.host.tflite.graph import read_model

Refinement = tuple[str, Callable[[bytes], bytes]]  # a name for messages, and the quantized file to the refined one
_HELD_BACK = 4  # every fourth calibration image
_FITTED = 50  # means of more images gave the same biases within the noise: 29.1 dB with 50, 150 and 200


class Options(Protocol):
    """The refinements that a scheme asks for."""

    @property
    def adapt_rounding(self) -> bool:
        """True: round weights with regard to each other."""

    @property
    def correct_bias(self) -> bool:
        """True: add the mean error of rounded weights to the biases."""


def refine(
    content: bytes, source: Path, images: Sequence[Image], preprocess: Preprocess, options: Options, say: Say
) -> bytes:
    """Return a quantized .tflite with the refinements that raise its SQNR on images held back.

    content: the quantized file; source: the float .tflite that it was made of; images: calibration images, uint8
    [H, W, C], of which every fourth is held back and the others are fitted to.
    """
    steps = find_refinements(source, images, preprocess, options, part(say, 0.0, 0.5))
    return keep_better(content, source, steps, hold_back(images), preprocess, part(say, 0.5, 0.5))


def hold_back(images: Sequence[Image]) -> Sequence[Image]:
    """Return every fourth calibration image: no refinement is fitted to these."""
    return images[::_HELD_BACK]


def find_refinements(
    source: Path, images: Sequence[Image], preprocess: Preprocess, options: Options, say: Say
) -> list[Refinement]:
    """Return the refinements that the options ask for, in order, fitted to images that are not held back.

    There are none where all images are held back, which is so for a single one.
    """
    rest = [index for index in range(len(images)) if index % _HELD_BACK]
    fitted = [prepare(images[index], preprocess) for index in enough(rest, _FITTED, preprocess.size)]
    steps: list[Refinement] = []
    before = source.read_bytes()
    if options.adapt_rounding and fitted:
        seen = observe_covariances(source, fitted, lambda done: say(done / len(fitted), "inputs of the layers"))
        steps.append(("adaptive rounding", lambda content: adapt_rounding(before, content, seen)))
    if options.correct_bias and fitted:
        means = observe_means(source, read_model(source), fitted)
        steps.append(("bias correction", lambda content: correct_biases(before, content, means)))
    return steps


def keep_better(
    content: bytes,
    source: Path,
    steps: Sequence[Refinement],
    held: Sequence[Image],
    preprocess: Preprocess,
    say: Say,
) -> bytes:
    """Apply refinements one by one and keep each that raises the SQNR of the logits on images held back."""
    if not steps:
        return content
    reference = predict(source, held, preprocess)

    def measure_db(made: bytes) -> float:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "made.tflite"
            path.write_bytes(made)
            return sqnr_db(reference, predict(path, held, preprocess))

    best_db = measure_db(content)
    for number, (name, apply) in enumerate(steps, start=1):
        made = apply(content)
        made_db = measure_db(made)
        say(number / len(steps), f"{name}: {best_db:.1f} to {made_db:.1f} dB on {len(held)} images held back")
        if made_db > best_db:
            content, best_db = made, made_db
    return content
