"""Stages evaluate, gate and bench: how well and how fast each model answers, and whether that is good enough."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DeviceError
from ghost_edge.core.files import damage, read_document, sha256_file, write_json
from ghost_edge.core.gate.baseline import Held
from ghost_edge.core.gate.checks import check_run
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import (
    Accuracy,
    Predictions,
    accuracy_table,
    load_predictions,
    parse_accuracy,
    save_predictions,
)
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Count, Say, run_in_threads
from ghost_edge.core.tasks import TASKS, check_truth
from ghost_edge.device.evaluate import predict_all
from ghost_edge.host.accuracy.evaluate import accuracy_by_role, save_disagreements
from ghost_edge.host.chain.stage import Models, Outside
from ghost_edge.host.datasets import Images


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """The evaluation images, None without [evaluation]; label_offset is added to their labels. task: name in TASKS."""

    evaluation: Images | None
    label_offset: int
    preprocess: Preprocess
    task: str


@dataclasses.dataclass(frozen=True)
class EvaluateOutputs:
    """Answers by image, accuracy by model, and images on which float and quantized disagree; None: not evaluated."""

    predictions: Path | None
    accuracy: Path | None
    disagreements: Path | None


def evaluate(inputs: Models, settings: EvaluateSettings, outputs: EvaluateOutputs, say: Say) -> EvaluateOutputs:
    """Let every model answer the evaluation images, and compare the answers one by one."""
    if settings.evaluation is None:
        return EvaluateOutputs(None, None, None)
    assert outputs.predictions and outputs.accuracy and outputs.disagreements
    dataset, models, task = settings.evaluation.dataset, inputs.by_role, TASKS[settings.task]
    labels = dataset.labels + settings.label_offset

    def answer(path: Path, count: Count) -> list[NDArray[np.float32]]:
        return predict_all(path, dataset.images, settings.preprocess, say=count)

    found = run_in_threads({role: functools.partial(answer, path) for role, path in models.items()}, say)
    check_truth(labels, found["float"], dataset.name, settings.task)
    answers = {role: task.keep(task.decode(each)) for role, each in found.items()}
    save_predictions(Predictions(settings.evaluation.digests, labels, answers), outputs.predictions)
    accuracy = accuracy_by_role(found, labels, settings.task)
    write_json({role: accuracy_table(entry) for role, entry in accuracy.items()}, outputs.accuracy)
    save_disagreements(dataset.images, labels, found["float"][0], found["quantized"][0], outputs.disagreements)
    return outputs


def read_accuracy(path: Path) -> dict[str, Accuracy]:
    """Read accuracy.json: the accuracy of each model, by role."""
    tables = read_document(path, dict[str, dict[str, Any]])
    with damage(str(path)):
        return {role: parse_accuracy(table) for role, table in tables.items()}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """gate.json: the gate's verdict on the quantized models, with a reason for each limit that is not met."""

    passed: bool
    reasons: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class GateInputs(Models):
    """The models, their answers and their accuracy; None: not evaluated."""

    predictions: Path | None
    accuracy: Path | None


@dataclasses.dataclass(frozen=True)
class GateSettings:
    """[gate], and the task, a name in TASKS."""

    gate: Limits
    task: str


@dataclasses.dataclass(frozen=True)
class GateOutputs:
    """gate.json, a Verdict; None: not evaluated."""

    verdict: Path | None


def gate(inputs: GateInputs, settings: GateSettings, outputs: GateOutputs, say: Say) -> GateOutputs:
    """Compare the quantized models with the limits, and keep the verdict as a file: a FAIL must not cost the build."""
    if inputs.predictions is None or inputs.accuracy is None or outputs.verdict is None:
        return GateOutputs(None)
    accuracy = read_accuracy(inputs.accuracy)
    models = {
        role: Held(sha256_file(path), path.stat().st_size, accuracy[role].sqnr_db)
        for role, path in inputs.by_role.items()
    }
    checks = check_run(models, load_predictions(inputs.predictions), settings.gate, task=settings.task)
    reasons = tuple(f"{check.compared}: {check.reason}" for check in checks if check.reason)
    write_json(dataclasses.asdict(Verdict(not reasons, reasons)), outputs.verdict)
    return outputs


@dataclasses.dataclass(frozen=True)
class Machine:
    """The machine that times are measured on, as settings: another one measures again."""

    node: str
    processor: str
    cores: int | None


@dataclasses.dataclass(frozen=True)
class BenchOutputs:
    """latency.json, the output of `ghost-edge bench --json -`."""

    latency: Path


def this_machine(outside: Outside) -> Machine:
    """Return the machine that this process runs on."""
    return Machine(platform.node(), platform.machine(), os.cpu_count())


def bench(inputs: Models, settings: Machine, outputs: BenchOutputs, say: Say) -> BenchOutputs:
    """Time each model by the command that measures on the board, in a process without TensorFlow."""
    files = list(map(str, inputs.by_role.values()))
    limits = ("--seconds", "0.2", "--max-seconds", "0.5")
    command = [sys.executable, "-m", "ghost_edge", "bench", *files, *limits, "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DeviceError(f"an artifact does not run here: {reason}")
    write_json(json.loads(done.stdout), outputs.latency)
    return outputs
