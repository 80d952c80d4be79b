"""A file that was promised: path, SHA-256, size; verified when it is opened."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path, PurePosixPath

from ghost_edge.core.digest import check_sha256, sha256_file
from ghost_edge.core.errors import ArtifactError


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A file inside a folder, by name; the promise travels in JSON, the folder does not."""

    file: str
    sha256: str
    size_bytes: int


def describe(path: Path) -> Artifact:
    """The promise for a file as it is now."""
    return Artifact(file=path.name, sha256=sha256_file(path), size_bytes=path.stat().st_size)


def open_artifact(artifact: Artifact, folder: Path) -> Path:
    """Return the file's path when it is the promised one.

    Raises ArtifactError where it is missing, another, or where its name leads outside the folder.
    """
    name = PurePosixPath(artifact.file)
    if name.is_absolute() or ".." in name.parts or "\\" in artifact.file or not name.parts or len(artifact.file) > 255:
        raise ArtifactError(f"{folder} names the file {artifact.file!r}, which is outside the folder; do not trust it")
    path = folder / name
    if not path.is_symlink() and folder.resolve() not in path.resolve().parents:
        raise ArtifactError(f"{path} is behind a link that leads outside the folder; do not trust it")
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path} is promised and is not there as a file; run ghost-edge convert again")
    if not re.fullmatch("[0-9a-f]{64}", artifact.sha256):
        raise ArtifactError(f"{folder} promises no SHA-256 for {artifact.file}; run ghost-edge convert again")
    if path.stat().st_size != artifact.size_bytes:
        raise ArtifactError(
            f"{path} has {path.stat().st_size} bytes, promised were {artifact.size_bytes}; run ghost-edge convert again"
        )
    check_sha256(path, artifact.sha256)
    return path
