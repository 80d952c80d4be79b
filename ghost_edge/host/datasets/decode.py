"""Bytes of an image file to pixels."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import DataError

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # others run code of other programs, or are no images of a camera
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
