"""Conversion of a recipe: the whole chain or its beginning, and the run that it leaves in a folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional, Union

from ghost_edge.core.manifest import Accuracy, Manifest, read_manifest
from ghost_edge.core.progress import Progress, Reporter
from ghost_edge.core.tables import as_text
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.host.accuracy.parity import load_parity, saturation_doubts
from ghost_edge.host.chain.stage import Outside, Stage
from ghost_edge.host.chain.stages import STAGES, run_chain
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
class ConvertedModel:
    """A model of a run: its file, first input and output, and median latency on the machine that converted it."""

    path: Path
    input: TensorSpec
    output: TensorSpec
    median_ms: Optional[float]


@dataclasses.dataclass(frozen=True)
class Run:
    """A converted recipe: its folder and manifest. notes: sentences on kit, images and runtimes, doubts among them."""

    folder: Path
    manifest: Manifest
    notes: tuple[str, ...]

    @property
    def models(self) -> dict[str, ConvertedModel]:
        """The models by name: "float", the scheme's kind (such as "int8"), and exports ("float_onnx", "int8_onnx")."""
        return {
            self._name(each.role): ConvertedModel(
                self.folder / each.artifact.file, each.input, each.output, each.median_ms
            )
            for each in self.manifest.models
        }

    @property
    def accuracy(self) -> dict[str, Accuracy]:
        """The accuracy by the names of `models`; empty where the recipe has no [evaluation]."""
        return {self._name(each.role): each.accuracy for each in self.manifest.models if each.accuracy}

    @property
    def gate(self) -> tuple[str, ...]:
        """The reasons of the gate's FAIL; empty where it says PASS."""
        return self.manifest.gate

    def _name(self, role: str) -> str:
        kind = self.manifest.recipe.get("quantization", {}).get("kind", "int8")
        return str(kind) if role == "quantized" else role

    def __str__(self) -> str:
        files = f"files: {self.folder}/ (report.html, manifest.json, report.md)"
        return "\n".join([as_text(summary_rows(self.manifest), columns(self.manifest.task)), "", files, *self.notes])


def open_job(recipe: Path | None = None, out: Path | None = None, data: Path | None = None) -> Job:
    """Load a recipe (None: the embedded one) and find the places of its data.

    out: the folder of the artifacts, out/<name> if not given. data: a folder in which data paths are looked up, after
    the recipe's own. Raises RecipeError.
    """
    loaded = load_recipe(recipe or default_recipe())
    return Job(loaded, places_for(loaded.path.parent, data), out or Path("out") / loaded.name)


def convert(
    recipe: Union[str, Path, None] = None,
    *,
    out: Union[str, Path, None] = None,
    data: Union[str, Path, None] = None,
    progress: Progress = Reporter(),  # noqa: B008  # it holds nothing
) -> Run:
    """Build, calibrate, quantize, export, verify and evaluate the model of a recipe, and gate it.

    recipe: a .toml file; None: the embedded default. out: the folder to write, default out/<name>; a stage that is up
    to date there does not run. data: a folder in which the recipe's data paths are looked up too. A FAIL of the gate is
    in Run.gate and raises nothing. Raises RecipeError, DataError, ArtifactError and ConversionError as the stages do.
    """
    paths = (None if each is None else Path(each) for each in (recipe, out, data))
    return convert_job(open_job(*paths), progress)


def convert_job(job: Job, reporter: Progress) -> Run:
    """Run the whole chain of a job; the errors are those of convert()."""
    run_chain(job.recipe, job.places, job.folder, reporter)
    parity = load_parity(job.path("parity"))
    notes = [f"kit for TFLite Micro, verified here: {job.path('micro')}/"] if job.recipe.micro else []
    notes += [f"warning: {finding.sentence}" for finding in read_findings(job.path("doctor"))]
    notes += read_skipped(job.path("left_out")).lines()
    notes += [*delegate_doubts(read_verified(job.path("verified"))), *saturation_doubts(parity), *parity.refused]
    return Run(job.folder, read_manifest(job.folder), tuple(notes))


def convert_until(job: Job, last: str, reporter: Progress, more: tuple[Stage, ...] = ()) -> None:
    """Run the chain up to the stage of this name, then more stages."""
    names = [stage.name for stage in STAGES]
    run_chain(job.recipe, job.places, job.folder, reporter, stages=(*STAGES[: names.index(last) + 1], *more))


def check_images_untrained(job: Job) -> list[Finding]:
    """Return what is wrong with the calibration images, without a model; DataError where it is fatal."""
    outside = Outside(job.recipe, job.places)
    findings = health(outside.calibration, outside.evaluation, None, job.recipe.preprocess)
    refuse_fatal(findings)
    return findings
