"""Preprocessing: a camera's bytes made a model's input."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Union

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Lazy
from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.options import convert

Size = Union[int, tuple[int, int]]  # of an image in pixels: one side of a square, or (height, width)
CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
FITS = ("crop", "stretch")
LAYOUTS = ("NHWC", "NCHW")
_LONGEST = 8  # sides; what a longer image has beyond is cut off before the resize, which would take gigabytes
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L" and OpenCV's RGB2GRAY have it


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """[preprocess]: input = (pixel / divide_by - mean) / std, a value a channel (or one for all).

    size: side of the model's square input, or its [height, width], in pixels.
    resize: what the image has to cover before the centre crop, a side or [height, width] in pixels; 0 means size.
    fit: "crop" keeps the image's proportions and crops its centre; "stretch" does not.
    channels: what the model was trained on: "RGB", "BGR" or "GRAY".
    divide_by: 255 where mean and std speak of 0..1; 1 where the model wants bytes.
    """

    size: Size
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    divide_by: float = 255.0
    channels: str = "RGB"
    resize: Size = 0
    fit: str = "crop"
    layout: str = "NHWC"

    def __post_init__(self) -> None:
        for field, known in (("channels", CHANNELS), ("fit", FITS), ("layout", LAYOUTS)):
            if getattr(self, field) not in known:
                raise RecipeError(f"[preprocess] {field} {getattr(self, field)!r} is not one of {', '.join(known)}")
        for field, lowest in (("size", 1), ("resize", 0)):
            object.__setattr__(self, field, check_size(getattr(self, field), f"[preprocess] {field}", lowest))
        if self.resize and (self.covered[0] < self.height or self.covered[1] < self.width):
            sizes = f"size {say_size(self.size)} and resize {say_size(self.resize)}"
            raise RecipeError(f"[preprocess] {sizes}: need resize >= size, or 0")
        for field in ("mean", "std"):
            given = np.asarray(getattr(self, field)).astype(object).ravel().tolist()  # a number, a list or an array
            object.__setattr__(self, field, convert(given, tuple[float, ...], f"[preprocess] {field}"))
            if len(getattr(self, field)) not in (1, CHANNELS[self.channels]):
                raise RecipeError(
                    f"[preprocess] {field} has {len(getattr(self, field))} values; "
                    f"{self.channels} needs {CHANNELS[self.channels]}, or one for all"
                )
        object.__setattr__(self, "divide_by", convert(self.divide_by, float, "[preprocess] divide_by"))
        if min(self.std) <= 0 or self.divide_by <= 0:
            raise RecipeError(f"[preprocess] std {list(self.std)} and divide_by {self.divide_by} must be over 0")

    @property
    def height(self) -> int:
        """Height of the model's input, in pixels."""
        return height_and_width(self.size)[0]

    @property
    def width(self) -> int:
        """Width of the model's input, in pixels."""
        return height_and_width(self.size)[1]

    @property
    def covered(self) -> tuple[int, int]:
        """Height and width that an image covers before the centre crop."""
        return height_and_width(self.resize or self.size)


def height_and_width(size: Size) -> tuple[int, int]:
    """Return (height, width) of a size, which may be one side of a square."""
    return (size, size) if isinstance(size, int) else size


def say_size(size: Size) -> Union[int, str]:
    """Return a size as a recipe has it: 96, or "[48, 64]"."""
    return size if isinstance(size, int) else str(list(size))


def check_size(size: Size, where: str, lowest: int = 1) -> Size:
    """Return a size, equal sides as one; raise RecipeError that begins with `where` unless it is one or two numbers."""
    sides = list(size) if isinstance(size, (list, tuple)) else [size, size]
    if len(sides) != 2 or any(type(side) is not int or side < lowest for side in sides):
        given = list(size) if isinstance(size, (list, tuple)) else size
        raise RecipeError(f"{where} is {given!r}; it must be a whole number or [height, width], each {lowest} or more")
    return sides[0] if sides[0] == sides[1] else (sides[0], sides[1])


def fit_image(image: NDArray[np.uint8], options: Preprocess) -> NDArray[np.uint8]:
    """Resize, crop and order channels: uint8 [H, W, 1 or 3] (RGB or grey) to uint8 [height, width, C]."""
    image = check_image(image)
    target = options.covered
    if options.fit == "stretch":
        image = resize(image, *target)
    elif _scale(image, target) != 1:
        height, width = image.shape[:2]
        longest = max(1, _LONGEST * width * target[0] // target[1]), max(1, _LONGEST * height * target[1] // target[0])
        image = _crop(image, min(height, longest[0]), min(width, longest[1]))
        scale = _scale(image, target)
        image = resize(image, *(max(side, round(had * scale)) for side, had in zip(target, image.shape)))
    return _order_channels(_crop(image, options.height, options.width), options.channels)


def _scale(image: NDArray[np.uint8], target: tuple[int, int]) -> float:
    """Return the factor by which an image just covers (height, width)."""
    return float(max(target[0] / image.shape[0], target[1] / image.shape[1]))


def normalise(images: NDArray[np.uint8], options: Preprocess) -> NDArray[np.float32]:
    """Return images, uint8 [..., height, width, C], as the float32 input of the model, in its layout."""
    mean = np.asarray(options.mean, np.float32) * np.float32(options.divide_by)
    std = np.asarray(options.std, np.float32) * np.float32(options.divide_by)
    values = (images.astype(np.float32) - mean) / std
    return np.ascontiguousarray(np.moveaxis(values, -1, -3)) if options.layout == "NCHW" else values


def prepare(image: NDArray[np.uint8], options: Preprocess) -> NDArray[np.float32]:
    """Return one image, uint8 [H, W, C], as one model input, float32 [1, height, width, C] (or NCHW)."""
    return normalise(fit_image(image, options)[np.newaxis], options)


def prepare_all(images: Sequence[NDArray[np.uint8]], options: Preprocess) -> Sequence[NDArray[np.float32]]:
    """Return the model input of each image, float32 [1, ...], made by prepare() when it is asked for."""
    return Lazy(lambda index: prepare(images[index], options), range(len(images)))


def check_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image as uint8 [H, W, 1 or 3], or raise DataError that says what it looks like instead."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., np.newaxis]
    if image.ndim == 3 and image.shape[-1] in (1, 3) and image.dtype == np.uint8 and min(image.shape) > 0:
        return image
    hint = ""
    if image.ndim == 3 and image.shape[0] in (1, 3):
        hint = "; this looks like NCHW, did you mean transpose(1, 2, 0)?"
    elif image.dtype != np.uint8:
        hint = "; store the bytes of the image, normalisation is the recipe's [preprocess]"
    raise DataError(f"an image is {image.dtype} {list(image.shape)}; expected uint8 [height, width, 1 or 3]{hint}")


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize uint8 [H, W, C] bilinearly, with a triangle as wide as the shrink factor, as Pillow's BILINEAR does."""
    if image.shape[:2] == (height, width):
        return image
    rows, columns = _triangle(image.shape[0], height), _triangle(image.shape[1], width)
    # two matrix products, columns first
    across = columns @ image.astype(np.float32)
    values = (rows @ across.reshape(len(across), -1)).reshape(height, width, -1)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _crop(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the centre of an image."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _triangle(source: int, target: int) -> NDArray[np.float32]:
    """Return the weights float32 [target, source] of a triangle filter around each target pixel; rows sum to 1."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, np.newaxis]) / support
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _order_channels(image: NDArray[np.uint8], channels: str) -> NDArray[np.uint8]:
    if CHANNELS[channels] == image.shape[-1]:
        return image[..., ::-1] if channels == "BGR" else image
    if channels == "GRAY":
        return np.asarray(np.rint(image @ np.asarray(_LUMA)), np.uint8)[..., np.newaxis]
    return np.repeat(image, 3, axis=-1)
