"""Numba twins of the loops in `augment_reference`: the same names, signatures and bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glassnet.kernels.jit import compiler

__all__ = ["adjust", "blend", "cut", "move", "paste", "turn"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_jit = compiler(nogil=True)


@_jit
def _inside(at: int, n: int) -> int:
    """A place beyond the border, mirrored at the outermost pixel; farther out, the border itself."""
    at = abs(at)
    at = 2 * n - 2 - at if at >= n else at
    return max(at, 0)


@_jit
def _copy(source: Bytes, out: Bytes) -> None:
    """Compiled to 32 bytes at a time, which assigning one slice to another is not."""
    for k in range(len(out)):
        out[k] = source[k]


@_jit
def _reverse_bytes(x: np.uint64) -> np.uint64:
    """The eight bytes of a word in opposite order, by swapping neighbours of 1, 2 and 4 bytes."""
    x = ((x >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)) | (
        (x & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)
    )
    x = ((x >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)) | (
        (x & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)
    )
    return (x >> np.uint64(32)) | (x << np.uint64(32))


@_jit
def _mirror(source: Bytes, width: int, out: Bytes) -> None:
    """Every row of pixels in opposite order; eight pixels at a time where rows are made of whole words."""
    n_rows = len(source) // width
    if width % 8:
        for r in range(n_rows):
            for c in range(width):
                out[r * width + c] = source[r * width + width - 1 - c]
        return
    words, mirrored = source.view(np.uint64), out.view(np.uint64)
    for k in range(len(words)):
        mirrored[k] = _reverse_bytes(words[k])
    per_row = width // 8
    for start in range(0, len(mirrored), per_row):
        for k in range(per_row // 2):
            a, b = start + k, start + per_row - 1 - k
            mirrored[a], mirrored[b] = mirrored[b], mirrored[a]


@_jit
def move(
    X: Bytes, flip: Flags, down: Ints, right: Ints, channels: int, height: int, width: int, out: Bytes
) -> None:
    """As `augment_reference.move`.

    A plane is shifted by one long copy, which the processor does 32 bytes at a time; columns and rows that
    came from beyond the border are put right afterwards.
    """
    n = height * width
    mirrored = np.empty(channels * n, np.uint8)
    for i in range(len(X)):
        source, target = X[i], out[i]
        if flip[i]:
            _mirror(X[i], width, mirrored)
            source = mirrored
        dy, dx = down[i], right[i]
        first, last = max(0, -dy), min(height, height - dy)
        for plane in range(0, channels * n, n):
            by = dy * width + dx
            start = plane + max(first * width, -by)
            stop = plane + min(last * width, n - by)
            _copy(source[start + by : stop + by], target[start:stop])
            for c in range(-dx):
                for r in range(first, last):
                    target[plane + r * width + c] = source[plane + (r + dy) * width - c - dx]
            for c in range(width - dx, width):
                for r in range(first, last):
                    target[plane + r * width + c] = source[plane + (r + dy + 2) * width - 2 - c - dx]
            for r in range(first):
                to, of = plane + r * width, plane + (-r - 2 * dy) * width
                _copy(target[of : of + width], target[to : to + width])
            for r in range(last, height):
                to, of = plane + r * width, plane + (2 * height - 2 - r - 2 * dy) * width
                _copy(target[of : of + width], target[to : to + width])


@_jit
def turn(
    X: Bytes,
    flip: Flags,
    down: Ints,
    right: Ints,
    cosine: Ints,
    sine: Ints,
    channels: int,
    height: int,
    width: int,
    out: Bytes,
) -> None:
    """As `augment_reference.turn`."""
    n = height * width
    mirrored = np.empty(channels * n, np.uint8)
    for i in range(len(X)):
        source, target = X[i], out[i]
        if flip[i]:
            _mirror(X[i], width, mirrored)
            source = mirrored
        for row in range(height):
            y, x = 2 * row - (height - 1) + 2 * down[i], 2 * right[i] - (width - 1)
            across = cosine[i] * x + sine[i] * y + ((width - 1) << 16)
            along = cosine[i] * y - sine[i] * x + ((height - 1) << 16)
            for column in range(width):
                u, v = across >> 9, along >> 9
                across += 2 * cosine[i]
                along -= 2 * sine[i]
                c, wx, r, wy = u >> 8, u & 255, v >> 8, v & 255
                left, beside = _inside(c, width), _inside(c + 1, width)
                top, below = _inside(r, height) * width, _inside(r + 1, height) * width
                w00, w01 = (256 - wy) * (256 - wx), (256 - wy) * wx
                w10, w11 = wy * (256 - wx), wy * wx
                to = np.uint64(row * width + column)
                p00, p01 = np.uint64(top + left), np.uint64(top + beside)
                p10, p11 = np.uint64(below + left), np.uint64(below + beside)
                for _ in range(channels):
                    total = w00 * source[p00] + w01 * source[p01] + w10 * source[p10] + w11 * source[p11]
                    target[to] = (total + 32768) >> 16
                    to += np.uint64(n)
                    p00 += np.uint64(n)
                    p01 += np.uint64(n)
                    p10 += np.uint64(n)
                    p11 += np.uint64(n)


@_jit
def cut(
    X: Bytes, top: Ints, left: Ints, size: int, fill: int, channels: int, height: int, width: int
) -> None:
    """As `augment_reference.cut`."""
    for i in range(len(X)):
        for plane in range(channels):
            for r in range(max(top[i], 0), min(top[i] + size, height)):
                for c in range(max(left[i], 0), min(left[i] + size, width)):
                    X[i, (plane * height + r) * width + c] = fill


@_jit
def adjust(X: Bytes, gain: Ints, offset: Ints, white: int) -> None:
    """As `augment_reference.adjust`."""
    for i in range(len(X)):
        row = X[i]
        a, b, most = np.int32(gain[i]), np.int32(offset[i]), np.int32(white)
        for k in range(len(row)):
            row[k] = min(max((np.int32(row[k]) * a + b) >> np.int32(8), np.int32(0)), most)


@_jit
def blend(X: Bytes, partner: Ints, share: Ints, out: Bytes) -> None:
    """As `augment_reference.blend`."""
    for i in range(len(X)):
        a, b, mixed = X[i], X[partner[i]], out[i]
        own = np.int32(share[i])
        other = np.int32(256) - own
        for k in range(len(a)):
            mixed[k] = (np.int32(a[k]) * own + np.int32(b[k]) * other + np.int32(128)) >> np.int32(8)


@_jit
def paste(X: Bytes, partner: Ints, boxes: Ints, channels: int, height: int, width: int, out: Bytes) -> None:
    """As `augment_reference.paste`."""
    for i in range(len(X)):
        other, mixed = X[partner[i]], out[i]
        _copy(X[i], mixed)
        for plane in range(channels):
            for r in range(boxes[i, 0], boxes[i, 1]):
                at = (plane * height + r) * width
                start, stop = at + boxes[i, 2], at + boxes[i, 3]
                _copy(other[start:stop], mixed[start:stop])
