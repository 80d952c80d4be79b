"""What each stage of the chain made in a folder, by SHA-256."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ghost_edge.core.digest import sha256_file
from ghost_edge.core.errors import ArtifactError

RECORDS = "chain.json"


@dataclasses.dataclass(frozen=True)
class Record:
    """What a stage made: its key, and the SHA-256 of each file by name."""

    key: str
    files: dict[str, str]


def read_records(folder: Path) -> dict[str, Record]:
    """What earlier runs made here; a damaged file counts as nothing made, for everything can be made again."""
    try:
        table = json.loads((folder / RECORDS).read_text(encoding="utf-8"))
        return {name: Record(str(entry["key"]), dict(entry["files"])) for name, entry in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def open_recorded(folder: Path, name: str) -> Path:
    """The path of a file that is as the chain made it here; ArtifactError where it is missing, or of another run."""
    made = {file: sha256 for record in read_records(folder).values() for file, sha256 in record.files.items()}
    path = folder / name
    if not path.is_file() or made.get(name) != sha256_file(path):
        raise ArtifactError(f"{path} is not as ghost-edge convert left it here ({RECORDS}); run it again")
    return path
