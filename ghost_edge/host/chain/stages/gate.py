"""The verdict on the quantized models, kept as a file: a no must not cost the build."""

from __future__ import annotations

import json
from pathlib import Path

from ghost_edge.core.files import sha256_file, write_json
from ghost_edge.core.gate.baseline import Held
from ghost_edge.core.gate.checks import check_run
from ghost_edge.core.manifest import load_predictions
from ghost_edge.host.chain.work import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write gate.json; nothing where the recipe has no [evaluation]."""
    if work.recipe.evaluation is None:
        return ()
    predictions = load_predictions(work.path(work.names.predictions))
    accuracy = json.loads(work.path(work.names.accuracy).read_text(encoding="utf-8"))
    models = {
        role: Held(sha256_file(path), path.stat().st_size, accuracy[role]["sqnr_db"])
        for role, path in work.models.items()
    }
    checks = check_run(models, predictions, work.recipe.gate)
    reasons = [f"{check.compared}: {check.reason}" for check in checks if check.reason]
    path = work.path(work.names.verdict)
    write_json({"passed": not reasons, "reasons": reasons}, path)
    return (path,)
