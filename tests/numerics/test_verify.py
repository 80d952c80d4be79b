"""The checks on what was made say no to what should not have been made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, ConversionError
from ghost_edge.host.graph import Graph, Operation, Tensor, read_graph
from ghost_edge.host.stages.verify import check_close, check_dtypes, check_static

SOUND = Graph(
    tensors=(
        Tensor(0, "image", (1, 8, 8, 3), "int8", constant=False),
        Tensor(1, "bias", (10,), "int32", constant=True),
        Tensor(2, "logits", (1, 10), "int8", constant=False),
    ),
    operations=(Operation("CONV_2D", (0, 1), (2,)),),
    inputs=(0,),
    outputs=(2,),
)
INT8 = frozenset({"int8", "int32"})
LOGITS = np.random.default_rng(0).normal(size=(8, 1, 10)).astype(np.float32)


def with_tensor(index: int, **changes: object) -> Graph:
    tensors = list(SOUND.tensors)
    tensors[index] = dataclasses.replace(tensors[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(SOUND, tensors=tuple(tensors))


def test_a_sound_graph_passes() -> None:
    check_dtypes(SOUND, INT8, "m.tflite")
    check_static(SOUND, "m.tflite")


def test_a_float_tensor_in_an_int8_file_is_named() -> None:
    with pytest.raises(ConversionError, match=r"m\.tflite holds 1 tensors .* int32 or int8: logits \(float32\)"):
        check_dtypes(with_tensor(2, dtype="float32"), INT8, "m.tflite")


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("batch", [0, -1, 2])
def test_another_batch_than_1_is_refused(index: int, batch: int) -> None:
    shape = (batch, *SOUND.tensors[index].shape[1:])
    with pytest.raises(ConversionError, match=r"has shape \[.*\]; the batch must be fixed to 1"):
        check_static(with_tensor(index, shape=shape), "m.tflite")


@pytest.mark.parametrize("name", ["SHAPE", "PACK"])
def test_an_operation_of_an_open_batch_is_refused(name: str) -> None:
    graph = dataclasses.replace(SOUND, operations=(*SOUND.operations, Operation(name, (0,), (2,))))
    with pytest.raises(ConversionError, match=rf"m\.tflite holds {name}; build the network with batch_size=1"):
        check_static(graph, "m.tflite")


def test_equal_logits_differ_by_nothing() -> None:
    assert check_close(LOGITS, LOGITS, "m.tflite") == 0


@pytest.mark.parametrize(
    "logits",
    [LOGITS / 2, LOGITS[::-1], LOGITS[..., ::-1], LOGITS + 0.01, np.where(LOGITS > 2, np.nan, LOGITS), LOGITS * 0],
    ids=["halved scale", "wrong picture order", "swapped classes", "a lost bias", "nan", "nothing"],
)
def test_logits_of_another_network_are_refused(logits: np.ndarray) -> None:
    with pytest.raises(ConversionError, match=r"m\.tflite differs from what it was made of by"):
        check_close(logits, LOGITS, "m.tflite")


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"m\.tflite answers \[1, 9\], expected \[1, 10\]"):
        check_close(LOGITS[..., :9], LOGITS, "m.tflite")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"PK\x03\x04"])
def test_a_file_that_is_no_tflite_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"m\.tflite is not a \.tflite file"):
        read_graph(tmp_path / "m.tflite")
