"""Model metadata inside a .tflite or .onnx: how to feed it, its class names, and its counterpart's SHA-256."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Optional

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.options import from_table
from ghost_edge.core.preprocess import Preprocess

NAME = "ghost_edge"  # of the entry in the metadata of a .tflite, and in the metadata_props of an .onnx
_MARK = b'{"ghost_edge": 1, '


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Preprocessing and class names, as in manifest.json.

    twin_sha256: SHA-256 of the same model in the other format. In an .onnx, of the .tflite file; in a .tflite, of the
    .onnx without its metadata, which is made first. Empty: no int8 ONNX model was asked for.
    """

    preprocess: Preprocess
    class_names: tuple[str, ...]
    twin_sha256: str = ""


def metadata_text(metadata: Metadata) -> str:
    """Return the metadata as one line of ASCII JSON, which stands in the file as it is."""
    text = json.dumps({"ghost_edge": 1, **dataclasses.asdict(metadata)})
    assert text.encode().startswith(_MARK), "read_metadata() would not find it"
    return text


def read_metadata(path: Path) -> Optional[Metadata]:
    """Return the metadata of a .tflite or .onnx file, None where it has none, without a reader of either format.

    Raises ArtifactError where the file cannot be read or the metadata is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); check the path") from error
    return parse_metadata(content, str(path))


def parse_metadata(content: bytes, name: str) -> Optional[Metadata]:
    """Return the metadata in the bytes of a .tflite or .onnx file; name: for messages; else as read_metadata()."""
    start = content.rfind(_MARK)
    if start < 0:
        return None
    try:
        table, _ = json.JSONDecoder().raw_decode(content[start:].decode("ascii", errors="replace"))
        table = {key: value for key, value in table.items() if key != NAME}
        return from_table(Metadata, table, "the metadata")
    except (ValueError, TypeError, AttributeError, RecursionError, RecipeError) as error:
        raise ArtifactError(f"{name} is damaged: what it says about itself cannot be read ({error})") from error


def describe(metadata: Metadata) -> str:
    """Return in one line how to feed the file and what it answers."""
    options, count = metadata.preprocess, len(metadata.class_names)
    first = ", ".join(metadata.class_names[:3]) + (", ..." if count > 3 else "")
    return (
        f"{options.channels} {options.height} x {options.width}, "
        f"(pixel / {options.divide_by:g} - {list(options.mean)}) / {list(options.std)}; {count} classes: {first}"
    )


def check_fed(path: Path, preprocess: Preprocess) -> str:
    """Return a doubt where the file's metadata says that it is fed in another way, else nothing."""
    metadata = read_metadata(path)
    if metadata is None:
        return ""
    own, given = (
        {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(each).items()}
        for each in (metadata.preprocess, preprocess)
    )
    other = [f"{key} {own[key]}, not {given[key]}" for key in own if key != "layout" and own[key] != given[key]]
    return f"doubt: {path} says that it was made for {'; '.join(other)}" if other else ""
