"""Another task: everything after the model takes metrics, answers and comparison from its row of TASKS."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.errors import DataError
from ghost_edge.core.gate.baseline import Baseline, Held, read_baseline, write_baseline
from ghost_edge.core.gate.checks import check_regression, check_run
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import Predictions
from ghost_edge.core.tasks import TASKS, check_truth, classification
from ghost_edge.core.tasks.task import Comparison
from ghost_edge.device.evaluate import EvaluationSet, load_evaluation_set, save_evaluation_set
from ghost_edge.host.accuracy.evaluate import accuracy_by_role
from ghost_edge.host.report.summary import columns

COUNT = 1000
TRUTH = np.arange(COUNT) % 10
NAME = "mAP@0.5"


def compare(reference: np.ndarray, answers: np.ndarray, truth: np.ndarray) -> Comparison:
    return dataclasses.replace(classification.compare(reference, answers, truth), metric=NAME)


@pytest.fixture(autouse=True)
def boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that counts as classification does, by another name, and reads a model's last output."""
    task = dataclasses.replace(
        TASKS["classification"],
        metrics={"map50": NAME},
        decode=lambda outputs: classification.decode(outputs[-1:]),
        score=lambda answers, truth: {"map50": float(classification.right(answers, truth).mean())},
        compare=compare,
    )
    monkeypatch.setitem(TASKS, "boxes", task)


def run(wrong: int = 0) -> Baseline:
    answers = TRUTH.astype(np.int32)
    changed = np.where(np.arange(COUNT) < wrong, (TRUTH + 1) % 10, TRUTH).astype(np.int32)
    seen = Predictions(tuple(f"{n:016x}" for n in range(COUNT)), TRUTH, {"float": answers, "quantized": changed})
    return Baseline("m", {"quantized": Held("1", 5)}, seen, {}, "", {}, {}, task="boxes")


def test_the_gate_says_the_tasks_metric() -> None:
    checks = check_run({}, run(wrong=30).predictions, Limits(max_drop=0.02), task="boxes", allow_few=True)
    assert [check.metric for check in checks] == [NAME, "agreement"]
    assert checks[0].reason.startswith(f"{NAME} dropped by 3.00%")


def test_a_baseline_keeps_its_task_and_is_compared_by_it(tmp_path: Path) -> None:
    write_baseline(run(), tmp_path / "baseline.json")
    then = read_baseline(tmp_path / "baseline.json")
    assert json.loads((tmp_path / "baseline.json").read_text())["task"] == then.task == "boxes"
    failed = [check for check in check_regression(run(wrong=30), then, Limits()) if check.reason]
    assert [check.metric for check in failed] == [NAME, "agreement"]


def test_the_boards_images_keep_their_task(tmp_path: Path) -> None:
    images = EvaluationSet(np.zeros((2, 4, 4, 1), np.uint8), TRUTH[:2], {}, "boxes")
    save_evaluation_set(images, tmp_path / "images.npz")
    read = load_evaluation_set(tmp_path / "images.npz")
    assert (read.task, [column.title for column in read.columns][2]) == ("boxes", NAME)


def test_images_of_a_task_that_is_not_known_here_are_refused(tmp_path: Path) -> None:
    images = EvaluationSet(np.zeros((2, 4, 4, 1), np.uint8), TRUTH[:2], {}, "segmentation")
    save_evaluation_set(images, tmp_path / "images.npz")
    with pytest.raises(DataError, match="is of the task 'segmentation', this ghost-edge knows classification, boxes"):
        load_evaluation_set(tmp_path / "images.npz")


def test_accuracy_and_its_table_have_the_tasks_metrics_from_all_outputs() -> None:
    scores = np.eye(10, dtype=np.float32)[TRUTH]
    found = accuracy_by_role({"float": [np.zeros_like(scores), scores]}, TRUTH, "boxes")["float"]
    assert (found.metrics, found.main) == ({"map50": 1.0}, 1.0)
    assert NAME in [column.title for column in columns("boxes")]


def test_truth_that_no_such_model_can_answer_is_refused() -> None:
    with pytest.raises(DataError, match=r"some has labels 0\.\.9, the model answers 4 classes; check"):
        check_truth(TRUTH, [np.zeros((COUNT, 4), np.float32)], "some", "boxes")
