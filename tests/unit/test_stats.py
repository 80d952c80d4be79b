"""LatencyStats on recorded and made samples: never on the clock."""

from __future__ import annotations

import numpy as np
import pytest

from ghost_edge.core.latency import doubts, summarise

# 40 runs of mlperf_tiny_vww96_int8.tflite, LiteRT 2.3.0, one thread, an idle x86 core, in microseconds.
QUIET_US = [125, 125, 126, 125, 124, 125, 125, 127, 125, 125, 124, 125, 126, 125, 125, 125, 124, 125, 125, 126] * 2


def nanoseconds(microseconds: list[float]) -> list[int]:
    return [int(value * 1000) for value in microseconds]


def test_the_summary_is_that_of_a_hand_count() -> None:
    stats = summarise([1_000_000, 2_000_000, 3_000_000, 4_000_000, 100_000_000])
    assert (stats.runs, stats.median_ms, stats.mad_ms, stats.min_ms, stats.mean_ms) == (5, 3.0, 1.0, 1.0, 22.0)
    assert stats.p90_ms == pytest.approx(4 + 0.6 * 96)  # linear between the 4th and the 5th of 5 samples
    assert stats.frames_per_second == pytest.approx(1000 / 3)


def test_every_sample_is_kept_in_its_order() -> None:
    assert summarise([3, 1, 2]).samples_ns == (3, 1, 2)


def test_no_samples_are_our_bug() -> None:
    with pytest.raises(AssertionError, match="no samples"):
        summarise([])


def test_quiet_samples_raise_no_doubt() -> None:
    assert doubts(summarise(nanoseconds(QUIET_US))) == ()


def test_one_slow_run_raises_no_doubt() -> None:
    assert doubts(summarise(nanoseconds([*QUIET_US[:20], 900, *QUIET_US[20:]]))) == ()


def test_two_speeds_taking_turns_are_named() -> None:
    (found,) = doubts(summarise(nanoseconds([100, 130] * 30)))
    assert found.startswith("two speeds: 50% of the runs take 1.30x the others")


def test_a_slow_fifth_of_the_runs_is_a_second_speed() -> None:
    (found,) = doubts(summarise(nanoseconds([100, 100, 101, 100, 160] * 12)))
    assert found.startswith("two speeds: 20% of the runs take 1.60x")


def test_noise_of_any_usual_shape_is_not_two_speeds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        shapes = (rng.normal(100, 15, 60), rng.uniform(100, 150, 60), 100 + rng.exponential(20, 60))
        for values in shapes:
            assert not any("two speeds" in sentence for sentence in doubts(summarise(nanoseconds(values.tolist()))))


def test_a_normal_spread_is_too_wide() -> None:
    wide, tail = np.random.default_rng(0).normal(100, 15, 60), [100.0, 101, 102, 103, 128, 131, 150, 170] * 8
    assert doubts(summarise(nanoseconds(wide.tolist())))[0].startswith("spread too wide: MAD is ")
    assert doubts(summarise(nanoseconds([100 + value % 4 for value in range(50)] + tail)))[0].startswith("spread too")


def test_a_cold_start_is_told_from_drift() -> None:
    (found,) = doubts(summarise(nanoseconds([180, 160, 150, 140, 130, *QUIET_US])))
    assert found.startswith("first runs slower: the first 5 took 1.20x")


def test_a_core_that_throttles_is_a_step() -> None:
    (found,) = doubts(summarise(nanoseconds([100, 101] * 40 + [119, 120] * 40)))
    assert found.startswith("a step: after about 45% of the runs each took +19%")


def test_a_core_that_slows_down_at_once_is_seen() -> None:
    (found,) = doubts(summarise(nanoseconds([100, 101] * 3 + [130, 131] * 57)))
    assert found.startswith("first runs faster: the first 6 took 0.77x the rest")


def test_two_speeds_by_chance_are_not_drift() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        (found,) = doubts(summarise(nanoseconds(rng.choice([100.0, 130.0], 60).tolist())))
        assert found.startswith("two speeds")


def test_a_few_outliers_do_not_hide_two_speeds() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([100.0, 120.0, 1000.0], 2000, p=[0.68, 0.3, 0.02]) + rng.normal(0, 0.5, 2000)
    (found,) = doubts(summarise(nanoseconds(values.tolist())))
    assert found.startswith("two speeds")


def correlated(rho: float, count: int, seed: int) -> list[float]:
    noise, state = np.random.default_rng(seed).normal(0, 1, count), 0.0
    values = []
    for step in noise:
        state = rho * state + step
        values.append(100 + state)
    return values


def test_slow_waves_are_told_and_independent_noise_is_not() -> None:
    waves = [doubts(summarise(nanoseconds(correlated(0.99, 500, seed)))) for seed in range(40)]
    calm = [doubts(summarise(nanoseconds(correlated(0.0, 500, seed)))) for seed in range(40)]
    assert sum(found != () for found in waves) >= 32  # 90 % of such series were found
    assert sum(found != () for found in calm) <= 3  # 1 to 2 % false alarms


def test_what_half_of_the_processes_have_is_a_doubt_of_all() -> None:
    slowed = nanoseconds([100] * 30 + [150] * 30)
    found = doubts(summarise([*slowed * 4, *nanoseconds([100] * 60) * 2], [60] * 6))
    assert any(sentence.startswith("in 4 of 6 processes: a step") for sentence in found)
    few = doubts(summarise([*slowed, *nanoseconds([100] * 60) * 5], [60] * 6))
    assert not any(sentence.startswith("in ") for sentence in few)


def test_the_median_of_processes_is_that_of_their_medians() -> None:
    assert summarise([1_000_000] * 90 + [3_000_000] * 2, [90, 1, 1]).median_ms == 3.0


def test_slow_heating_is_drift_though_the_spread_is_small() -> None:
    (found,) = doubts(summarise([int(value) for value in np.linspace(100_000, 110_000, 60)]))
    assert found.startswith("drift: the last third took +6%")


def test_a_core_that_speeds_up_is_drift_too() -> None:
    found = doubts(summarise([int(value) for value in np.linspace(110_000, 100_000, 60)]))
    assert any(sentence.startswith("drift: the last third took -") for sentence in found)


def test_noise_without_a_trend_is_not_drift() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        found = doubts(summarise(rng.normal(100_000, 8_000, 60).astype(int).tolist()))
        assert not any(sentence.startswith("drift") for sentence in found)


def test_a_handful_of_runs_is_not_judged_for_trends() -> None:
    assert doubts(summarise(nanoseconds([130, 100, 100, 100, 100, 100, 100, 100, 100, 100]))) == ()
