"""Search for the cheapest mixed precision (int8 and a wider one) that is as accurate as asked."""

from __future__ import annotations

import dataclasses
import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, select
from ghost_edge.core.errors import GateError, RecipeError
from ghost_edge.core.files import read_document, write_json
from ghost_edge.core.latency import TimeRatio, time_ratio
from ghost_edge.core.manifest import Accuracy, accuracy_table, parse_accuracy
from ghost_edge.core.preprocess import prepare_all
from ghost_edge.core.progress import Say, part
from ghost_edge.core.tables import as_text
from ghost_edge.device.bench import alternate
from ghost_edge.device.evaluate import predict_all, predict_inputs
from ghost_edge.host.accuracy.evaluate import accuracy_by_role
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import Ranges, load_observed
from ghost_edge.host.chain.stage import Outside, Stage
from ghost_edge.host.chain.stages import quantize as stage
from ghost_edge.host.datasets import Images
from ghost_edge.host.quantization.mixed import PRECISIONS, Mixed, Span, quantize
from ghost_edge.host.quantization.refine import Refinement, find_refinements, hold_back, keep_better
from ghost_edge.host.recipe.schema import Choice, Recipe, require
from ghost_edge.host.report.summary import accuracy_cells, columns
from ghost_edge.host.tflite.activations import Input, predict_content
from ghost_edge.host.tflite.graph import Model, read_model

Floats = NDArray[np.float64]
Plan = tuple[bool, ...]  # True for each segment that leaves int8
Measure = Callable[[Path], Accuracy]
REPORT = "mixed.json"
_ROUNDS, _TOGETHER = 20, 12  # turns of each file, and files that are open at once
_PRICED = 40  # turns for the price in the report
_IMAGES = 64  # for the noise of one segment
_SEARCH = 0.8  # share of the progress bar before plans are compared with the target


@dataclasses.dataclass(frozen=True)
class Target:
    """Least accuracy against float: shares of answers, or decibels of the logits; None: not asked."""

    min_agreement: Optional[float] = None
    max_drop: Optional[float] = None
    min_sqnr_db: Optional[float] = None

    def is_met(self, got: Accuracy) -> bool:
        """Return True where the accuracy reaches everything that was asked."""
        sqnr_db = math.inf if got.sqnr_db is None else got.sqnr_db
        return (
            (self.min_agreement is None or got.agreement >= self.min_agreement)
            and (self.max_drop is None or got.drop <= self.max_drop)
            and (self.min_sqnr_db is None or sqnr_db >= self.min_sqnr_db)
        )


@dataclasses.dataclass(frozen=True)
class MixInputs:
    """The float .tflite to quantize, the histograms of its activations, and the int8 .tflite."""

    source: Path
    ranges: Path
    quantized: Path


@dataclasses.dataclass(frozen=True)
class MixSettings:
    """Settings of the search; board: a key of TARGETS, None for any. evaluation: images that decide and measure."""

    target: Target
    board: Optional[str]
    quantize: stage.QuantizeSettings
    evaluation: Images
    label_offset: int


@dataclasses.dataclass(frozen=True)
class MixOutputs:
    """<name>_mixed.tflite and mixed.json."""

    mixed: Path
    mix_report: Path


@dataclasses.dataclass(frozen=True)
class MixModel:
    """A file of the comparison; accuracy: accuracy_table() of it on images that decided nothing."""

    file: str
    size_bytes: int
    median_ms: float
    accuracy: dict[str, Optional[float]]


@dataclasses.dataclass(frozen=True)
class MixReport:
    """mixed.json. spans: operations that leave int8 for `precision`: `operations` of them, out of `of`.

    images: number of those that decided nothing; deciding: accuracy on the others. models: int8, then mixed; time: of
    the mixed file over the int8 file.
    """

    precision: str
    spans: tuple[Span, ...]
    operations: int
    of: int
    images: int
    deciding: dict[str, Optional[float]]
    models: tuple[MixModel, ...]
    time: TimeRatio
    board: Optional[str]


def mix_stage(recipe: Recipe, target: Target) -> Stage:
    """Return a stage that follows `quantize` and writes <name>_mixed.tflite and mixed.json.

    Raises RecipeError where the recipe is not of an int8 model or has no evaluation images.
    """
    if recipe.quantization.kind != "int8":
        raise RecipeError(
            f'mixed precision starts from [quantization] kind = "int8", not "{recipe.quantization.kind}"; '
            "change the kind"
        )
    require(recipe.evaluation, "evaluation", "a target")

    def settings(outside: Outside) -> MixSettings:
        assert outside.evaluation is not None, "required above"
        quantize = dataclasses.replace(outside.settings(stage.QuantizeSettings), onnx=None)
        return MixSettings(target, recipe.target, quantize, outside.evaluation, outside.label_offset)

    return Stage(
        "mix", find_mix, ("litert-quantizer", "ai-edge-litert", "numpy", "Pillow"), version=2, own_settings=settings
    )


def find_mix(inputs: MixInputs, settings: MixSettings, outputs: MixOutputs, say: Say) -> MixOutputs:
    """Write the file of the cheapest plan that meets the target, and its gain and price.

    Every second evaluation image decides; accuracy is measured on the others. Raises GateError where no plan is
    enough, with the best accuracy that was reached.
    """
    dataset = settings.evaluation.dataset
    decide, measure = (
        _measure_on(inputs.source, settings, select(dataset, range(first, len(dataset), 2))) for first in (0, 1)
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = _first_that_reaches(_open_benches(inputs, settings, Path(folder), say), settings.target, decide)
        plans = (*cheapest_plans(*_price(bench)), bench.everything)
        options = bench.options(_first_that_meets(bench, plans, settings.target, decide))
    stage.quantize(
        stage.QuantizeInputs(inputs.source, inputs.ranges),
        dataclasses.replace(settings.quantize, quantization=Choice("mixed", options)),
        stage.QuantizeOutputs(outputs.mixed, None),
        say,
    )
    left, files = getattr(options, bench.precision), (inputs.quantized, outputs.mixed)
    times = alternate(files, rounds=_PRICED)
    report = MixReport(
        precision=bench.precision,
        spans=left,
        operations=sum(last - first + 1 for first, last in left),
        of=bench.parts[-1][1] + 1,
        images=len(dataset) // 2,
        deciding=accuracy_table(decide(outputs.mixed)),
        models=tuple(
            MixModel(path.name, path.stat().st_size, time.median_ms, accuracy_table(measure(path)))
            for path, time in zip(files, times)
        ),
        time=time_ratio(*times[::-1], rounds=_PRICED),
        board=settings.board,
    )
    write_json(dataclasses.asdict(report), outputs.mix_report)
    return outputs


def describe_mix(path: Path) -> str:
    """Return mixed.json as text: table, price, and the lines of a recipe that convert to this file."""
    found = read_document(path, MixReport, written_by="ghost-edge quantize")
    if not found.spans:
        return "int8 alone meets the target: the recipe may stay as it is"
    time, rows = found.time, [{**vars(each), **accuracy_cells(parse_accuracy(each.accuracy))} for each in found.models]
    price = f"{time.ratio:.2f} times int8's latency here (quartiles {time.low:.2f} to {time.high:.2f})"
    doubt = "zynq7000: float32 dies there and was not tried; int8 has no XNNPACK there: bench both files on the board"
    return "\n".join(
        [
            as_text(rows, columns()),
            f"measured on {found.images} images that decided nothing; agreement on those that decided: "
            f"{parse_accuracy(found.deciding).agreement:.2%}",
            f"{found.operations} of {found.of} operations leave int8 for {found.precision}: {price}",
            *([doubt] if found.board == "zynq7000" else []),
            "for convert, in the recipe:",
            "[quantization]",
            'kind = "mixed"',
            f"{found.precision} = {[list(span) for span in found.spans]}",
        ]
    )


@dataclasses.dataclass(frozen=True)
class _Bench:
    """Maker of files from plans. precision: of operations that leave int8; parts: first and last operation of each."""

    source: Model
    settings: MixSettings
    say: Say
    ranges: Ranges
    steps: Sequence[Refinement]
    parts: tuple[Span, ...]
    folder: Path
    precision: str

    @property
    def held(self) -> Sequence[Input]:
        """The calibration inputs that no refinement is fitted to."""
        return hold_back(_calibration_inputs(self.settings))

    @property
    def everything(self) -> Plan:
        """Plan in which nothing stays in int8."""
        return (True,) * len(self.parts)

    def options(self, plan: Plan) -> Mixed:
        """Return the options with which convert makes the file of a plan."""
        mixed = Mixed(**dataclasses.asdict(self.settings.quantize.quantization.options))
        return dataclasses.replace(mixed, **{self.precision: spans(plan, self.parts)})  # type: ignore[arg-type]

    def make(self, plan: Plan) -> Path:
        """Return the file of a plan with every refinement, made once."""
        path = self.folder / f"{self.precision}{''.join(str(int(leaves)) for leaves in plan)}.tflite"
        if not path.exists():
            content = quantize(self.options(plan), self.source, self.ranges)
            for _, refine in self.steps:
                content = refine(content)
            path.write_bytes(content)
        return path

    def make_final(self, plan: Plan) -> Path:
        """Return the file that convert makes of a plan, with only the refinements that help."""
        path = self.folder / "final.tflite"
        content = quantize(self.options(plan), self.source, self.ranges)
        path.write_bytes(keep_better(content, self.source, self.steps, self.held, self.say))
        return path


def _open_benches(inputs: MixInputs, settings: MixSettings, folder: Path, say: Say) -> list[_Bench]:
    """Return one for each precision, first the one that runs the whole network fastest here.

    A Cortex-A9 gets no float32 (see docs/how-to/board.md).
    """
    source, quantize = read_model(inputs.source), settings.quantize
    steps = find_refinements(source, _calibration_inputs(settings), quantize.quantization.options, part(say, 0.0, 0.5))
    ranges = ESTIMATORS[quantize.estimator](load_observed(inputs.ranges), source)
    precisions = PRECISIONS[1:] if settings.board == "zynq7000" else PRECISIONS
    benches = [_Bench(source, settings, say, ranges, steps, segments(source), folder, each) for each in precisions]
    times = alternate([bench.make(bench.everything) for bench in benches], rounds=_ROUNDS)
    return [bench for bench, _ in sorted(zip(benches, times), key=lambda pair: pair[1].median_ms)]


def _calibration_inputs(settings: MixSettings) -> Sequence[Input]:
    return prepare_all(settings.quantize.calibration.dataset.images, settings.quantize.preprocess)


def _first_that_reaches(benches: Sequence[_Bench], target: Target, measure: Measure) -> _Bench:
    """Return the first bench that meets the target with every operation in its precision."""
    reached = []
    for bench in benches:
        got = measure(bench.make_final(bench.everything))
        if target.is_met(got):
            return bench
        weights = " and int8 weights" if bench.precision == "int16" else ""
        reached.append(
            f"with every operation in {bench.precision}{weights} {got.agreement:.2%} of the answers agree, top-1 drops "
            f"by {got.drop:.2%}, the SQNR is {math.inf if got.sqnr_db is None else got.sqnr_db:.1f} dB"
        )
    raise GateError(f"no mixed precision is enough: {'; '.join(reached)}; ask for less, or set adapt_rounding = true")


def _price(bench: _Bench) -> tuple[Floats, Floats, Floats]:
    """Measure noise of each segment in int8 alone, its cost of leaving, and the cost of each cut: cheapest_plans()."""
    count = len(bench.parts)
    steps = [tuple(number >= first for number in range(count)) for first in range(count)]
    steps += [tuple(number < last for number in range(count)) for last in range(1, count)]
    times: list[float] = []
    for start in range(0, len(steps), _TOGETHER):
        some = steps[start : start + _TOGETHER]
        int8, *others = alternate([bench.make(plan) for plan in ((False,) * count, *some)], rounds=_ROUNDS)
        times += [other.median_ms / int8.median_ms for other in others]
        bench.say(_SEARCH / 2 * len(times) / len(steps), f"{len(times)} of {len(steps)} plans timed")
    inputs, powers = bench.held[:_IMAGES], []
    reference = predict_content(bench.source.content, inputs)
    for alone in range(-1, count):  # first with no segment in int8
        logits = predict_inputs(bench.make(tuple(number != alone for number in range(count))), inputs)
        bench.say(_SEARCH / 2 * (1 + (alone + 2) / (count + 1)), f"noise of segment {alone + 1} of {count}")
        powers.append(np.square(logits.astype(np.float64) - reference).mean())
    return np.maximum(np.array(powers[1:]) - powers[0], 0), *fit_times(steps, times)


def _first_that_meets(bench: _Bench, plans: Sequence[Plan], target: Target, measure: Measure) -> Plan:
    """Bisect the plans, which come cheapest and noisiest first; the last is known to be enough."""
    low, high = 0, len(plans) - 1
    while low < high:
        middle = (low + high) // 2
        bench.say(1 - (1 - _SEARCH) * (high - low) / len(plans), f"{high - low} plans to choose from")
        met = target.is_met(measure(bench.make_final(plans[middle])))
        low, high = (low, middle) if met else (middle + 1, high)
    return plans[high]


def _measure_on(source: Path, settings: MixSettings, images: Dataset) -> Measure:
    """Return a function that measures a file's accuracy on these images against the float model's."""
    preprocess, labels = settings.quantize.preprocess, images.labels + settings.label_offset
    reference = predict_all(source, images.images, preprocess)

    def measure(path: Path) -> Accuracy:
        made = predict_all(path, images.images, preprocess)
        return accuracy_by_role({"float": reference, "mixed": made}, labels)["mixed"]

    return measure


def segments(graph: Model) -> tuple[Span, ...]:
    """Return first and last operation of each part between two activations through which everything passes.

    Only there a change of precision costs one operation; a bottleneck with its shortcut is never cut.
    """
    read_last = {index: number for number, each in enumerate(graph.operations) for index in each.inputs}
    ends, alive = [], set(graph.inputs)
    for number, operation in enumerate(graph.operations):
        alive = {index for index in alive | set(operation.outputs) if read_last.get(index, -1) > number}
        if len(alive) == 1:
            ends.append(number)
    last = len(graph.operations) - 1
    ends = [end for end in ends if end < last] + [last]
    return tuple(zip([0, *(end + 1 for end in ends[:-1])], ends))


def fit_times(plans: Sequence[Plan], times: Sequence[float]) -> tuple[Floats, Floats]:
    """Fit the cost of leaving int8 for each segment, [segments], and of each change of precision, [segments - 1].

    times: latencies of files made by the plans, in units of the int8 file's. Least squares.
    """
    rows = [[*plan, *(left != right for left, right in itertools.pairwise(plan))] for plan in plans]
    found = np.linalg.lstsq(np.asarray(rows, np.float64), np.asarray(times) - 1, rcond=None)[0]
    return found[: len(plans[0])], np.maximum(found[len(plans[0]) :], 0)


def cheapest_plans(noise: Floats, extra: Floats, changes: Floats) -> tuple[Plan, ...]:
    """Return the plans that no other beats in both latency and noise, cheapest first, by a price on noise.

    noise: power that each segment adds in int8, [segments]; extra, changes: by fit_times(). Noise of segments adds
    up while it is small. Plans between two on the convex hull are left out (Lagrange relaxation).
    """
    scale = max(float(np.abs(extra).sum()), 1e-9) / max(float(noise.sum()), 1e-30)
    prices = (0.0, *np.geomspace(1e-4, 1e4, 400) * scale)
    return tuple(dict.fromkeys(_cheapest(price * noise, extra, changes) for price in prices))


def _cheapest(stay: Floats, leave: Floats, changes: Floats) -> Plan:
    """Find the cheapest plan by Viterbi's algorithm: each segment stays in int8 or leaves it."""
    costs = [float(stay[0]), float(leave[0])]
    paths: list[Plan] = [(False,), (True,)]
    for number in range(1, len(stay)):
        change = float(changes[number - 1])
        steps = []
        for state, cost in ((False, float(stay[number])), (True, float(leave[number]))):
            before = min((False, True), key=lambda other: costs[other] + change * (other != state))
            steps.append((costs[before] + change * (before != state) + cost, (*paths[before], state)))
        costs, paths = [cost for cost, _ in steps], [path for _, path in steps]
    return paths[int(costs[1] < costs[0])]


def spans(plan: Plan, parts: Sequence[Span]) -> tuple[Span, ...]:
    """Join neighbouring segments that leave int8 into spans of operations."""
    joined = []
    for leaves, group in itertools.groupby(zip(plan, parts), key=lambda pair: pair[0]):
        members = [part for _, part in group]
        if leaves:
            joined.append((members[0][0], members[-1][1]))
    return tuple(joined)
