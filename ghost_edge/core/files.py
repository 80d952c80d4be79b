"""Files: written whole or not at all, read with their format and SHA-256 checked."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Optional, TypeVar

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, GhostEdgeError, RecipeError
from ghost_edge.core.options import convert

T = TypeVar("T")

# what numpy and zipfile raise on bytes that are no archive, or a damaged one
_DAMAGED = (
    *(ValueError, TypeError, EOFError, OSError, AttributeError, NotImplementedError, RuntimeError, MemoryError),
    *(SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def as_paths(files: Any) -> list[Path]:
    """Return one path, or several, as a list; raise ArtifactError where something is no path."""
    given = [files] if isinstance(files, (str, Path)) or not isinstance(files, Iterable) else list(files)
    for each in given:
        if not isinstance(each, (str, Path)):
            raise ArtifactError(f"a {type(each).__name__} is no path of a file; save it, and give its path")
    return [Path(each) for each in given]


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
        with contextlib.suppress(OSError):  # the reason is raised above: a file where a folder should be fails here too
            part.unlink()


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(content)


def write_json(value: Any, path: Path) -> None:
    """Write indented JSON with a newline at the end, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(text.encode() + b"\n", path)


def read_document(
    path: Path,
    cls: type[T],
    *,
    format: Optional[int] = None,  # noqa: A002
    written_by: str = "ghost-edge convert",
    sealed: bool = False,
    change: Callable[[Any], Any] = lambda content: content,
) -> T:
    """Read a JSON file of ours into `cls`: a dataclass, or a tuple[...] or dict[str, ...] of them.

    format: number that the file has to have under "format" (None: files of this kind have none). written_by: command
    that makes the file, for the messages. sealed: the file holds seal()'s SHA-256. change: what becomes of the content
    before `cls` is made of it; a ValueError from it means damage.
    Raises ArtifactError where the file is missing, damaged, edited, nested too deeply or of another format.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist; {written_by} writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not readable JSON ({error}); run {written_by} again") from error
    if format is not None:
        check_format(table, format, str(path), written_by)
    with damage(str(path), written_by):
        if sealed and table.get("sha256") != seal(table)["sha256"]:
            raise ValueError("its content does not have the SHA-256 it names; was it edited or merged?")
        if format is not None or sealed:
            table = {key: value for key, value in table.items() if key not in ("format", "sha256")}
        made: T = convert(change(table), cls, path.name)
        return made


def check_format(table: Any, expected: int, name: str, written_by: str) -> None:
    """Raise ArtifactError unless a JSON document is a table with this number under "format"."""
    if not isinstance(table, Mapping) or table.get("format") != expected:
        found = table.get("format") if isinstance(table, Mapping) else type(table).__name__
        raise ArtifactError(f"{name} has format {found!r}, this ghost-edge reads {expected}; run {written_by} again")


@contextlib.contextmanager
def damage(name: str, written_by: str = "ghost-edge convert") -> Iterator[None]:
    """Turn what a parser raises on unexpected content of a file into an ArtifactError with the next step."""
    try:
        yield
    except (RecipeError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ArtifactError(f"{name} is damaged: {error}; run {written_by} again") from error


def seal(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with the SHA-256 of its content under "sha256": a flipped bit in a scale or a limit is seen."""
    content = {key: value for key, value in table.items() if key != "sha256"}
    return {**content, "sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits; remembered until the file's size or time stamp changes."""
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


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A file inside a folder, by name; the promise travels in JSON, the folder does not."""

    file: str
    sha256: str
    size_bytes: int


def describe(path: Path) -> Artifact:
    """Return name, SHA-256 and size of a file as it is now."""
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
