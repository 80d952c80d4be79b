"""SHA-256 of files, checked where a promise was made."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from ghost_edge.core.errors import ArtifactError, GhostEdgeError


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits; remembered until the file's size or time stamp changes."""
    status = path.stat()
    return _sha256(path.resolve(), status.st_size, status.st_mtime_ns)


def check_sha256(path: Path, expected: str, *, error: type[GhostEdgeError] = ArtifactError) -> None:
    """Raise `error` unless the file's SHA-256 is the expected one; an empty expectation promises nothing."""
    try:
        found = sha256_file(path) if expected else ""
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror}), and a SHA-256 is promised; give a file") from reason
    if found != expected:
        raise error(
            f"{path} has SHA-256 {found[:12]}..., expected {expected[:12]}...; "
            "it was changed or damaged: fetch it again, or write the new sum where the old one stands"
        )


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size_bytes: int, modified_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
