"""Checks within a run: each quantized model against its float model, image by image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import open_artifact
from ghost_edge.core.gate.baseline import Held, say_sqnr
from ghost_edge.core.gate.limits import Check, Limits, check_accuracy
from ghost_edge.core.manifest import Manifest, Predictions, answers_of, candidates, load_predictions, read_manifest
from ghost_edge.core.tasks import CLASSIFICATION, TASKS


def open_run(path: Path) -> tuple[Manifest, Predictions]:
    """Read a manifest (file or folder) and the answers of its models.

    Raises ArtifactError where a file is not the promised one, and for a recipe without [evaluation].
    """
    manifest = read_manifest(path)
    folder = path if path.is_dir() else path.parent
    if manifest.predictions is None:
        raise ArtifactError(f"{manifest.name} was not evaluated; add [evaluation] to its recipe and convert again")
    for model in manifest.models:
        open_artifact(model.artifact, folder)  # answers count only for the files they were given by
    return manifest, load_predictions(open_artifact(manifest.predictions, folder))


def check_run(
    models: Mapping[str, Held],
    predictions: Predictions,
    limits: Limits,
    *,
    task: str = CLASSIFICATION,
    allow_few: bool = False,
) -> list[Check]:
    """Check drop and agreement of each quantized model, SQNR and size where they have limits; models: by role."""
    reference, checks = answers_of(predictions, "float"), list[Check]()
    for role, answers in candidates(predictions).items():
        found, compared = TASKS[task].compare(reference, answers, predictions.labels), f"{role} / float"
        checks += check_accuracy(found, limits, compared=compared, allow_few=allow_few)
        checks += _check_model(models[role], limits, compared) if role in models else []
    return checks


def _check_model(model: Held, limits: Limits, compared: str) -> list[Check]:
    checks: list[Check] = []
    least, most, size = limits.min_sqnr_db, limits.max_size_bytes, model.size_bytes
    if least is not None:
        noise = say_sqnr(model.sqnr_db)
        reason = f"SQNR is {noise}; the limit is {least:g} dB"
        is_noisy = model.sqnr_db is not None and model.sqnr_db < least
        checks.append(Check(compared, "SQNR", "", noise, "", f"{least:g} dB", reason=reason if is_noisy else ""))
    if most is not None:
        reason = f"it has {size:,} bytes; the limit is {most:,}" if size > most else ""
        checks.append(Check(compared, "bytes", "", f"{size:,}", "", f"{most:,}", reason=reason))
    return checks
