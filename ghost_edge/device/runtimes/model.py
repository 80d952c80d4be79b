"""Model ready to run, in any interpreter."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.tensor import TensorSpec

PIP = "python3 -m pip install"


@dataclasses.dataclass(frozen=True)
class DelegateShare:
    """Number of a graph's ops, of those that the delegate runs, and of its partitions."""

    ops: int
    delegated_ops: int
    partitions: int


class Model(Protocol):
    """Model ready to run, batch 1; delegate is None where the interpreter has none."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    interpreter: str
    version: str
    delegate: Optional[DelegateShare]
    invoke: Callable[[], Any]

    def set_inputs(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Copy one array an input, each of its spec's shape and dtype."""

    def outputs_now(self) -> list[NDArray[Any]]:
        """Return copies of the outputs of the last invoke()."""


def one_line(error: BaseException) -> str:
    """Return an exception's text on one line of at most 160 characters: interpreters repeat themselves."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."


def version(module: Any) -> str:
    """Return the version of the package that contains the module."""
    return str(importlib.import_module(module.__name__.partition(".")[0]).__version__)


def check_open(path: Path, name: str, shape: Sequence[int]) -> None:
    """Raise ArtifactError where a dimension but the batch is open (-1)."""
    if any(size < 0 for size in shape[1:]):
        raise ArtifactError(
            f"{path}: input {name!r} has open dimensions {list(map(int, shape))}; export it with fixed ones"
        )


def damaged(path: Path, reason: str) -> ArtifactError:
    """Return the error for a file that is not what its suffix promises."""
    return ArtifactError(f"{path} is damaged or not a {path.suffix} file ({reason}); copy or convert it again")
