"""The rule that makes the weights of ../shared/golden/ghostnet."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rule(key: str, shape: list[int]) -> NDArray[Any]:
    """Weights made by the rule in ../shared/golden/ghostnet/README.md."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_mean":
        return rng.normal(0, 0.1, shape).astype(np.float32)
    if leaf == "running_var":
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) >= 2:
        return rng.normal(0, np.sqrt(0.7 / np.prod(shape[1:])), shape).astype(np.float32)
    if leaf == "weight":
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)
