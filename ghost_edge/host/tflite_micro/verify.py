"""Golden vectors, and the verification of a kit: its model, operations, arena and vectors."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import ArtifactError, ConversionError
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.device.bench import random_input
from ghost_edge.device.evaluate import stored_input
from ghost_edge.device.runtimes.model import Model as Runner
from ghost_edge.device.runtimes.open import is_installed, open_model
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import Model, read_model, unpack
from ghost_edge.host.tflite_micro.arena import bisect_arena, plan_arena
from ghost_edge.host.tflite_micro.operations import add_method, check_deployable

MICRO = "tflite-micro"
_OPENERS = {
    "reference kernels": functools.partial(open_model, kernels="reference"),
    MICRO: functools.partial(open_model, runtime=MICRO),
}
_BYTE, _ROW = re.compile(r"0x([0-9a-f]{2})"), re.compile(r"\{\n([^{}]*)\}")


def verify_kit(folder: Path) -> list[str]:
    """Verify the kit in a folder and return a line for each check that it passed.

    Raises ArtifactError where the folder holds no kit or a file in it was changed, ConversionError where the arena is
    too small or a runtime answers other bytes.
    """
    prefix = _prefix(folder)
    texts = {part: _read(folder / f"{prefix}_{part}") for part in ("model_data.c", "config.h", "ops.h", "golden.c")}
    content = bytes.fromhex("".join(_BYTE.findall(texts["model_data.c"])))
    config, found = _macros(texts["config.h"], prefix), hashlib.sha256(content).hexdigest()
    if found != config["MODEL_SHA256"].strip('"'):
        raise ArtifactError(
            f"{folder}/{prefix}_model_data.c holds another model (SHA-256 {found[:12]}...) than {prefix}_config.h says "
            f"({config['MODEL_SHA256'][1:13]}...); write the kit again"
        )
    lines = [f"{prefix}_model_data.c: {len(content):,} bytes, SHA-256 as in {prefix}_config.h"]
    with tempfile.TemporaryDirectory(prefix="ghost-edge-") as scratch:
        tflite = Path(scratch) / f"{prefix}.tflite"
        tflite.write_bytes(content)
        graph = read_model(tflite)
        lines.append(_check_operations(graph, texts["ops.h"], folder / f"{prefix}_ops.h"))
        lines += _check_arena(graph, config, folder / f"{prefix}_config.h")
        return lines + _check_vectors(tflite, texts["golden.c"], folder / f"{prefix}_golden.c")


def _prefix(folder: Path) -> str:
    found = sorted(path.name.removesuffix("_model_data.c") for path in folder.glob("*_model_data.c"))
    if len(found) != 1:
        raise ArtifactError(
            f"{folder} holds {len(found)} files *_model_data.c, expected one; give a folder that ghost-edge micro wrote"
        )
    return found[0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); write the kit again") from error


def _macros(text: str, prefix: str) -> dict[str, str]:
    """Return the macros that have a value, without the prefix; ArtifactError where a needed one is missing."""
    found = dict(re.findall(rf"^#define {prefix.upper()}_(\w+) (\S+)", text, re.MULTILINE))
    missing = [name for name in ("MODEL_SHA256", "ARENA_BYTES_32", "ARENA_BYTES_64") if name not in found]
    if missing:
        raise ArtifactError(f"{prefix}_config.h has no {prefix.upper()}_{missing[0]}; write the kit again")
    return found


def _check_operations(graph: Model, text: str, path: Path) -> str:
    check_deployable(graph)
    wanted = {add_method(op.name) for op in graph.operations}
    registered = re.findall(r"resolver\.(Add\w+)\(\)", text)
    count = re.search(r"kOperations = (\d+)u", text)
    if sorted(registered) != sorted(wanted) or count is None or int(count[1]) != len(wanted):
        differ = sorted({*registered} ^ wanted) or [f"kOperations for {len(wanted)} of them"]
        raise ArtifactError(f"{path} and the model differ in {', '.join(differ)}; write the kit again")
    return f"{path.name}: the {len(wanted)} operations of the model, and no other"


def _check_arena(graph: Model, config: dict[str, str], path: Path) -> list[str]:
    lines, minimum = [], {bits: plan_arena(graph, bits).minimum for bits in (32, 64)}
    measured = bisect_arena(graph)
    if measured is not None:
        minimum[64] = max(minimum[64], measured)
    for bits, needed in minimum.items():
        given = int(config[f"ARENA_BYTES_{bits}"].rstrip("u"))
        if given < needed:
            raise ConversionError(
                f"{path}: ARENA_BYTES_{bits} is {given:,}, the model needs {needed:,}; write the kit again"
            )
        how = ", measured in tflite-micro" if bits == 64 and measured is not None else ""
        lines.append(f"{path.name}: arena on {bits} bits {given:,} bytes, needed {needed:,}{how}")
    return lines


def _check_vectors(tflite: Path, text: str, path: Path) -> list[str]:
    given, expected = (_rows(part) for part in text.split("_golden_out[", 1))
    if not given or len(given) != len(expected):
        raise ArtifactError(f"{path} has {len(given)} inputs and {len(expected)} answers; write the kit again")
    runs = [label for label in _OPENERS if label != MICRO or is_installed(MICRO)]
    return [_run_vectors(tflite, given, expected, path, label) for label in runs]


def _run_vectors(tflite: Path, given: Sequence[bytes], expected: Sequence[bytes], path: Path, label: str) -> str:
    """Run the vectors on one runtime and return a line; ConversionError where an answer differs.

    TFLite Micro may differ from the reference kernels by 1 LSB: the line then names the first operation that does.
    """
    model = _OPENERS[label](tflite)
    for number, (content, wanted) in enumerate(zip(given, expected, strict=True)):
        values = np.frombuffer(content, model.inputs[0].dtype).reshape(model.inputs[0].shape)
        found = answer(model, values)
        if found == wanted:
            continue
        reason = f"{path.name}: vector {number} by {label}: {_first_difference(found, wanted)}"
        if label == MICRO and _lsb(found, wanted) <= 1:
            return f"{reason}; 1 LSB, from operation {first_other_operation(tflite, values)}: no mistake of the kit"
        raise ConversionError(f"{reason}; write the kit again")
    return f"{path.name}: PASS, {len(given)} vectors, the same bytes by {label}"


def first_other_operation(tflite: Path, values: NDArray[Any]) -> str:
    """Name the first operation, by number, whose bytes by TFLite Micro differ from those by the reference kernels."""
    graph = read_model(tflite)
    with tempfile.TemporaryDirectory(prefix="ghost-edge-") as scratch:
        part = Path(scratch) / "part.tflite"
        for number, op in enumerate(graph.operations):
            part.write_bytes(_cut(graph.content, number))
            if len({answer(opened(part), values) for opened in _OPENERS.values()}) > 1:
                return f"{number}, {op.name} {graph.tensors[op.outputs[0]].name}"
    return "none of them alone"


def _cut(content: bytes, last: int) -> bytes:
    """Return the file cut after an operation, with the outputs of that operation."""
    model = unpack(content)
    main = model.subgraphs[0]
    main.operators = main.operators[: last + 1]
    main.outputs = main.operators[-1].outputs
    return pack(model)


def _lsb(found: bytes, wanted: bytes) -> int:
    """Return the largest difference of int8 or uint8 outputs in LSB; 256 where their sizes differ."""
    one, other = (np.frombuffer(each, np.int8).astype(int) for each in (found, wanted))
    return int(np.abs(one - other).max()) if one.shape == other.shape else 256


def _rows(text: str) -> list[bytes]:
    return [bytes.fromhex("".join(_BYTE.findall(row))) for row in _ROW.findall(text)]


def _first_difference(found: bytes, wanted: bytes) -> str:
    if len(found) != len(wanted):
        return f"{len(found)} bytes, expected {len(wanted)}"
    index = next(index for index, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1])
    return f"byte {index} is {found[index]}, expected {wanted[index]}"


@dataclasses.dataclass(frozen=True)
class Golden:
    """inputs: one array a vector, dtype and shape of the model's input. source: a few words on their origin."""

    inputs: Sequence[NDArray[Any]]
    source: str


def answer(model: Runner, values: NDArray[Any]) -> bytes:
    """Run the model on one input and return the stored bytes of all outputs, one after the other."""
    model.set_inputs([values])
    model.invoke()
    return b"".join(output.tobytes() for output in model.outputs_now())


def noise(tflite: Path, count: int) -> Golden:
    """Draw inputs from a fixed seed: they prove the arithmetic of a model whose images are not at hand."""
    (spec,), rng = open_model(tflite, kernels="reference").inputs, np.random.default_rng(0)
    return Golden([random_input(spec, rng) for _ in range(count)], "noise")


def from_images(tflite: Path, images: Sequence[Image], preprocess: Preprocess, source: str) -> Golden:
    """Prepare images, uint8 [H, W, C], as the model takes them; ArtifactError where it takes others."""
    (spec,) = open_model(tflite, kernels="reference").inputs
    return Golden([stored_input(image, preprocess, spec, tflite) for image in images], source)
