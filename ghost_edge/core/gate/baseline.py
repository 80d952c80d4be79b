"""baseline.json: what a later run is compared with, small enough for git; no model is in it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import write_json
from ghost_edge.core.manifest import Predictions, seal
from ghost_edge.core.options import from_table

FORMAT = 1
_MOST = 2**26  # bytes of unpacked answers: a million images and more


@dataclasses.dataclass(frozen=True)
class Latency:
    """block_ns: medians of blocks of samples, see stats.block_medians(), of so many processes; threads of each run."""

    threads: int
    median_ms: float
    block_ns: tuple[int, ...]
    processes: int


@dataclasses.dataclass(frozen=True)
class Held:
    """One model of the run: its size, its noise (None: there is none), its time (None: not measured)."""

    sha256: str
    size_bytes: int
    sqnr_db: Optional[float] = None
    latency: Optional[Latency] = None


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A run: models and answers by role. recipe: its tables. bench: machine and plan that the times belong to."""

    name: str
    models: dict[str, Held]
    predictions: Predictions
    recipe: dict[str, Any]
    weights_sha256: str
    tools: dict[str, str]
    bench: dict[str, Any]

    @property
    def images_sha256(self) -> str:
        """Of the images' digests, in order."""
        return hashlib.sha256("\n".join(self.predictions.digests).encode()).hexdigest()


def say_sqnr(sqnr_db: Optional[float]) -> str:
    """Held.sqnr_db in words."""
    return "no noise" if sqnr_db is None else f"{sqnr_db:.1f} dB"


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write baseline.json: numbers to read in a diff, answers packed; the same bytes for the same run."""
    seen = baseline.predictions
    table = {
        **{field.name: getattr(baseline, field.name) for field in dataclasses.fields(baseline)},
        "format": FORMAT,
        "models": {role: _table(model) for role, model in baseline.models.items()},
        "predictions": {
            "digests": _pack(b"".join(map(bytes.fromhex, seen.digests))),
            "labels": _pack(seen.labels.astype("<i4").tobytes()),
            # differences to the labels: almost all are zero
            "answers": {
                role: _pack((values - seen.labels).astype("<i4").tobytes()) for role, values in seen.answers.items()
            },
        },
    }
    write_json(seal(table), path)


def read_baseline(path: Path) -> Baseline:
    """Read what write_baseline() wrote; ArtifactError where it is missing, damaged, edited or of another format."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist; ghost-edge gate MANIFEST --update {path} writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not a readable baseline ({error}); write it again with --update") from error
    if not isinstance(table, Mapping) or table.get("format") != FORMAT:
        found = table.get("format") if isinstance(table, Mapping) else type(table).__name__
        raise ArtifactError(f"{path} has format {found!r}, this ghost-edge reads {FORMAT}; write it with --update")
    try:
        if table.get("sha256") != seal(table)["sha256"]:
            raise ValueError("its content does not have the SHA-256 it names; was it edited or merged?")
        return _parse(table)
    except (RecipeError, TypeError, KeyError, ValueError, AttributeError, zlib.error) as error:
        raise ArtifactError(f"{path} is damaged: {error}; write it again with --update") from error


def _parse(table: Mapping[str, Any]) -> Baseline:
    seen = table["predictions"]
    labels = np.frombuffer(_unpack(seen["labels"]), "<i4").astype(np.int64)
    digests = _unpack(seen["digests"]).hex()
    width = len(digests) // max(len(labels), 1)
    answers = {role: _answers(text, labels) for role, text in seen["answers"].items()}
    if "float" not in answers or len(digests) != width * len(labels) or not len(labels):
        raise ValueError("it holds no answers of the float model, or not of every image")
    values = {key: value for key, value in table.items() if key not in ("format", "sha256")}
    values["predictions"] = Predictions(
        tuple(digests[start : start + width] for start in range(0, len(digests), width)), labels, answers
    )
    values["models"] = {role: _model(model) for role, model in table["models"].items()}
    return from_table(Baseline, values, "the baseline")


def _table(model: Held) -> dict[str, Any]:
    """As JSON; the blocks as one text, which is one line of a diff."""
    latency = model.latency
    text = latency and {**dataclasses.asdict(latency), "block_ns": " ".join(map(str, latency.block_ns))}
    return {**dataclasses.asdict(model), "latency": text}


def _model(table: Mapping[str, Any]) -> Held:
    latency = table["latency"]
    if latency:
        blocks = [int(text) for text in latency["block_ns"].split()]
        latency = from_table(Latency, {**latency, "block_ns": blocks}, "latency")
    held = from_table(Held, {**table, "latency": latency}, "a model")
    times = (*held.latency.block_ns, held.latency.median_ms) if held.latency else ()
    if held.size_bytes < 1 or (held.latency and not (len(times) > 1 and min(times) > 0)):
        raise ValueError("a size or a time is not over 0")
    return held


def _answers(text: str, labels: NDArray[np.int64]) -> NDArray[np.int32]:
    stored = np.frombuffer(_unpack(text), "<i4")
    if len(stored) != len(labels):
        raise ValueError(f"{len(stored)} answers for {len(labels)} labels")
    return (stored + labels).astype(np.int32)


def _pack(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _unpack(text: str) -> bytes:
    return zlib.decompressobj().decompress(base64.b64decode(text), _MOST)
