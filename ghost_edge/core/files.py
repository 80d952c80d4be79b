"""Files that are whole or absent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import GhostEdgeError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, `<name>.part`, and move it to `path` when the block succeeds; remove it otherwise.

    A link is followed; what is no file, such as a pipe or /dev/stdout, is written into.
    Raises GhostEdgeError with the system's reason, such as a full disk or a folder that may not be written to.
    """
    if not path.name or path.is_dir():
        raise GhostEdgeError(f"{path} is a folder and cannot be written as a file; name a file")
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        yield path
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise GhostEdgeError(
            f"{path} could not be written ({error.strerror or error}); free some space or choose another place, "
            "then run the same command again"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # the reason is told above: a file where a folder should be fails here too
            part.unlink()


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(content)


def write_json(value: Any, path: Path) -> None:
    """Write indented JSON with a newline at the end, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(text.encode() + b"\n", path)
