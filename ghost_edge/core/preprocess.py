"""From a camera's bytes to a model's input: the only place that does it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError, RecipeError

CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
FITS = ("crop", "stretch")
LAYOUTS = ("NHWC", "NCHW")
_LONGEST = 8  # sides; what a longer image has beyond is cut off before the resize, which would take gigabytes
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L" and OpenCV's RGB2GRAY have it


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """[preprocess]: input = (pixel / divide_by - mean) / std, a value a channel (or one for all).

    size: height and width of the model's input, in pixels.
    resize: the short side before the centre crop, in pixels; 0 means size.
    fit: "crop" keeps the image's proportions and crops its centre; "stretch" does not.
    channels: what the model was trained on: "RGB", "BGR" or "GRAY".
    divide_by: 255 where mean and std speak of 0..1; 1 where the model wants bytes.
    """

    size: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    divide_by: float = 255.0
    channels: str = "RGB"
    resize: int = 0
    fit: str = "crop"
    layout: str = "NHWC"

    def __post_init__(self) -> None:
        for field, known in (("channels", CHANNELS), ("fit", FITS), ("layout", LAYOUTS)):
            if getattr(self, field) not in known:
                raise RecipeError(f"[preprocess] {field} {getattr(self, field)!r} is not one of {', '.join(known)}")
        if self.size < 1 or (self.resize and self.resize < self.size):
            raise RecipeError(f"[preprocess] size {self.size} and resize {self.resize}: need size >= 1, resize >= size")
        for field in ("mean", "std"):
            if len(getattr(self, field)) not in (1, CHANNELS[self.channels]):
                raise RecipeError(
                    f"[preprocess] {field} has {len(getattr(self, field))} values; "
                    f"{self.channels} needs {CHANNELS[self.channels]}, or one for all"
                )
        if min(self.std) <= 0 or self.divide_by <= 0:
            raise RecipeError(f"[preprocess] std {list(self.std)} and divide_by {self.divide_by} must be over 0")


def fit_image(image: NDArray[np.uint8], options: Preprocess) -> NDArray[np.uint8]:
    """Resize, crop and order channels: uint8 [H, W, 1 or 3] (RGB or grey) to uint8 [size, size, C]."""
    image = check_image(image)
    target = options.resize or options.size
    height, width = image.shape[:2]
    if options.fit == "stretch":
        image = resize(image, target, target)
    elif min(height, width) != target:
        image = _crop(image, min(height, _LONGEST * width), min(width, _LONGEST * height))
        height, width = image.shape[:2]
        scale = target / min(height, width)
        image = resize(image, max(target, round(height * scale)), max(target, round(width * scale)))
    return _order_channels(_crop(image, options.size, options.size), options.channels)


def normalise(images: NDArray[np.uint8], options: Preprocess) -> NDArray[np.float32]:
    """uint8 [..., size, size, C] to the float32 input of the model, in its layout."""
    mean = np.asarray(options.mean, np.float32) * np.float32(options.divide_by)
    std = np.asarray(options.std, np.float32) * np.float32(options.divide_by)
    values = (images.astype(np.float32) - mean) / std
    return np.ascontiguousarray(np.moveaxis(values, -1, -3)) if options.layout == "NCHW" else values


def prepare(image: NDArray[np.uint8], options: Preprocess) -> NDArray[np.float32]:
    """One image, uint8 [H, W, C], to one model input, float32 [1, size, size, C] (or NCHW)."""
    return normalise(fit_image(image, options)[np.newaxis], options)


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
    """Bilinear with antialiasing (a triangle as wide as the shrink factor), as Pillow's BILINEAR; uint8 [H, W, C]."""
    if image.shape[:2] == (height, width):
        return image
    rows, columns = _triangle(image.shape[0], height), _triangle(image.shape[1], width)
    # two matrix products, columns first
    across = columns @ image.astype(np.float32)
    values = (rows @ across.reshape(len(across), -1)).reshape(height, width, -1)
    pixels: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def _crop(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The centre of an image."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _triangle(source: int, target: int) -> NDArray[np.float32]:
    """Weights float32 [target, source] of a triangle filter around each target pixel's centre; rows sum to 1."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, np.newaxis]) / support
    weights = np.maximum(0.0, 1.0 - distance)
    normalised: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def _order_channels(image: NDArray[np.uint8], channels: str) -> NDArray[np.uint8]:
    if CHANNELS[channels] == image.shape[-1]:
        return image[..., ::-1] if channels == "BGR" else image
    if channels == "GRAY":
        grey: NDArray[np.uint8] = np.rint(image @ np.asarray(_LUMA)).astype(np.uint8)
        return grey[..., np.newaxis]
    return np.repeat(image, 3, axis=-1)
