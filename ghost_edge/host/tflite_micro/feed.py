"""C code that feeds a camera's pixels to the model in whole numbers, exactly as the workstation does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.manifest import Metadata
from ghost_edge.core.preprocess import CHANNELS, Preprocess, normalise
from ghost_edge.core.tensor import TensorSpec, quantize
from ghost_edge.device.evaluate import match_input

_MOST_BITS = 20  # of the shift: products then fit into 31 bits
_PIXELS = np.arange(256, dtype=np.int64)


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """stored = ((pixel * mul + add) >> shift) + offset, limited to the dtype; mul and add have an entry a channel."""

    mul: tuple[int, ...]
    add: tuple[int, ...]
    shift: int
    offset: int


def fixed_point(preprocess: Preprocess, spec: TensorSpec) -> FixedPoint | None:
    """Return whole numbers that feed an integer input as the workstation does, for each of the 256 pixel values.

    What is shifted is never negative: C leaves open what a right shift does then. None: there is no such line, because
    halves are rounded to even, up here and down there; see fed_values().
    """
    channels, step = CHANNELS[preprocess.channels], spec.scale or 1.0
    stored = fed_values(preprocess, spec)
    mean, std = (np.broadcast_to(each, channels) for each in (preprocess.mean, preprocess.std))
    gain, start = 1 / (std * preprocess.divide_by * step), spec.zero_point - mean / std / step
    offset = int(np.floor(start.min())) - 1  # of the line before its ends are cut off
    limits = np.iinfo(spec.dtype)
    for shift in range(_MOST_BITS + 1):
        lines = [_line(stored[:, at], offset, (limits.min, limits.max), gain[at], shift) for at in range(channels)]
        found = [line for line in lines if line is not None]
        if len(found) == channels:
            return FixedPoint(tuple(mul for mul, _ in found), tuple(add for _, add in found), shift, offset)
    return None


def fed_values(preprocess: Preprocess, spec: TensorSpec) -> NDArray[np.int64]:
    """Return what the workstation feeds an integer input for each value of a pixel, [256, channels]."""
    pixels = np.repeat(_PIXELS.astype(np.uint8)[:, np.newaxis, np.newaxis], CHANNELS[preprocess.channels], axis=2)
    return quantize(normalise(pixels, dataclasses.replace(preprocess, layout="NHWC")), spec)[:, 0].astype(np.int64)


def _line(
    stored: NDArray[np.int64], offset: int, limits: tuple[int, int], gain: float, shift: int
) -> tuple[int, int] | None:
    """Return mul and add of a channel that give `stored` at all pixels; None where this shift is too coarse."""
    products = _PIXELS * (mul := round(gain * 2**shift))
    low = ((stored - offset) << shift) - products
    high = low + (1 << shift) - 1
    least = max(int(low[stored > limits[0]].max(initial=0)), 0)  # what is cut off may be further down
    most = int(high[stored < limits[1]].min(initial=2**31))
    add = (least + most) // 2
    fits = least <= most and int(products.max()) + add < 2**31
    return (mul, add) if fits else None


def feed_parts(prefix: str, spec: TensorSpec, metadata: Metadata | None, tflite: Path) -> dict[str, str]:
    """Return the templates' parts about pixels; empty where the file has no model metadata."""
    feed = f"{prefix}_feed"
    if metadata is None:
        example = f"    memcpy({prefix}_input(), input, {prefix.upper()}_INPUT_BYTES);"
        return {"preprocess": "", "feed": "", "feed_definition": "", "example": example}
    preprocess = match_input(tflite, spec, metadata.preprocess)
    order = f"{preprocess.height} x {preprocess.width} {preprocess.channels} pixels, row by row, channels together"
    kind, macros = _macros(preprocess, spec)
    upper, channels = prefix.upper(), CHANNELS[preprocess.channels]
    head = [
        f"\n/* {order}; {_FORMULAS[kind]} */",
        f"#define {upper}_INPUT_HEIGHT {preprocess.height}u /* pixels */",
        f"#define {upper}_INPUT_WIDTH {preprocess.width}u",
        f"#define {upper}_CHANNELS {channels}u",
        f"#define {upper}_PIXELS {preprocess.height * preprocess.width * channels}u /* bytes of an image */",
    ]
    lines = [f"#define {upper}_PIXEL_{name} {value}" for name, value in macros.items()]
    names = {"feed": feed, "PREFIX": upper, "prefix": prefix, "type": f"std::{spec.dtype}_t"}
    return {
        "preprocess": "\n".join([*head, *lines]),
        "feed": f"\n/* {order}: normalised and quantized into the input. */\nvoid {feed}(const uint8_t *pixels);\n",
        "feed_definition": _CODE[kind] % names,
        "example": f"    {feed}(pixels); /* {order} */",
    }


def _macros(preprocess: Preprocess, spec: TensorSpec) -> tuple[str, dict[str, str]]:
    """Return how pixels are fed, a key of _CODE, and the macros for it."""
    if spec.dtype == "float32":
        return "float", _float_macros(preprocess)
    line = fixed_point(preprocess, spec)
    if line is not None:
        return "line", _integer_macros(line, spec)
    columns = ", ".join(f"{{ {', '.join(map(str, column))} }}" for column in fed_values(preprocess, spec).T)
    return "table", {"TABLE": f"{{ {columns} }}"}


_FORMULAS = {
    "line": "stored = ((pixel * MUL + ADD) >> SHIFT) + OFFSET, from LOW to HIGH; exact for all values of a pixel",
    "table": "stored = TABLE[channel][pixel]",
    "float": "input = (pixel - MEAN) / STD",
}


def _integer_macros(line: FixedPoint, spec: TensorSpec) -> dict[str, str]:
    limits = np.iinfo(spec.dtype)
    return {
        "MUL": f"{{ {', '.join(map(str, line.mul))} }}",
        "ADD": f"{{ {', '.join(map(str, line.add))} }}",
        "SHIFT": f"{line.shift}u",
        "OFFSET": f"({line.offset})",
        "LOW": f"({limits.min})",
        "HIGH": f"({limits.max})",
    }


def _float_macros(preprocess: Preprocess) -> dict[str, str]:
    channels, unit = CHANNELS[preprocess.channels], np.float32(preprocess.divide_by)
    mean, std = (
        np.broadcast_to(np.array(each, np.float32), channels) * unit for each in (preprocess.mean, preprocess.std)
    )
    rows = {"MEAN": mean, "STD": std}
    return {name: f"{{ {', '.join(f'{float(x).hex()}f' for x in row)} }}" for name, row in rows.items()}


_LINE = """
void %(feed)s(const uint8_t* pixels) {
  static constexpr std::int32_t kMul[%(PREFIX)s_CHANNELS] = %(PREFIX)s_PIXEL_MUL;
  static constexpr std::int32_t kAdd[%(PREFIX)s_CHANNELS] = %(PREFIX)s_PIXEL_ADD;
  auto* const input = static_cast<%(type)s*>(%(prefix)s_input());
  for (std::uint32_t index = 0U; (input != nullptr) && (index < %(PREFIX)s_PIXELS); ++index) {
    const std::uint32_t channel = index %% %(PREFIX)s_CHANNELS;
    std::int32_t stored = (((static_cast<std::int32_t>(pixels[index]) * kMul[channel]) + kAdd[channel]) >>
                           %(PREFIX)s_PIXEL_SHIFT) + %(PREFIX)s_PIXEL_OFFSET;
    stored = (stored < %(PREFIX)s_PIXEL_LOW) ? %(PREFIX)s_PIXEL_LOW : stored;
    stored = (stored > %(PREFIX)s_PIXEL_HIGH) ? %(PREFIX)s_PIXEL_HIGH : stored;
    input[index] = static_cast<%(type)s>(stored);
  }
}
"""
_FLOAT = """
void %(feed)s(const uint8_t* pixels) {
  static constexpr float kMean[%(PREFIX)s_CHANNELS] = %(PREFIX)s_PIXEL_MEAN;
  static constexpr float kStd[%(PREFIX)s_CHANNELS] = %(PREFIX)s_PIXEL_STD;
  auto* const input = static_cast<float*>(%(prefix)s_input());
  for (std::uint32_t index = 0U; (input != nullptr) && (index < %(PREFIX)s_PIXELS); ++index) {
    const std::uint32_t channel = index %% %(PREFIX)s_CHANNELS;
    input[index] = (static_cast<float>(pixels[index]) - kMean[channel]) / kStd[channel];
  }
}
"""
_TABLE = """
void %(feed)s(const uint8_t* pixels) {
  static constexpr %(type)s kTable[%(PREFIX)s_CHANNELS][256] = %(PREFIX)s_PIXEL_TABLE;
  auto* const input = static_cast<%(type)s*>(%(prefix)s_input());
  for (std::uint32_t index = 0U; (input != nullptr) && (index < %(PREFIX)s_PIXELS); ++index) {
    input[index] = kTable[index %% %(PREFIX)s_CHANNELS][pixels[index]];
  }
}
"""
_CODE = {"line": _LINE, "table": _TABLE, "float": _FLOAT}
