"""Progress of the chain."""

from __future__ import annotations


class Reporter:
    """What a command does with the progress of the chain; this one does nothing."""

    def started(self, stage: str) -> None:
        """A stage runs now."""

    def progress(self, stage: str, share: float, text: str) -> None:
        """The running stage is this far (0..1)."""

    def finished(self, stage: str, seconds: float | None) -> None:
        """A stage is done; seconds is None where it was up to date."""
