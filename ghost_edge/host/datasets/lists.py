"""Lists of pictures by digest: what may be trained on, calibrated with, and judged by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ghost_edge.core.dataset import Dataset, image_digest, select
from ghost_edge.core.errors import DataError


def read_list(path: Path) -> list[str]:
    """Digests in a list file, in order; lines that start with # are comments."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable list of digests ({error})") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def select_listed(dataset: Dataset, path: Path) -> Dataset:
    """The listed pictures in the list's order; raises DataError when one is not in the data set."""
    wanted = read_list(path)
    positions = {image_digest(image): index for index, image in enumerate(dataset.images)}
    missing = [digest for digest in wanted if digest not in positions]
    if missing:
        raise DataError(
            f"{path} lists {len(missing)} pictures that {dataset.name} does not hold, first {missing[0]}; "
            "list and data do not belong together"
        )
    return select(dataset, [positions[digest] for digest in wanted])


def check_disjoint(calibration: Dataset, evaluation: Iterable[str]) -> None:
    """Raise DataError when a calibration picture is also an evaluation picture (by digest)."""
    judged = set(evaluation)
    shared = [digest for digest in map(image_digest, calibration.images) if digest in judged]
    if shared:
        raise DataError(
            f"{len(shared)} of {len(calibration)} calibration pictures are also evaluation pictures, "
            f"first {shared[0]}; the measured drop would be flattered: calibrate on training pictures"
        )
