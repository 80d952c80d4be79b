"""What is said of a step: its start, its parts, its end."""

from __future__ import annotations

import pytest

from ghost_edge.core.progress import Reporter, count, part, timed


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
