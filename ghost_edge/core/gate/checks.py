"""Checks of a run: each quantized model against its float model, and all models against those of a baseline."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.files import open_artifact
from ghost_edge.core.gate.baseline import Baseline, Held, Latency, say_sqnr
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.latency import ratio_of_blocks
from ghost_edge.core.manifest import Manifest, Predictions, answers_of, candidates, load_predictions, read_manifest
from ghost_edge.core.tables import Column
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.core.tasks.task import Comparison

COLUMNS = tuple(Column(key, key) for key in ("compared", "metric", "before", "now", "change", "limit", "verdict"))

ALPHA = 0.05  # false alarms of all paired tests of a run together
_ROUNDING = 1e-9  # of 200 * 0.035
_TESTED = ("float", "quantized", "int8_onnx")  # the float ONNX model answers as the float .tflite does
_SHOWN = 200  # characters of a value
_SAME_MACHINE = ("processor", "board", "kernels", "cores")


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


class _Paired(NamedTuple):
    """Outcomes of the same N images, bool [N], in the baseline and now."""

    role: str
    metric: str
    then: NDArray[np.bool_]
    now: NDArray[np.bool_]

    @property
    def changed(self) -> tuple[int, int]:
        """Numbers of images lost and won."""
        return int((self.then & ~self.now).sum()), int((~self.then & self.now).sum())


def check_regression(now: Baseline, then: Baseline, limits: Limits, *, allow_few: bool = False) -> list[Check]:
    """Return the checks of each model's accuracy, agreement, SQNR, size and latency against the baseline's.

    Raises DataError where the two saw other images, are of other tasks, or have no model in common.
    """
    if now.task != then.task:
        raise DataError(f"{now.name} is of the task {now.task}, the baseline of {then.task}; --update writes a new one")
    if now.predictions.digests != then.predictions.digests:
        raise DataError(
            f"{now.name} ({len(now.predictions.digests)} images) and the baseline, {then.name} "
            f"({len(then.predictions.digests)}), were not evaluated on the same images; a paired comparison needs "
            "one evaluation list: --update writes a new baseline"
        )
    paired = list(_paired(now, then))
    if not paired:
        raise DataError(f"the baseline has no model that {now.name} has; write a new one with --update")
    checks = [] if allow_few else check_number(now, limits)
    p_values = [loss_p(*each.changed, len(each.now), limits.max_loss) for each in paired]
    for each, p_value in zip(paired, holm(p_values)):
        checks.append(_check_paired(each, p_value, limits))
    for role, was in then.models.items():
        if role not in now.models:
            gone = "the baseline has this model, and the run has not"
            checks.append(Check(f"{role} / baseline", "model", was.sha256[:16], "", "", "", doubt=gone))
            continue
        checks += _check_file(role, now.models[role], was, limits)
        if was.latency is not None:
            checks.append(_check_latency(role, now, then, was.latency, limits.max_latency_ratio))
    return checks


def describe_changes(now: Baseline, then: Baseline) -> list[str]:
    """Return a line for each change: recipe keys, tool versions, weights, models, labels, machine.

    Values are JSON, cut: what somebody wrote into a recipe stays on its line.
    """
    sides = [
        {
            **{f"recipe {key}": value for key, value in flatten(run.recipe)},
            **{f"tool {name}": version for name, version in run.tools.items()},
            **{f"bench {name}": value for name, value in (run.bench if now.bench and then.bench else {}).items()},
            "models": ", ".join(run.models),
            "weights": run.weights_sha256[:16],
        }
        for run in (then, now)
    ]
    changes = [
        f"{' '.join(key.split())[:_SHOWN]}: {_say(sides[0].get(key))} -> {_say(sides[1].get(key))}"
        for key in sorted({*sides[0], *sides[1]})
        if sides[0].get(key) != sides[1].get(key)
    ]
    other = int((now.predictions.labels != then.predictions.labels).sum())
    return [*changes, *([f"labels: {other} of {len(now.predictions.labels)} images have another"] if other else [])]


def _say(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False).strip('"')[:_SHOWN]


def _paired(now: Baseline, then: Baseline) -> Iterator[_Paired]:
    """Yield the outcomes image by image, each by its own labels: a label swapped since counts as a wrong answer."""
    task = TASKS[now.task]
    for role in _TESTED:
        seen = then.predictions, now.predictions
        if all(role in each.answers for each in seen):
            yield _Paired(role, task.metric, *(task.right(each.answers[role], each.labels) for each in seen))
            if role != "float":
                alike = (task.same(each.answers[role], each.answers["float"]) for each in seen)
                yield _Paired(role, "agreement", *alike)


def _check_paired(paired: _Paired, p_value: float, limits: Limits) -> Check:
    then, now, fell = float(paired.then.mean()), float(paired.now.mean()), p_value < ALPHA
    chance = f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"
    reason = f"{paired.metric} fell from {then:.2%} to {now:.2%} ({chance}); the limit is {limits.max_loss:.2%}"
    return Check(
        f"{paired.role} / baseline",
        paired.metric,
        f"{then:.2%}",
        f"{now:.2%}",
        f"{(now - then) * 100:+.2f} points, {chance}",
        f"p < {ALPHA:g}" + (f", -{limits.max_loss * 100:.2f}" if limits.max_loss else ""),
        reason=reason if fell else "",
    )


def least_lost(tests: int) -> int:
    """Return how many images must be lost, and none won, for one of so many paired tests to fail."""
    return math.floor(math.log(ALPHA / tests, 0.5)) + 1  # p = 0.5 ** lost, times tests


def check_number(run: Baseline, limits: Limits) -> list[Check]:
    """Return a failed check where the images are so few that a loss of max_drop would pass as chance."""
    images, least = len(run.predictions.labels), least_lost(len(list(_paired(run, run))))
    if least <= images * limits.max_drop + _ROUNDING:
        return []
    why = f"a loss under {least / images:.2%} would go unseen, and max_drop is {limits.max_drop:.2%}"
    reason = too_few(images, why, least / limits.max_drop if limits.max_drop else math.inf)
    return [Check("all / baseline", "images", "", f"{images}", "", f"{least} lost", reason=reason)]


def _check_file(role: str, now: Held, then: Held, limits: Limits) -> list[Check]:
    compared, ratio = f"{role} / baseline", now.size_bytes / then.size_bytes
    grown = f"it grew from {then.size_bytes:,} to {now.size_bytes:,} bytes; the limit is {limits.max_size_ratio:g}x"
    reason = grown if ratio > limits.max_size_ratio else ""
    sizes = f"{then.size_bytes:,}", f"{now.size_bytes:,}", f"{ratio:.3f}x", f"{limits.max_size_ratio:g}x"
    checks = [Check(compared, "bytes", *sizes, reason=reason)]
    if not role.startswith("float"):  # float models differ by the order of their sums alone
        checks.append(_check_noise(compared, now.sqnr_db, then.sqnr_db, limits.max_sqnr_loss_db))
    return checks


def _check_noise(compared: str, now: Optional[float], then: Optional[float], limit: float) -> Check:
    words = say_sqnr(then), say_sqnr(now)
    change = None if now is None or then is None else now - then
    is_worse = now is not None and (then is None or then - now > limit)
    fell = f"SQNR fell from {words[0].removesuffix(' dB')} to {words[1]}; it may fall by {limit:g} dB"
    told = f"{change:+.1f} dB" if change is not None else ""
    return Check(compared, "SQNR", *words, told, f"-{limit:.1f} dB", reason=fell if is_worse else "")


def _check_latency(role: str, now: Baseline, then: Baseline, old: Latency, limit: float) -> Check:
    new, compared = now.models[role].latency, f"{role} / baseline"
    values = f"{old.median_ms:.3f} ms", f"{new.median_ms:.3f} ms" if new else ""
    unlike = [key for key in _SAME_MACHINE if now.bench.get(key) != then.bench.get(key)]
    unlike += ["threads"] if new and new.threads != old.threads else []
    if new is None or unlike:
        why = f"{', '.join(unlike)} not as in the baseline" if unlike else "none were measured"
        return Check(compared, "latency", *values, "", f"{limit:g}x", doubt=f"times are not compared: {why}")
    processes, ratio = min(new.processes, old.processes), new.median_ms / old.median_ms
    low, high = ratio_of_blocks(np.array(new.block_ns), np.array(old.block_ns), processes) or (0.0, math.inf)
    change = f"{ratio:.2f}x ({low:.2f} to {high:.2f})"
    slower = f"latency is {change} of the baseline's; the limit is {limit:g}x"
    doubt = f"{slower}: bench both with --rounds 6 or more" if low <= limit < ratio else ""
    return Check(compared, "latency", *values, change, f"{limit:g}x", slower if low > limit else "", doubt)


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of nested tables in one level: [network] width = 0.5 is ("network.width", 0.5)."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def mcnemar_p(lost: int, won: int) -> float:
    """Return the one-sided exact p-value of "nothing is lost": P(lost or more of lost + won fair coins).

    McNemar's test for paired proportions (Psychometrika 12, 1947), with the binomial distribution itself.
    """
    count = lost + won
    term = tail = math.comb(count, lost)
    for index in range(lost, count):
        term = term * (count - index) // (index + 1)
        tail += term
    return float(tail / 2**count)


def loss_p(lost: int, won: int, count: int, limit: float) -> float:
    """Return the one-sided p-value of "no more than the fraction `limit` of `count` images is lost".

    limit 0: mcnemar_p(). Over 0: the normal approximation with Agresti & Min's variance for paired proportions.
    """
    if limit == 0:
        return mcnemar_p(lost, won)
    variance = (lost + won + 1) - (lost - won) ** 2 / (count + 2)
    return 0.5 * math.erfc((lost - won - count * limit) / math.sqrt(2 * variance))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the Holm-adjusted p-values (family-wise error rate 5 % where those under 0.05 count).

    Holm's step-down (Scandinavian Journal of Statistics 6, 1979); needs no independence.
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted


@dataclasses.dataclass(frozen=True)
class Check:
    """Number of a model against its limit, as text with units.

    reason: why it fails, empty where it passes. doubt: what could not be compared.
    """

    compared: str
    metric: str
    before: str
    now: str
    change: str
    limit: str
    reason: str = ""
    doubt: str = ""

    def row(self) -> dict[str, Any]:
        """Return the check as a row of COLUMNS."""
        return {**vars(self), "verdict": "FAIL" if self.reason else "not compared" if self.doubt else "PASS"}


def check_accuracy(
    found: Comparison, limits: Limits, *, compared: str = "", allow_few: bool = False
) -> tuple[Check, Check]:
    """Return the checks of drop and agreement; the first fails also where the images are too few to see the drop.

    Images are too few when the 95 % margin is wider than max_drop: a model without any loss would then fail,
    or one with twice the allowed loss pass, by luck alone. allow_few compares all the same.
    """
    few = ""
    if found.margin > limits.max_drop and not allow_few:
        # the margin falls with the root of their number, if they differ as often as these
        needed = found.images * (found.margin / limits.max_drop) ** 2 if limits.max_drop else math.inf
        wider = f"the margin of {found.margin:.2%} is wider than the limit of {limits.max_drop:.2%}"
        few = too_few(found.images, wider, needed)
    drop = f"{found.drop:.2%} ± {found.margin:.2%}"
    fell = f"{found.metric} dropped by {drop}; the limit is {limits.max_drop:.2%}"
    agree = f"only {found.agreement:.2%} of the answers agree; the limit is {limits.min_agreement:.2%}"
    values = f"{found.reference:.2%}", f"{found.value:.2%}"
    change = f"drop {found.drop * 100:.2f} ± {found.margin * 100:.2f}", f"{limits.max_drop * 100:.2f}"
    reason = "; ".join(filter(None, (few, fell if found.drop > limits.max_drop else "")))
    agreement = "", f"{found.agreement:.2%}", "", f"{limits.min_agreement:.2%}"
    return (
        Check(compared, found.metric, *values, *change, reason),
        Check(compared, "agreement", *agreement, agree if found.agreement < limits.min_agreement else ""),
    )


def too_few(images: int, why: str, needed: float) -> str:
    """Return the sentence for images that are too few, with the number that would do."""
    wanted = f"about {math.ceil(needed)}" if math.isfinite(needed) else "no finite number"
    return f"{images} images are too few: {why}; {wanted} would do, or --allow-few"
