"""Arrays in .npz files: ours written without time stamps, anybody's read without unpickling."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, GhostEdgeError
from ghost_edge.core.files import whole_file

# what numpy and zipfile raise on bytes that are no archive, or a damaged one
_DAMAGED = (
    *(ValueError, TypeError, EOFError, OSError, AttributeError, NotImplementedError, RuntimeError, MemoryError),
    *(SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def read_npz(
    path: Path, keys: Sequence[str] = (), *, error: type[GhostEdgeError] = ArtifactError
) -> dict[str, NDArray[Any]]:
    """Read these arrays (none named: all); raises `error` that lists the keys there are, or says it is damaged."""
    try:
        # opened here, for numpy leaves the file open when it turns out not to be an archive
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive.files]
            if missing:
                raise error(f"{path} has no array {missing[0]!r}; it has {', '.join(sorted(archive.files))}")
            return {key: archive[key] for key in keys or archive.files}
    except FileNotFoundError as reason:
        raise error(f"{path} is not there; check the path, or make it") from reason
    except _DAMAGED as reason:
        raise error(f"{path} is not a readable .npz file ({reason}); make or fetch it again") from reason


def save_npz(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write an .npz without time stamps: same arrays, same bytes. The file is whole or absent."""
    with whole_file(path) as part, zipfile.ZipFile(part, "w") as archive:
        for key, values in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w") as file:
                np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)
