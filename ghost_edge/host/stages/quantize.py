"""From what is to be quantized and what it held to the quantized .tflite."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ghost_edge.core.accuracy import sqnr_db
from ghost_edge.core.files import write_bytes
from ghost_edge.core.preprocess import prepare
from ghost_edge.device.evaluate import predict
from ghost_edge.host.graph import read_graph
from ghost_edge.host.quantizers import QUANTIZERS
from ghost_edge.host.quantizers.correct import correct_biases
from ghost_edge.host.ranges import ESTIMATORS
from ghost_edge.host.ranges.observer import load_observed, observe_means
from ghost_edge.host.recipe import Calibration, require
from ghost_edge.host.stages import Work
from ghost_edge.host.stages.calibrate import choose_pictures, spread

_HELD_BACK = 4  # every fourth calibration picture
_FITTED = 50  # means of more pictures gave the same biases within the noise: 29.1 dB with 50, 150 and 200


def run(work: Work) -> tuple[Path, ...]:
    """Write <name>_<scheme>.tflite by the recipe's scheme."""
    scheme, source = work.recipe.quantization, work.path(work.names.source)
    options: Calibration = require(work.recipe.calibration, "calibration", "convert")
    ranges = ESTIMATORS[options.ranges](load_observed(work.path(work.names.ranges)), read_graph(source))
    content = QUANTIZERS[scheme.kind].quantize(scheme.options, source, ranges)
    work.tell(0.5, "quantized")
    path = work.path(work.names.quantized)
    write_bytes(_correct(work, source, content) if scheme.options.correct_bias else content, path)
    return (path,)


def _correct(work: Work, source: Path, content: bytes) -> bytes:
    """The content with corrected biases, or as it was where they do not raise the SQNR of the logits.

    Judged against the float model on every fourth calibration picture; none of these gives means to the correction.
    """
    images, preprocess = choose_pictures(work.recipe, work.places).images, work.recipe.preprocess
    rest = [index for index in range(len(images)) if index % _HELD_BACK]
    if not rest:
        return content
    fitted = [prepare(images[index], preprocess) for index in spread(rest, _FITTED)]
    corrected = correct_biases(source.read_bytes(), content, observe_means(source, read_graph(source), fitted))
    held = [images[index] for index in range(0, len(images), _HELD_BACK)]
    reference, sqnrs_db = predict(source, held, preprocess), []
    with tempfile.TemporaryDirectory() as scratch:
        for number, made in enumerate((content, corrected)):
            path = Path(scratch) / f"{number}.tflite"
            path.write_bytes(made)
            sqnrs_db.append(sqnr_db(reference, predict(path, held, preprocess)))
    work.tell(1.0, f"bias correction: {sqnrs_db[0]:.1f} to {sqnrs_db[1]:.1f} dB on {len(held)} pictures held back")
    return corrected if sqnrs_db[1] > sqnrs_db[0] else content
