"""The checks on what was made say no to what should not have been made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from one_op import one_op

from ghost_edge.core.errors import ArtifactError, ConversionError
from ghost_edge.core.progress import silent
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.tflite import verify
from ghost_edge.host.tflite.graph import Model, Operation, Tensor, read_model
from ghost_edge.host.tflite.verify import check_close, check_dtypes, check_integer, check_old_interpreter, check_static

SOUND = Model(
    tensors=(
        Tensor(0, "image", (1, 8, 8, 3), "int8", constant=False),
        Tensor(1, "bias", (10,), "int32", constant=True),
        Tensor(2, "logits", (1, 10), "int8", constant=False),
    ),
    operations=(Operation("CONV_2D", (0, 1), (2,)),),
    inputs=(0,),
    outputs=(2,),
)
INT8 = QUANTIZERS["int8"].dtypes
LOGITS = np.random.default_rng(0).normal(size=(8, 1, 10)).astype(np.float32)


def with_tensor(index: int, **changes: object) -> Model:
    tensors = list(SOUND.tensors)
    tensors[index] = dataclasses.replace(tensors[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(SOUND, tensors=tuple(tensors))


def test_a_sound_graph_passes() -> None:
    check_dtypes(SOUND, INT8, "m.tflite")
    check_static(SOUND, "m.tflite")


def test_a_float_tensor_in_an_int8_file_is_named() -> None:
    with pytest.raises(ConversionError, match=r"m\.tflite holds 1 tensors .* int32 or int8: logits \(float32\)"):
        check_dtypes(with_tensor(2, dtype="float32"), INT8, "m.tflite")


def test_float_ends_are_no_excuse_for_a_float_tensor_between_them() -> None:
    graph = Model(
        tensors=tuple(
            Tensor(index, name, (1, 10), dtype, constant=False)
            for index, (name, dtype) in enumerate(
                [("image", "float32"), ("inner", "int8"), ("stray", "float32"), ("logits", "float32")]
            )
        ),
        operations=(Operation("QUANTIZE", (0,), (1,)), Operation("DEQUANTIZE", (1,), (3,))),
        inputs=(0,),
        outputs=(3,),
    )
    with pytest.raises(ConversionError, match=r"holds 1 tensors .* \(float32 as input or output\): stray \(float32\)"):
        check_dtypes(graph, QUANTIZERS["int8_float_io"].dtypes, "m.tflite")
    sound = dataclasses.replace(graph, tensors=(*graph.tensors[:2], graph.tensors[3]), outputs=(2,))
    sound = dataclasses.replace(sound, tensors=(*sound.tensors[:2], dataclasses.replace(sound.tensors[2], index=2)))
    check_dtypes(sound, QUANTIZERS["int8_float_io"].dtypes, "m.tflite")


@pytest.mark.parametrize(("kind", "dtype"), [("dynamic", "int8"), ("float16", "float16")])
def test_a_float_file_is_of_no_scheme_with_float_activations(kind: str, dtype: str) -> None:
    floats = tuple(dataclasses.replace(tensor, dtype="float32") for tensor in SOUND.tensors)
    with pytest.raises(ConversionError, match=rf"m\.tflite holds no {dtype} tensor: nothing in it could be quantized"):
        check_dtypes(dataclasses.replace(SOUND, tensors=floats), QUANTIZERS[kind].dtypes, "m.tflite")
    check_dtypes(
        dataclasses.replace(SOUND, tensors=(*floats, Tensor(3, "weights", (1,), dtype, constant=True))),
        QUANTIZERS[kind].dtypes,
        "m.tflite",
    )


@pytest.mark.parametrize(("name", "dies"), [("CONV_2D", True), ("QUANTIZE", False), ("DEQUANTIZE", False)])
def test_what_computes_in_float_is_refused_for_a_zynq_7000(name: str, dies: bool) -> None:
    graph = one_operation(name)
    graph = dataclasses.replace(
        graph, tensors=(dataclasses.replace(graph.tensors[0], dtype="float32"), graph.tensors[1])
    )
    if not dies:
        check_integer(graph, "m.tflite")
        return
    with pytest.raises(ConversionError, match=r"m\.tflite computes in float: .* need VFPv4, .*; quantize to int8"):
        check_integer(graph, "m.tflite")


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
    ids=["halved scale", "wrong image order", "swapped classes", "a lost bias", "nan", "nothing"],
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
        read_model(tmp_path / "m.tflite")


def one_operation(name: str, version: int = 1, *, shapes: tuple[tuple[int, ...], ...] = ((1, 8),) * 2) -> Model:
    """An operation of the last shape, made of the others; int8."""
    tensors = tuple(Tensor(index, "values", shape, "int8", constant=False) for index, shape in enumerate(shapes))
    last = len(shapes) - 1
    return Model(tensors, (Operation(name, tuple(range(last)), (last,), version=version),), (0,), (last,))


def test_the_version_of_an_operation_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(one_op("CONV_2D", [(1, 4, 4, 8)] * 3, (1, 4, 4, 8), version=5))
    assert [operation.version for operation in read_model(tmp_path / "m.tflite").operations] == [5]


@pytest.mark.parametrize(("name", "version"), [("CONV_2D", 6), ("MUL", 7), ("FULLY_CONNECTED", 9), ("MEAN", 3)])
def test_what_the_old_interpreter_knows_passes(name: str, version: int) -> None:
    check_old_interpreter(one_operation(name, version), "m.tflite")


@pytest.mark.parametrize(("name", "version"), [("CONV_2D", 7), ("MUL", 8), ("FULLY_CONNECTED", 10), ("MEAN", 4)])
def test_a_version_that_the_old_interpreter_does_not_know_is_named_with_the_highest(name: str, version: int) -> None:
    told = rf"m\.tflite holds {name} version {version}, which tflite-runtime 2\.14 knows up to version {version - 1}; "
    with pytest.raises(ConversionError, match=told + r'change the network, or take target = "zynq7000" out'):
        check_old_interpreter(one_operation(name, version), "m.tflite")


@pytest.mark.parametrize("name", ["STABLEHLO_ADD", "CUSTOM", "ELU", "DILATE"])
def test_an_operation_that_is_not_in_the_table_does_not_pass(name: str) -> None:
    with pytest.raises(ConversionError, match=f"holds {name} version 1, which tflite-runtime 2.14 is not known to run"):
        check_old_interpreter(one_operation(name), "m.tflite")


@pytest.mark.parametrize(("name", "cause"), [("SUM", "SIGILL"), ("DIV", "cannot do"), ("SQRT", "cannot do")])
def test_an_operation_that_has_no_int8_form_there_is_refused_in_int8_only(name: str, cause: str) -> None:
    graph = one_operation(name)
    with pytest.raises(ConversionError, match=f"holds {name} version 1, which .*{cause}"):
        check_old_interpreter(graph, "m.tflite")
    floats = tuple(dataclasses.replace(tensor, dtype="float32") for tensor in graph.tensors)
    check_old_interpreter(dataclasses.replace(graph, tensors=floats), "m.tflite")


def test_a_broadcast_over_more_dimensions_than_the_old_interpreter_has_is_refused() -> None:
    wide, narrow = (1, 2, 2, 2, 8), (1, 2, 1, 2, 8)
    with pytest.raises(ConversionError, match=r"holds MUL .* \(values: it broadcasts over more than 4 dimensions\)"):
        check_old_interpreter(one_operation("MUL", shapes=(wide, narrow, wide)), "m.tflite")
    check_old_interpreter(one_operation("MUL", shapes=(wide, wide, wide)), "m.tflite")
    check_old_interpreter(one_operation("MUL", shapes=(wide[1:], narrow[1:], wide[1:])), "m.tflite")


@pytest.mark.parametrize(("target", "refused"), [("zynq7000", True), ("zynqmp", False), (None, False)])
def test_verify_asks_what_the_recipe_s_board_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str | None, refused: bool
) -> None:
    graph = dataclasses.replace(SOUND, operations=(Operation("CONV_2D", (0, 1), (2,), version=99),))
    monkeypatch.setattr(verify, "read_model", lambda path: graph)
    models = {role: tmp_path / f"{role}.tflite" for role in ("float", "quantized")}
    # without files it gets no further than the checks of the graphs
    with pytest.raises(
        ConversionError if refused else ArtifactError,
        match="CONV_2D version 99" if refused else r"float\.tflite cannot be read",
    ):
        verify.verify_models(models, INT8, LOGITS, LOGITS, target=target, say=silent)
