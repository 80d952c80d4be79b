"""What a model file says about itself: how to feed it, what its answers are called, which file is its twin."""

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
class Card:
    """preprocess and class_names as in manifest.json.

    twin_sha256: of the same numbers in the other format. In an .onnx, of the .tflite file; in a .tflite, of the .onnx
    without its card, which is made first. Empty: no twin was asked for.
    """

    preprocess: Preprocess
    class_names: tuple[str, ...]
    twin_sha256: str = ""


def card_text(card: Card) -> str:
    """One line of ASCII JSON, which stands in the file as it is."""
    text = json.dumps({"ghost_edge": 1, **dataclasses.asdict(card)})
    assert text.encode().startswith(_MARK), "read_card() would not find it"
    return text


def read_card(path: Path) -> Optional[Card]:
    """The card of a .tflite or .onnx file, None where it has none; a board has no reader of either format.

    Raises ArtifactError where the file cannot be read or the card is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); check the path") from error
    start = content.rfind(_MARK)
    if start < 0:
        return None
    try:
        table, _ = json.JSONDecoder().raw_decode(content[start:].decode("ascii", errors="replace"))
        table = {key: value for key, value in table.items() if key != NAME}
        return from_table(Card, table, "the card")
    except (ValueError, TypeError, AttributeError, RecursionError, RecipeError) as error:
        raise ArtifactError(f"{path} is damaged: what it says about itself cannot be read ({error})") from error


def describe(card: Card) -> str:
    """In one line, how to feed the file and what it answers."""
    options, count = card.preprocess, len(card.class_names)
    first = ", ".join(card.class_names[:3]) + (", ..." if count > 3 else "")
    return (
        f"{options.channels} {options.height} x {options.width}, "
        f"(pixel / {options.divide_by:g} - {list(options.mean)}) / {list(options.std)}; {count} classes: {first}"
    )


def check_fed(path: Path, preprocess: Preprocess) -> str:
    """A doubt where the file says of itself that it is fed in another way; empty: it does not."""
    card = read_card(path)
    if card is None:
        return ""
    own, given = (
        {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(each).items()}
        for each in (card.preprocess, preprocess)
    )
    other = [f"{key} {own[key]}, not {given[key]}" for key in own if key != "layout" and own[key] != given[key]]
    return f"doubt: {path} says that it was made for {'; '.join(other)}" if other else ""
