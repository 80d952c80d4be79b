"""Where a recipe's paths are looked up."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from ghost_edge.core.errors import DataError
from ghost_edge.core.files import check_sha256

VARIABLE = "GHOST_EDGE_DATA"


def is_utf8(name: str) -> bool:
    """Return True where a name on the disk is UTF-8, as recipes and reports are; one from an old zip may not be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error to raise where the system refuses to read a folder or a file of images."""
    return DataError(f"{error.filename or path} cannot be read ({error.strerror}); check its name and its permissions")


@dataclasses.dataclass(frozen=True)
class Places:
    """Folders in the order in which a relative path is tried: the recipe's, --data, GHOST_EDGE_DATA."""

    folders: tuple[Path, ...]

    def find(self, path: str, *, sha256: str = "") -> Path:
        """Return the existing file or folder; DataError says where it was looked for, or that the sum is another."""
        try:
            found = next((folder / path for folder in self.folders if (folder / path).exists()), None)
        except OSError as error:
            raise unreadable(Path(path), error) from error
        if found is None:
            tried = ", ".join(str(folder) for folder in self.folders)
            raise DataError(f"{path} was not found in {tried}; name the folder that holds it with --data or {VARIABLE}")
        check_sha256(found, sha256, error=DataError)
        return found


def places_for(recipe_folder: Path, data: Path | None = None) -> Places:
    """Return the folders for a recipe; raises DataError where --data or GHOST_EDGE_DATA is not a folder."""
    folders = [recipe_folder]
    variable = os.environ.get(VARIABLE)
    for folder, source in ((data, "--data"), (Path(variable) if variable else None, VARIABLE)):
        if folder is None:
            continue
        if not folder.is_dir():
            raise DataError(f"{source} names {folder}, which is not a folder")
        folders.append(folder)
    return Places(tuple(folders))
