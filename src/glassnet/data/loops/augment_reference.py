"""The definitions of the loops that change pictures for training: plain NumPy, to be read.

X is (n, channels * height * width) uint8, channel planes; `rows` (B,) says which of them, settings per image
are (B,); `out`, (B, ...), is written. All arithmetic is in whole numbers, so that the
compiled twins give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["adjust", "blend", "cut", "move", "paste", "turn"]

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def _reflect(at: Array, n: int) -> Array:
    """Places beyond the border, mirrored at the outermost pixel: -1 is 1, n is n - 2."""
    at = np.abs(at)
    return np.where(at >= n, 2 * n - 2 - at, at)


def move(
    X: Bytes, rows: Ints, flip: Flags, down: Ints, right: Ints, channels: int, height: int, width: int,
    out: Bytes,
) -> None:  # fmt: skip
    """Pixel (r, c) becomes pixel (r + down, c + right) the border reflected; where `flip`, mirrored first."""
    planes = X[rows].reshape(-1, channels, height, width)
    for i, plane in enumerate(planes):
        r = _reflect(np.arange(height) + down[i], height)
        c = _reflect(np.arange(width) + right[i], width)
        mirrored = plane[:, :, ::-1] if flip[i] else plane
        out[i] = mirrored[:, r][:, :, c].ravel()


def turn(
    X: Bytes, rows: Ints, flip: Flags, down: Ints, right: Ints, cosine: Ints, sine: Ints,
    channels: int, height: int, width: int, out: Bytes,
) -> None:  # fmt: skip
    """As `move`, and turned about the centre: bilinear, reflected border; cosine and sine times 65536.

    Places are in 256ths of a pixel, and so are the weights, whose sum is 256.
    """
    planes = X[rows].reshape(-1, channels, height, width).astype(np.int64)
    y2, x2 = (2 * np.arange(n) - (n - 1) for n in (height, width))
    for i, plane in enumerate(planes):
        y, x = y2[:, None] + 2 * down[i], x2 + 2 * right[i]  # twice the distance from the centre
        u = (cosine[i] * x + sine[i] * y + ((width - 1) << 16)) >> 9
        v = (cosine[i] * y - sine[i] * x + ((height - 1) << 16)) >> 9
        u = 256 * (width - 1) - u if flip[i] else u
        u, v = (np.maximum(_reflect(at, 256 * (n - 1) + 1), 0) for at, n in ((u, width), (v, height)))
        left, wx, top, wy = u >> 8, u & 255, v >> 8, v & 255
        right_of, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
        both = (wx * wy + 128) >> 8
        upper = plane[:, top, left] * (256 - wx - wy + both) + plane[:, top, right_of] * (wx - both)
        lower = plane[:, below, left] * (wy - both) + plane[:, below, right_of] * both
        out[i] = ((upper + lower + 128) >> 8).ravel()


def cut(
    X: Bytes, top: Ints, left: Ints, size: int, fill: int, channels: int, height: int, width: int
) -> None:
    """A square of `size` pixels with its corner at (top, left), maybe outside, becomes `fill`; in place."""
    planes = X.reshape(-1, channels, height, width)
    for i, plane in enumerate(planes):
        r, c = max(top[i], 0), max(left[i], 0)
        plane[:, r : max(top[i] + size, 0), c : max(left[i] + size, 0)] = fill


def adjust(X: Bytes, rows: Ints, gain: Ints, offset: Ints, white: int, out: Bytes) -> None:
    """x becomes (x * gain + offset) / 128, cut to 0..white; gain is at most 256; `out` may be X."""
    values = (X[rows].astype(np.int64) * gain[:, None] + offset[:, None]) >> 7
    out[...] = np.clip(values, 0, white)


def blend(X: Bytes, rows: Ints, partner: Ints, share: Ints, out: Bytes) -> None:
    """share / 256 of each image and the rest of its partner, its place among the rows; rounded."""
    own = share[:, None] * X[rows].astype(np.int64)
    out[...] = (own + (256 - share[:, None]) * X[rows[partner]].astype(np.int64) + 128) >> 8


def paste(
    X: Bytes, rows: Ints, partner: Ints, boxes: Ints, channels: int, height: int, width: int, out: Bytes
) -> None:
    """Each image with the partner's pixels in its box; boxes (B, 4) are top, bottom, left, right."""
    planes = X[rows].reshape(-1, channels, height, width)
    np.copyto(out, X[rows])
    mixed = out.reshape(planes.shape)
    for i, (top, bottom, left, right) in enumerate(boxes):
        mixed[i, :, top:bottom, left:right] = planes[partner[i], :, top:bottom, left:right]
