"""Arrays out of an .npz file that somebody else wrote."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError


def open_npz(path: Path, keys: Sequence[str]) -> list[NDArray[Any]]:
    """Read arrays by key, never unpickling; raises DataError that lists the keys there are, or says it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive.files]
            if missing:
                raise DataError(f"{path} has no array {missing[0]!r}; it has {', '.join(sorted(archive.files))}")
            return [archive[key] for key in keys]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a readable .npz file ({error}); make or fetch it again") from error
