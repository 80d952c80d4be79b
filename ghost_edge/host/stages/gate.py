"""The verdict on the quantized model, kept as a file: a no must not cost the build."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.accuracy import compare
from ghost_edge.core.files import write_json
from ghost_edge.core.gate import judge
from ghost_edge.core.predictions import answers_of, load_predictions
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write gate.json; nothing where the recipe has no [evaluation]."""
    if work.recipe.evaluation is None:
        return ()
    predictions = load_predictions(work.path(work.names.predictions))
    reference, candidate = (answers_of(predictions, role) for role in ("float", "quantized"))
    verdict = judge(compare(reference, candidate, predictions.labels), work.recipe.gate)
    path = work.path(work.names.verdict)
    write_json(dataclasses.asdict(verdict), path)
    return (path,)
