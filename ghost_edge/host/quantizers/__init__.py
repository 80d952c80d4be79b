"""Schemes."""
from __future__ import annotations
import dataclasses
from typing import NamedTuple, Any
@dataclasses.dataclass(frozen=True)
class Int8:
    pass
class Quantizer(NamedTuple):
    options: type[Any]
QUANTIZERS={"int8":Quantizer(Int8)}
