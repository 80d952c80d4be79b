"""Reader of PyTorch checkpoints (.pth, .pt, .pth.tar) that needs no PyTorch and runs no code of the pickle."""

from __future__ import annotations

import argparse
import collections
import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # files written before PyTorch 1.6, or with _use_new_zipfile_serialization=False
_PICKLE_LIMIT_BYTES = 64 << 20  # the tensors lie outside the pickle; that of GhostNet 1.3x has 0.1 MB
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_FAILURES = (pickle.UnpicklingError, zipfile.BadZipFile, struct.error, EOFError, LookupError, TypeError, ValueError)


class _Tensor(NamedTuple):
    """A view of the flat values of a storage; offset and strides count values, not bytes."""

    kind: str
    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch(path: Path) -> dict[str, NDArray[Any]]:
    """Read the state dict of a checkpoint (the object itself, or its "state_dict" or "model"): names to arrays.

    Only the callables that tensors are made of are known (as torch.load(weights_only=True) does): a pickle that asks
    for any other is refused before anything runs. Memory is bounded by the file's size: no compressed members, no
    tensor larger than its storage. Raises ArtifactError.
    """
    try:
        with path.open("rb") as file:
            content, storages = _open_zip(file) if zipfile.is_zipfile(file) else _open_legacy(file)
        tensors = _state_dict(content)
        if sum(math.prod(tensor.shape) for tensor in tensors.values()) > 2 * path.stat().st_size:
            raise ValueError("its tensors hold more values than the file has bytes")
        return {name: _view(tensor, storages[tensor.key]) for name, tensor in tensors.items()}
    except (*_FAILURES, OSError, RecursionError, AttributeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ArtifactError(
            f"{path} is not a readable PyTorch checkpoint ({reason}); "
            "expected what torch.save(model.state_dict(), path) writes"
        ) from error


def _open_zip(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
    """Return the pickled object and the bytes of each storage by its key."""
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    pickles = [member.filename for member in members if member.filename.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise ValueError("a zip file without one data.pkl; a TorchScript archive holds code, save its state_dict")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its members are compressed, which torch.save never does")
    if sum(member.file_size for member in members) > file.seek(0, io.SEEK_END):
        raise ValueError("its members overlap")
    folder = pickles[0].removesuffix("data.pkl")
    files = {member.filename.removeprefix(folder): archive.read(member) for member in members}
    if files.get("byteorder", b"little") != b"little":
        raise ValueError("its values are big-endian")
    content, _ = _unpickle(io.BytesIO(files["data.pkl"]))
    return content, {name.removeprefix("data/"): values for name, values in files.items()}


def _open_legacy(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
    """Return object and storages of an older file: pickles one after the other, then the storages."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if _unpickle(file)[0] != _LEGACY_MAGIC:
        raise ValueError("neither a zip file nor PyTorch's older format")
    _unpickle(file), _unpickle(file)  # protocol version and sizes of C types, the same everywhere
    content, kinds = _unpickle(file)  # kinds of every storage: an optimizer's lie between those of the weights
    keys, _ = _unpickle(file)
    storages: dict[str, bytes] = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        if not 0 <= count <= size:  # values of a byte or more each: a damaged count must not ask for terabytes
            raise ValueError(f"storage {key!r} should have {count} values, and the file has {size} bytes")
        storages[key] = file.read(count * np.dtype(_DTYPES[kinds[key]]).itemsize)
    return content, storages


def _unpickle(file: BinaryIO) -> tuple[Any, dict[str, str]]:
    """Check and load the next pickle of a file; return it and the type of each storage that it names, by key."""
    start = file.tell()
    content = io.BytesIO(file.read(_PICKLE_LIMIT_BYTES))
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("BINPUT", "LONG_BINPUT", "PUT") and int(argument or 0) > len(content.getbuffer()):
            raise pickle.UnpicklingError(f"a memo of {argument} entries")
    length = content.tell()
    content.seek(0)
    unpickler = _Unpickler(content)
    loaded = unpickler.load()
    file.seek(start + length)
    return loaded, unpickler.kinds


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows the parts of tensors and nothing else."""

    def __init__(self, content: BinaryIO) -> None:
        super().__init__(content)
        self.kinds: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return a known callable or the name of a storage type; UnpicklingError for anything else."""
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it asks to call {module}.{name}, which is no part of a state dict: do not trust")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Return kind and key of a storage, given its ("storage", type, key, location, count, ...)."""
        what, kind, key = pid[:3]
        if what != "storage" or kind not in _DTYPES:
            raise pickle.UnpicklingError(f"it refers to {what!r} of {kind!r}")
        self.kinds[str(key)] = kind
        return kind, str(key)


def _rebuild_tensor(storage: tuple[str, str], offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(*storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "Counter"): collections.Counter,  # of a learning rate's schedule
    ("argparse", "Namespace"): argparse.Namespace,  # training scripts save their options too; it holds values only
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
}


def _state_dict(content: Any) -> dict[str, _Tensor]:
    """Return the tensors by name; ValueError where the object is no state dict and holds none."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"it holds a {type(content).__name__}, expected names and tensors")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"{name!r} is a {type(tensor).__name__}, expected a tensor")
    return dict(content)


def _view(tensor: _Tensor, storage: bytes) -> NDArray[Any]:
    """Return the tensor's values; ValueError where it reaches outside its storage or repeats values."""
    values = np.frombuffer(storage, _DTYPES[tensor.kind])
    if min((*tensor.shape, *tensor.strides, tensor.offset), default=0) < 0:
        raise ValueError("a tensor has a negative size")
    count = int(np.prod(tensor.shape, dtype=object))
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides))
    if count > len(values) or (count and last >= len(values)):
        raise ValueError(f"a tensor of shape {list(tensor.shape)} reaches outside its {len(values)} values")
    strides = tuple(stride * values.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)
    if tensor.kind == "BFloat16Storage":  # the upper half of a float32
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(view).reshape(tensor.shape)
