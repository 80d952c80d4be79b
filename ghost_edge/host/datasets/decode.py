"""Image files to pixels."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import PIL.Image

from ghost_edge.core.dataset import Image, Lazy, spread
from ghost_edge.core.errors import DataError, RecipeError

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # others run code of other programs, or are no images of a camera
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_GREY = ("1", "L", "LA")
_DEEP = ("I", "I;16", "I;16B", "F")


def decode_image(content: bytes, name: str) -> Image:
    """Decode to RGB uint8 [H, W, 3], or grey [H, W, 1]; raises DataError naming the image."""
    try:
        with PIL.Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.mode in _DEEP:
                raise DataError(f"{name} has more than 8 bits a pixel (mode {image.mode}); save it with 8")
            grey = image.mode in _GREY
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{name} is not a readable {', '.join(_FORMATS)} image; remove it or save it again") from error
    return pixels[..., np.newaxis] if grey else pixels


def read_image(path: Path) -> Image:
    """Decode an image file as decode_image() does; DataError where it cannot be read."""
    try:
        return decode_image(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); it is in the list of images") from error


def load_images(folder: Union[str, Path], count: Optional[int] = None) -> Sequence[Image]:
    """Return the images of a folder and its sub-folders, uint8 [H, W, 1 or 3], decoded when asked for.

    count: at most so many, evenly spread over the sorted names; None: all. Raises DataError where there are none,
    RecipeError for a count under 1.
    """
    if count is not None and (type(count) is not int or count < 1):
        raise RecipeError(f"count is {count!r}; it must be a whole number, 1 or more")
    files = sorted(file for file in Path(folder).rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(SUFFIXES)}); give a folder of images")
    return as_images(spread(files, count) if count else files)


def as_images(images: Iterable[Any]) -> Sequence[Image]:
    """Return image files as lazily decoded images, and arrays or Pillow images as uint8 [H, W] or [H, W, C].

    Raises DataError for what is one image, or a folder, instead of a list.
    """
    array: Any = images if isinstance(images, np.ndarray) else np.empty(0)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[-1] in (1, 3):  # its rows would pass for grey images
        raise DataError(f"the images are one array uint8 {list(array.shape)}; expected a list: put the image into [ ]")
    if isinstance(images, (str, Path)) or not isinstance(images, Iterable):
        raise DataError(f"{images!r} is no list of images; give arrays or files, or ghost_edge.load_images(folder)")
    given = images if isinstance(images, Sequence) else list(images)
    return Lazy(lambda index: _as_image(given[index]), range(len(given)))


def _as_image(item: Any) -> Image:
    return read_image(Path(item)) if isinstance(item, (str, Path)) else np.asarray(item)
