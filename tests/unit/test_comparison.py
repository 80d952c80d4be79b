"""The gate on a folder: which answers it compares, and when it refuses to compare."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import describe
from ghost_edge.core.gate.checks import Check, check_run, open_run
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import (
    Manifest,
    Predictions,
    answers_of,
    load_predictions,
    read_manifest,
    save_predictions,
    write_manifest,
)
from ghost_edge.device.gate import gate, hold_run

Make = Callable[..., Manifest]


def check(folder: Path, *, allow_few: bool = False, **limits: float) -> list[Check]:
    manifest, predictions = open_run(folder)
    models = hold_run(folder, manifest, predictions).models
    return check_run(models, predictions, dataclasses.replace(manifest.limits, **limits), allow_few=allow_few)


def reasons(folder: Path, **options: float) -> list[str]:
    return [each.reason for each in check(folder, **options) if each.reason]


def answer(folder: Path, **answers: np.ndarray) -> None:
    """Replace the answers of these roles, as a dishonest or mistaken evaluation would, and promise the new file."""
    path = folder / "predictions.npz"
    seen = load_predictions(path)
    save_predictions(Predictions(seen.digests, seen.labels, {**seen.answers, **answers}), path)
    write_manifest(dataclasses.replace(read_manifest(folder), predictions=describe(path)), folder)


def test_the_gate_passes_a_model_without_loss(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    assert [(each.compared, each.metric, each.reason) for each in check(tmp_path)] == [
        ("quantized / float", "top-1", ""),
        ("quantized / float", "agreement", ""),
    ]


def test_the_gate_refuses_a_model_that_answers_worse(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path, wrong=30)
    drop = "top-1 dropped by 3.00% ± 1.07%; the limit is 1.00%"  # 1.959964 * sqrt(31 - 900 / 1002) / 1002
    assert reasons(tmp_path, allow_few=True)[0] == drop


def test_the_gate_refuses_answers_in_another_order(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    quantized = answers_of(load_predictions(tmp_path / "predictions.npz"), "quantized")
    answer(tmp_path, quantized=np.roll(quantized, 1))
    # labels count 0..9 round and round: every one meets its neighbour
    assert reasons(tmp_path, allow_few=True)[1] == "only 0.00% of the answers agree; the limit is 98.00%"


def test_the_gate_refuses_a_model_that_is_as_good_but_answers_otherwise(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    labels = load_predictions(tmp_path / "predictions.npz").labels
    reference, candidate = labels.astype(np.int32), labels.astype(np.int32)
    reference[:15] += 1  # each is wrong on 15 images, and on other ones
    candidate[15:30] += 1
    answer(tmp_path, float=reference, quantized=candidate)
    assert reasons(tmp_path, allow_few=True) == ["only 97.00% of the answers agree; the limit is 98.00%"]


def test_file_and_folder_mean_the_same(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path, wrong=3)
    assert check(tmp_path / "manifest.json") == check(tmp_path)


def test_a_limit_given_here_replaces_the_recipes(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path, wrong=5)
    assert reasons(tmp_path, min_agreement=0.999) == ["only 99.50% of the answers agree; the limit is 99.90%"]


def test_limits_may_be_a_table_or_an_object(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path, wrong=15)
    assert gate(tmp_path, limits=Limits(max_drop=0.5)).passed
    assert gate(tmp_path, limits={"max_drop": 0.5}).passed
    with pytest.raises(RecipeError, match=r"limits must be a table, not 0\.01"):
        gate(tmp_path, limits=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("run", [None, 3, []])
def test_what_is_no_run_is_refused(run: object) -> None:
    with pytest.raises(ArtifactError, match="is no path of a file; save it, and give its path"):
        gate(run)  # type: ignore[arg-type]


def test_a_limit_of_nothing_is_a_limit(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path, wrong=1)
    # 1 lost, 0 won of 1,000: 1.959964 * sqrt(2 - 1 / 1002) / 1002 = 0.277 points
    assert reasons(tmp_path, max_drop=0.0, allow_few=True) == ["top-1 dropped by 0.10% ± 0.28%; the limit is 0.00%"]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"min_sqnr_db": 31.0}, "SQNR is 30.5 dB; the limit is 31 dB"),  # of the manifest that make_manifest writes
        ({"max_size_bytes": 4}, "it has 5 bytes; the limit is 4"),
    ],
)
def test_noise_and_size_have_limits_where_the_recipe_names_them(
    make_manifest: Make, tmp_path: Path, limit: dict[str, float], reason: str
) -> None:
    make_manifest(tmp_path)
    assert reasons(tmp_path, **limit) == [reason]


def test_answers_of_a_changed_artifact_do_not_count(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    (tmp_path / "m_int8.tflite").write_bytes(b"modem")
    with pytest.raises(ArtifactError, match=r"m_int8\.tflite has SHA-256"):
        open_run(tmp_path)


def test_changed_predictions_are_refused(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    path = tmp_path / "predictions.npz"
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"predictions\.npz has SHA-256"):
        open_run(tmp_path)


def test_a_model_that_was_not_evaluated_cannot_be_judged(make_manifest: Make, tmp_path: Path) -> None:
    write_manifest(dataclasses.replace(make_manifest(tmp_path), predictions=None), tmp_path)
    with pytest.raises(ArtifactError, match=r"m was not evaluated; add \[evaluation\] to its recipe"):
        open_run(tmp_path)


def test_a_role_without_answers_is_named_with_those_there_are(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    with pytest.raises(ArtifactError, match="there are no answers of 'onnx'; there are float, quantized"):
        answers_of(load_predictions(tmp_path / "predictions.npz"), "onnx")


def test_arrays_that_are_no_predictions_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "predictions.npz", images=np.zeros(3))
    with pytest.raises(ArtifactError, match="holds no digests and labels; it is not a predictions file"):
        load_predictions(tmp_path / "predictions.npz")


def test_the_row_says_the_drop_in_points_with_its_margin(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path, wrong=5)
    row = check(tmp_path)[0].row()
    # 5 lost, 0 won of 1,000: 0.5 points; 1.959964 * sqrt(6 - 25 / 1002) / 1002 = 0.478 points
    assert (row["change"], row["limit"], row["verdict"]) == ("drop 0.50 ± 0.48", "1.00", "PASS")
