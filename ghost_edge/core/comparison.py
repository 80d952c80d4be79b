"""What the gate compares: a quantized model with its float model, and with that of an earlier run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Optional

from ghost_edge.core.accuracy import AccuracyDrop, compare
from ghost_edge.core.artifact import open_artifact
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.gate import Verdict, judge
from ghost_edge.core.manifest import Manifest, read_manifest
from ghost_edge.core.predictions import Predictions, answers_of, candidates, load_predictions
from ghost_edge.core.report import Column

COLUMNS = (
    Column("compared", "title"),
    Column("pictures", "images"),
    Column("reference top-1", "reference_top1", ".2%"),
    Column("top-1", "top1", ".2%"),
    Column("drop (points)", "drop"),
    Column("agreement", "agreement", ".2%"),
    Column("verdict", "verdict"),
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One paired comparison and what the gate says about it."""

    title: str
    drop: AccuracyDrop
    verdict: Verdict


def compare_manifests(
    path: Path,
    *,
    max_drop: Optional[float] = None,
    min_agreement: Optional[float] = None,
    baseline: Optional[Path] = None,
    allow_few: bool = False,
) -> list[Comparison]:
    """Judge the quantized models of a manifest (file or folder) by its limits, or by those given here.

    Raises ArtifactError for a missing or damaged file, DataError where the baseline saw other pictures.
    """
    manifest, predictions = _open(path)
    given = {"max_drop": max_drop, "min_agreement": min_agreement}
    limits = dataclasses.replace(manifest.limits, **{name: value for name, value in given.items() if value is not None})
    reference = answers_of(predictions, "float")
    pairs = {f"{role} / float": (reference, answers) for role, answers in candidates(predictions).items()}
    if baseline is not None:
        _, earlier = _open(baseline)
        if predictions.digests != earlier.digests:
            raise DataError(
                f"the two were not evaluated on the same pictures ({len(predictions.digests)} and "
                f"{len(earlier.digests)}); a paired comparison needs one evaluation list"
            )
        pairs["quantized / baseline"] = (answers_of(earlier, "quantized"), answers_of(predictions, "quantized"))
    comparisons = []
    for title, (reference, candidate) in pairs.items():
        drop = compare(reference, candidate, predictions.labels)
        comparisons.append(Comparison(title, drop, judge(drop, limits, allow_few=allow_few)))
    return comparisons


def row(comparison: Comparison) -> dict[str, Any]:
    """The comparison as a row of COLUMNS."""
    drop = comparison.drop
    return {
        **dataclasses.asdict(drop),
        "title": comparison.title,
        "drop": f"{drop.drop * 100:.2f} ± {drop.margin * 100:.2f}",
        "verdict": "passed" if comparison.verdict.passed else "NO",
    }


def _open(path: Path) -> tuple[Manifest, Predictions]:
    manifest = read_manifest(path)
    folder = path if path.is_dir() else path.parent
    if manifest.predictions is None:
        raise ArtifactError(f"{manifest.name} was not evaluated; add [evaluation] to its recipe and convert again")
    for model in manifest.models:
        open_artifact(model.artifact, folder)  # answers count only for the files they were given by
    return manifest, load_predictions(open_artifact(manifest.predictions, folder))
