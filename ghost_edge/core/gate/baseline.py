"""baseline.json: figures and answers of a run, kept in git and compared with later runs."""

from __future__ import annotations

import base64
import dataclasses
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ghost_edge.core.files import read_document, seal, write_json
from ghost_edge.core.manifest import Predictions, without_default_task
from ghost_edge.core.options import pick
from ghost_edge.core.tasks import CLASSIFICATION, TASKS

FORMAT = 1
_MOST = 2**26  # bytes of unpacked answers: a million images and more


@dataclasses.dataclass(frozen=True)
class Latency:
    """Latency of a model; block_ns: medians of blocks of samples, see block_medians(), of so many processes."""

    threads: int
    median_ms: float
    block_ns: tuple[int, ...]
    processes: int

    def __post_init__(self) -> None:
        if not self.block_ns or min(*self.block_ns, self.median_ms) <= 0:
            raise ValueError("a time is not over 0")


@dataclasses.dataclass(frozen=True)
class Held:
    """Figures of a model; sqnr_db is None without noise, latency where it was not measured."""

    sha256: str
    size_bytes: int
    sqnr_db: Optional[float] = None
    latency: Optional[Latency] = None

    def __post_init__(self) -> None:
        if self.size_bytes < 1:
            raise ValueError("a size is not over 0")


@dataclasses.dataclass(frozen=True)
class Baseline:
    """Run: models and answers by role; recipe: its tables; bench: machine and plan of the latencies."""

    name: str
    models: dict[str, Held]
    predictions: Predictions
    recipe: dict[str, Any]
    weights_sha256: str
    tools: dict[str, str]
    bench: dict[str, Any]
    task: str = CLASSIFICATION


def say_sqnr(sqnr_db: Optional[float]) -> str:
    """Return a SQNR as text with its unit; None is no noise."""
    return "no noise" if sqnr_db is None else f"{sqnr_db:.1f} dB"


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write baseline.json: numbers to read in a diff, answers packed; the same bytes for the same run."""
    seen, task = baseline.predictions, TASKS[baseline.task]
    table = {
        **{field.name: getattr(baseline, field.name) for field in dataclasses.fields(baseline)},
        "format": FORMAT,
        "models": {role: _table(model) for role, model in baseline.models.items()},
        "predictions": {
            "digests": _pack(b"".join(map(bytes.fromhex, seen.digests))),
            "labels": _pack(task.pack(seen.labels, None)),
            "answers": {role: _pack(task.pack(values, seen.labels)) for role, values in seen.answers.items()},
        },
    }
    write_json(seal(without_default_task(table)), path)


def read_baseline(path: Path) -> Baseline:
    """Read what write_baseline() wrote; ArtifactError where it is missing, damaged, edited or of another format."""
    command = f"ghost-edge gate MANIFEST --update {path}"
    return read_document(path, Baseline, format=FORMAT, written_by=command, sealed=True, change=_unpack_answers)


def _unpack_answers(table: Mapping[str, Any]) -> dict[str, Any]:
    seen, task = table["predictions"], pick(TASKS, table.get("task", CLASSIFICATION), kind="task")
    labels = task.unpack(_unpack(seen["labels"]), None)
    digests = _unpack(seen["digests"]).hex()
    width = len(digests) // max(len(labels), 1)
    answers = {role: task.unpack(_unpack(text), labels) for role, text in seen["answers"].items()}
    if "float" not in answers or len(digests) != width * len(labels) or not len(labels):
        raise ValueError("it holds no answers of the float model, or not of every image")
    predictions = Predictions(
        tuple(digests[start : start + width] for start in range(0, len(digests), width)), labels, answers
    )
    models = {role: _read_blocks(model) for role, model in table["models"].items()}
    return {**table, "predictions": predictions, "models": models}


def _table(model: Held) -> dict[str, Any]:
    """Return a model as a JSON table; its blocks are one text, one line of a diff."""
    latency = model.latency
    text = latency and {**dataclasses.asdict(latency), "block_ns": " ".join(map(str, latency.block_ns))}
    return {**dataclasses.asdict(model), "latency": text}


def _read_blocks(table: Mapping[str, Any]) -> dict[str, Any]:
    latency = table["latency"]
    if latency:
        latency = {**latency, "block_ns": [int(text) for text in latency["block_ns"].split()]}
    return {**table, "latency": latency}


def _pack(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _unpack(text: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(base64.b64decode(text), _MOST)
    except zlib.error as error:
        raise ValueError(f"answers that are not packed as they should be ({error})") from error
