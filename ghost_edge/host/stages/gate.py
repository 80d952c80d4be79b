"""The verdict on the quantized models, kept as a file: a no must not cost the build."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.accuracy import compare
from ghost_edge.core.files import write_json
from ghost_edge.core.gate import judge
from ghost_edge.core.predictions import answers_of, candidates, load_predictions
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write gate.json; nothing where the recipe has no [evaluation]."""
    if work.recipe.evaluation is None:
        return ()
    predictions = load_predictions(work.path(work.names.predictions))
    reference, reasons = answers_of(predictions, "float"), list[str]()
    for role, answers in candidates(predictions).items():
        checks = judge(compare(reference, answers, predictions.labels), work.recipe.gate)
        reasons += [f"{work.names.models[role]}: {check.reason}" for check in checks if check.reason]
    path = work.path(work.names.verdict)
    write_json({"passed": not reasons, "reasons": reasons}, path)
    return (path,)
