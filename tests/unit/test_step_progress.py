"""What is said of a step: its start, its parts, its end."""

from __future__ import annotations

import functools
import time

import pytest

from ghost_edge.core.progress import Count, Reporter, count, part, run_in_threads, silent, timed


class Heard(Reporter):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def started(self, step: str) -> None:
        self.heard.append(("started", step))

    def progress(self, step: str, share: float, text: str) -> None:
        self.heard.append((step, round(share, 9), text))

    def finished(self, step: str, seconds: float | None) -> None:
        assert seconds is not None
        self.heard.append(("finished", step, seconds >= 0))


def test_a_step_is_reported_from_its_start_to_its_end() -> None:
    heard = Heard()
    with timed(heard, "build") as say:
        say(0.5, "half")
    assert heard.heard == [("started", "build"), ("build", 0.5, "half"), ("finished", "build", True)]


def test_a_step_that_fails_is_not_reported_as_finished() -> None:
    heard = Heard()
    with pytest.raises(ZeroDivisionError, match="division by zero"), timed(heard, "build"):
        1 / 0  # noqa: B018
    assert heard.heard == [("started", "build")]


def test_a_part_of_the_work_is_its_share_of_the_whole() -> None:
    heard = Heard()
    with timed(heard, "calibrate") as say:
        count(part(say, 0.5, 0.5), 4)(1)
    assert heard.heard[1] == ("calibrate", 0.625, "1 of 4 images")


def test_jobs_in_threads_give_their_results_by_name() -> None:
    said: list[tuple[float, str]] = []

    def job(number: int, count: Count) -> int:
        count(1, 2)
        count(2, 2)
        return number * number

    jobs = {str(number): functools.partial(job, number) for number in range(5)}
    assert run_in_threads(jobs, lambda share, text: said.append((share, text))) == {
        "0": 0,
        "1": 1,
        "2": 4,
        "3": 9,
        "4": 16,
    }
    assert max(said)[0] == 1
    assert (said[-1][1].split(": ")[1], len(said)) == ("2 of 2 images", 10)


def test_an_error_of_one_job_ends_the_others() -> None:
    counted = []

    def fail(count: Count) -> None:
        time.sleep(0.05)  # the other job runs by now, where there are two cores
        raise ArithmeticError("this one")

    def go_on(count: Count) -> None:
        for number in range(10_000):  # 100 s, if nobody ends it
            counted.append(number)
            count(number, 10_000)
            time.sleep(0.01)

    with pytest.raises(ArithmeticError, match="this one"):
        run_in_threads({"fails": fail, "goes on": go_on}, silent)
    assert len(counted) < 1000
