"""Bytes of a picture file to pixels."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import DataError

_GREY = ("1", "L", "LA", "I", "I;16")


def decode_image(content: bytes, name: str) -> Image:
    """Decode to RGB uint8 [H, W, 3], or grey [H, W, 1]; raises DataError naming the picture."""
    try:
        with PIL.Image.open(io.BytesIO(content)) as picture:
            grey = picture.mode in _GREY
            pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{name} is not a readable picture ({error}); remove it or save it again") from error
    return pixels[..., np.newaxis] if grey else pixels
