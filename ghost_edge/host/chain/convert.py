"""Conversion of a recipe: the whole chain or its beginning, and what its user is told at the end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.manifest import Manifest, read_manifest
from ghost_edge.core.progress import Progress
from ghost_edge.core.tables import as_text
from ghost_edge.host.accuracy.parity import load_parity, saturation_doubts
from ghost_edge.host.chain.outside import Outside
from ghost_edge.host.chain.run import run_chain
from ghost_edge.host.chain.stage import Stage
from ghost_edge.host.chain.stages import STAGES
from ghost_edge.host.chain.stages.export import read_skipped
from ghost_edge.host.datasets.health import Finding, health, read_findings, refuse_fatal
from ghost_edge.host.datasets.places import Places, places_for
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe, load_recipe
from ghost_edge.host.recipe.shipped import default_recipe
from ghost_edge.host.report.summary import columns, summary_rows
from ghost_edge.host.tflite.verify import delegate_doubts, read_verified


@dataclasses.dataclass(frozen=True)
class Job:
    """A recipe, the places of its data, and the folder of its artifacts."""

    recipe: Recipe
    places: Places
    folder: Path

    @property
    def log(self) -> Path:
        """The file for what TensorFlow and the other tools print."""
        return self.folder / "tools.log"

    def path(self, field: str) -> Path:
        """Return the path of a file of the folder, by its field of Layout."""
        return self.folder / str(getattr(layout(self.recipe), field))


@dataclasses.dataclass(frozen=True)
class Converted:
    """A converted model: its folder and manifest. notes: sentences on kit, images and runtimes, doubts among them."""

    folder: Path
    manifest: Manifest
    notes: tuple[str, ...]

    def as_text(self) -> str:
        """Return the table of the artifacts, the folder and the notes."""
        files = f"files: {self.folder}/ (report.html, manifest.json, report.md)"
        return "\n".join([as_text(summary_rows(self.manifest), columns(self.manifest.task)), "", files, *self.notes])


def open_job(recipe: Path | None = None, out: Path | None = None, data: Path | None = None) -> Job:
    """Load a recipe (None: the embedded one) and find the places of its data.

    out: the folder of the artifacts, out/<name> if not given. data: a folder in which data paths are looked up, after
    the recipe's own. Raises RecipeError.
    """
    loaded = load_recipe(recipe or default_recipe())
    return Job(loaded, places_for(loaded.path.parent, data), out or Path("out") / loaded.name)


def convert(job: Job, reporter: Progress) -> Converted:
    """Run the whole chain. A FAIL of the gate is in the manifest; every other failure is raised."""
    run_chain(job.recipe, job.places, job.folder, reporter)
    parity = load_parity(job.path("parity"))
    notes = [f"kit for TFLite Micro, verified here: {job.path('micro')}/"] if job.recipe.micro else []
    notes += [f"warning: {finding.sentence}" for finding in read_findings(job.path("doctor"))]
    notes += read_skipped(job.path("left_out")).lines()
    notes += [*delegate_doubts(read_verified(job.path("verified"))), *saturation_doubts(parity), *parity.refused]
    return Converted(job.folder, read_manifest(job.folder), tuple(notes))


def convert_until(job: Job, last: str, reporter: Progress, more: tuple[Stage, ...] = ()) -> None:
    """Run the chain up to the stage of this name, then more stages."""
    names = [stage.name for stage in STAGES]
    run_chain(job.recipe, job.places, job.folder, reporter, stages=(*STAGES[: names.index(last) + 1], *more))


def check_images(job: Job, reporter: Progress) -> tuple[Finding, ...]:
    """Return what is wrong with the calibration images, also as the trained float model sees them.

    Raises DataError where it is fatal.
    """
    convert_until(job, "doctor", reporter)
    return tuple(read_findings(job.path("doctor")))


def check_images_untrained(job: Job) -> tuple[Finding, ...]:
    """Return what is wrong with the calibration images, without a model; DataError where it is fatal."""
    outside = Outside(job.recipe, job.places)
    findings = tuple(health(outside.calibration, outside.evaluation, None, job.recipe.preprocess))
    refuse_fatal(findings)
    return findings
