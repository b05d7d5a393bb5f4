"""Images inside the page: arrays in, data addresses of PNG files out."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["png_address", "samples_shown"]

_LARGEST = 64  # pixels on the longer side; larger pictures are scaled down
_MOST_SAMPLES = 240  # pictures in the whole page, so that a hundred classes do not make it heavy


def png_address(picture: npt.NDArray[Any]) -> str:
    """One picture as a `data:` address of a PNG, scaled down to 64 pixels where it is larger.

    Parameters
    ----------
    picture : (height, width, channels) uint8; 1 grey, 3 RGB, 4 RGBA, any other number shown as their mean

    Examples
    --------
    >>> png_address(np.zeros((2, 2, 3), np.uint8))[:28]
    'data:image/png;base64,iVBORw'
    """
    from PIL import Image

    channels = picture.shape[2]
    if channels not in (1, 3, 4):
        picture = picture.mean(axis=2, keepdims=True)
    plane = np.clip(picture, 0, 255).astype(np.uint8)
    image = Image.fromarray(plane[:, :, 0] if plane.shape[2] == 1 else plane)
    image.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def samples_shown(n_classes: int, available: int) -> int:
    """How many of the available samples of each class the page shows.

    >>> samples_shown(10, 8), samples_shown(100, 8)
    (8, 2)
    """
    return max(1, min(available, _MOST_SAMPLES // max(n_classes, 1)))
