"""Paired comparison: numbers worked out by hand, and an interval that holds what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ghost_edge.core.errors import DataError
from ghost_edge.core.tasks.classification import TASK, compare, decode, score
from ghost_edge.core.tensor import sqnr_db

# 10 images of class 0: the reference is right on 0..7, the candidate on 0..5 and on 8
LABELS = np.zeros(10, np.int64)
REFERENCE = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
CANDIDATE = np.array([0, 0, 0, 0, 0, 0, 1, 2, 0, 1])


def test_the_drop_counts_images_lost_less_images_won() -> None:
    assert compare(REFERENCE, CANDIDATE, LABELS).drop == pytest.approx((2 - 1) / 10)


def test_agreement_counts_equal_answers_right_or_wrong() -> None:
    assert compare(REFERENCE, CANDIDATE, LABELS).agreement == pytest.approx(7 / 10)


def test_the_margin_is_agresti_and_mins() -> None:
    # 2 lost, 1 won, half an image added to each of four cells: sqrt(2.5 + 1.5 - (2.5 - 1.5)^2 / 12) / 12 * 1.96
    expected = 1.959964 * math.sqrt(4 - 1 / 12) / 12
    assert compare(REFERENCE, CANDIDATE, LABELS).margin == pytest.approx(expected)


def test_equal_answers_still_have_a_margin() -> None:
    drop = compare(REFERENCE, REFERENCE, LABELS)
    assert (drop.drop, drop.agreement) == (0, 1)
    assert drop.margin == pytest.approx(1.959964 / 12)


def test_the_interval_covers_the_true_drop_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    lost, won, count = 0.03, 0.02, 1000
    labels, covered = np.zeros(count, np.int64), 0
    for _ in range(1000):
        fate = rng.random(count)
        reference = np.where((fate >= lost) & (fate < lost + won), 1, 0)
        candidate = np.where(fate < lost, 1, 0)
        drop = compare(reference, candidate, labels)
        covered += abs(drop.drop - (lost - won)) <= drop.margin
    assert 930 <= covered <= 980  # 95 % of 1,000 within three standard errors of 0.7 %, and not far above


@pytest.mark.parametrize("count", [0, 9])
def test_answers_for_other_images_are_refused(count: int) -> None:
    with pytest.raises(DataError, match="both models must see the same images"):
        compare(REFERENCE, CANDIDATE[:count], LABELS[:count])


def test_shuffled_answers_lose_their_agreement() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 10
    assert compare(labels, rng.permutation(labels), labels).agreement < 0.2


def scores(logits: np.ndarray, *labels: int) -> tuple[float, float]:
    found = score(decode([logits]), np.array(labels))
    return found["top1"], found["top5"]


def test_top_1_and_top_5_count_labels_among_the_highest() -> None:
    logits = np.tile(np.array([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], np.float32), (4, 1))
    assert scores(logits, 0, 1, 4, 5) == (1 / 4, 3 / 4)


def test_the_answers_are_the_five_classes_with_the_highest_scores_best_first() -> None:
    answers = decode([np.array([[0.1, 0.5, 0.4, 0.0, 0.3, 0.2]], np.float32)])
    assert (answers.tolist(), answers.dtype) == ([[1, 2, 4, 5, 0]], np.int32)


def test_what_is_kept_of_an_answer_is_its_first_class() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    assert np.array_equal(TASK.keep(decode([logits])), logits.argmax(axis=1))


def test_whole_answers_compare_as_what_is_kept_of_them() -> None:
    rng = np.random.default_rng(0)
    labels, (first, second) = np.arange(100) % 10, (decode([rng.normal(size=(100, 10))]) for _ in range(2))
    assert compare(first, second, labels) == compare(TASK.keep(first), TASK.keep(second), labels)


def test_packed_answers_and_labels_come_back() -> None:
    labels = TASK.unpack(TASK.pack(LABELS, None), None)
    answers = TASK.unpack(TASK.pack(CANDIDATE.astype(np.int32), labels), labels)
    assert (labels.tolist(), answers.tolist()) == (LABELS.tolist(), CANDIDATE.tolist())
    assert (labels.dtype, answers.dtype) == (np.int64, np.int32)


def test_packed_answers_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="9 answers for 10 labels"):
        TASK.unpack(TASK.pack(CANDIDATE[:9], LABELS[:9]), LABELS)


def test_the_comparison_says_which_metric_it_compares() -> None:
    found = compare(REFERENCE, CANDIDATE, LABELS)
    assert (found.metric, found.reference, found.value) == ("top-1", 0.8, 0.7)


def test_sqnr_is_the_ratio_of_powers_in_decibels() -> None:
    reference = np.full((4, 4), 10, np.float32)
    assert sqnr_db(reference, reference + 1) == pytest.approx(20)


def test_a_halved_scale_shows_as_6_db() -> None:
    reference = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    assert sqnr_db(reference, reference / 2) == pytest.approx(20 * math.log10(2))


def test_equal_logits_have_no_noise() -> None:
    assert sqnr_db(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)) == math.inf


def test_a_tie_goes_to_the_lower_class() -> None:
    logits = np.array([[0.5, 0.5, 0.1]], np.float32)
    assert [scores(logits, label)[0] for label in (0, 1)] == [1, 0]


def test_a_tie_at_the_edge_of_the_five_highest_goes_to_the_lower_class() -> None:
    logits = np.zeros((1, 10), np.float32)  # an int8 output often answers many equal values
    assert [scores(logits, label)[1] for label in (4, 5)] == [1, 0]


def test_top_5_of_fewer_classes_is_always_right() -> None:
    assert scores(np.zeros((2, 3), np.float32), 0, 2)[1] == 1


def test_noise_without_a_signal_is_infinitely_loud() -> None:
    assert sqnr_db(np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)) == -math.inf


def test_a_true_drop_is_outside_an_interval_that_is_half_as_wide() -> None:
    # says no: with half the margin the interval would hold the true drop far less than 95 times in 100
    rng = np.random.default_rng(0)
    labels, covered = np.zeros(1000, np.int64), 0
    for _ in range(1000):
        fate = rng.random(1000)
        reference = np.where((fate >= 0.03) & (fate < 0.05), 1, 0)
        drop = compare(reference, np.where(fate < 0.03, 1, 0), labels)
        covered += abs(drop.drop - 0.01) <= drop.margin / 2
    assert covered < 800
