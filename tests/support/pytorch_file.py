"""Files as torch.save writes them, and as it would not, made without PyTorch, opcode by opcode."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What PyTorch pickles: a view of a storage of floats."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    storage: str = "0"


def pickled(tensors: Mapping[str, Tensor]) -> bytes:
    """The pickle of {name: tensor, ...}, protocol 2."""
    items = b"".join(_text(name) + _tensor(tensor) for name, tensor in tensors.items())
    return b"\x80\x02}(" + items + b"u."


def zipped(content: bytes, data: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """The zip file of a pickle and its storages."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
        for key, values in data.items():
            archive.writestr(f"archive/data/{key}", values)
    return file.getvalue()


def checkpoint(state: Mapping[str, NDArray[Any]]) -> bytes:
    """A .pth file of float32 arrays."""
    tensors, data = {}, {}
    for number, (name, values) in enumerate(state.items()):
        strides = tuple(stride // values.itemsize for stride in values.strides)
        tensors[name] = Tensor(values.shape, strides, storage=str(number))
        data[str(number)] = values.tobytes()
    return zipped(pickled(tensors), data)


def _tensor(tensor: Tensor) -> bytes:
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(tensor.storage) + _text("cpu") + b"K\x04tQ"
    arguments = storage + _number(tensor.offset) + _numbers(tensor.shape) + _numbers(tensor.strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def _text(text: str) -> bytes:
    return b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()


def _number(value: int) -> bytes:
    return b"L" + str(value).encode() + b"L\n"


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"
