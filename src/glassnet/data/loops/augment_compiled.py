"""Numba twins of the loops in `augment_reference`: the same names, signatures and bits.

A team shares them out by places in the pictures, as it shares out their conversion and the product after it:
each member goes on with what is in its own cache.

Numba widens `a + b` and `a * b` of small whole numbers to 64 bits. NumPy's functions of the same meaning keep
16 or 32, so that one instruction does four or two times as many: `blend` took 125 us with signs, 21 us so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glassnet.kernels.jit import compiler
from glassnet.kernels.team import stretched

__all__ = ["adjust", "blend", "cut", "move", "paste", "turn"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Halves = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint32]
U16, I16, U32, I32 = np.uint16, np.int16, np.uint32, np.int32
_jit = compiler(nogil=True)


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


def move(
    X: Bytes, rows: Ints, flip: Flags, down: Ints, right: Ints, channels: int, height: int, width: int,
    out: Bytes,
) -> None:  # fmt: skip
    _move(channels * height, out.size, X, rows, flip, down, right, height, width, out)


@stretched
def _move(
    X: Bytes, rows: Ints, flip: Flags, down: Ints, right: Ints, height: int, width: int, out: Bytes,
    start: int, stop: int,
) -> None:  # fmt: skip
    """As `augment_reference.move`, for the rows `start` to `stop` of pixels, counted over all planes.

    What comes from inside is one long copy, which the processor does 32 bytes at a time; columns and rows
    from beyond the border are put right afterwards.
    """
    n = height * width
    begin, end = start // height * n, (stop + height - 1) // height * n  # the planes that are touched
    mirrored = np.empty(X.shape[1], np.uint8)
    for i in range(len(rows)):
        source, target = X[rows[i]], out[i]
        if flip[i]:
            _mirror(source[begin:end], width, mirrored[begin:end])
            source = mirrored
        dy, dx = down[i], right[i]
        by = dy * width + dx
        for plane in range(begin, end, n):
            first, last = max(start - plane // width, 0), min(stop - plane // width, height)
            top, bottom = max(first, -dy), min(last, height - dy)
            if top < bottom:
                a, b = plane + max(top * width, -by), plane + min(bottom * width, n - by)
                _copy(source[a + by : b + by], target[a:b])
            for c in range(-dx):
                for r in range(top, bottom):
                    target[plane + r * width + c] = source[plane + (r + dy) * width - c - dx]
            for c in range(width - dx, width):
                for r in range(top, bottom):
                    target[plane + r * width + c] = source[plane + (r + dy + 2) * width - 2 - c - dx]
            for r in range(first, min(top, last)):
                _reflected(source, plane - (r + dy) * width, dx, width, target, plane + r * width)
            for r in range(max(bottom, first), last):
                of = plane + (2 * height - 2 - r - dy) * width
                _reflected(source, of, dx, width, target, plane + r * width)


@_jit
def _reflected(source: Bytes, of: int, dx: int, width: int, target: Bytes, to: int) -> None:
    """One row of pixels, from place `of` to place `to`, shifted by `dx`."""
    left, right = max(-dx, 0), width - max(dx, 0)
    _copy(source[of + left + dx : of + right + dx], target[to + left : to + right])
    for c in range(left):
        target[to + c] = source[of - c - dx]
    for c in range(right, width):
        target[to + c] = source[of + 2 * width - 2 - c - dx]


def turn(
    X: Bytes, rows: Ints, flip: Flags, down: Ints, right: Ints, cosine: Ints, sine: Ints,
    channels: int, height: int, width: int, out: Bytes,
) -> None:  # fmt: skip
    _turn(len(rows), out.size, X, rows, flip, down, right, cosine, sine, channels, height, width, out)


@stretched
def _turn(
    X: Bytes, rows: Ints, flip: Flags, down: Ints, right: Ints, cosine: Ints, sine: Ints,
    channels: int, height: int, width: int, out: Bytes, start: int, stop: int,
) -> None:  # fmt: skip
    """As `augment_reference.turn`, for images `start` to `stop`.

    Four passes over a plane, of which only the second cannot be done many pixels at a time: the four
    neighbours of each place in one word; the words in their new order; weighed by rows; weighed by columns.
    """
    n = height * width
    place, across, along = np.empty(n, np.uint32), np.empty(n, np.uint32), np.empty(n, np.uint32)
    pairs, corners = np.zeros(n + 1, np.uint16), np.empty(n, np.uint32)
    found, sums = np.empty(n, np.uint32), np.empty(n, np.uint32)
    for i in range(start, stop):
        _places(flip[i], down[i], right[i], cosine[i], sine[i], height, width, place, across, along)
        for plane in range(0, channels * n, n):
            _corners(X[rows[i], plane : plane + n], width, pairs, corners)
            for k in range(n):
                found[k] = corners[place[k]]
            _by_rows(found.view(np.uint16), along.view(np.uint16), sums.view(np.uint16))
            _by_columns(sums, across, out[i, plane : plane + n])


@_jit
def _fold(at: np.int32, most: np.int32) -> np.int32:
    """A place beyond the border, mirrored at the outermost pixel; farther out, the border itself."""
    at = np.absolute(at)
    at = np.minimum(at, np.subtract(np.add(most, most), at))
    return np.maximum(at, I32(0))  # type: ignore[no-any-return]


@_jit
def _places(
    flip: bool,
    down: int,
    right: int,
    cosine: int,
    sine: int,
    height: int,
    width: int,
    place: Words,
    across: Words,
    along: Words,
) -> None:
    """Where each pixel comes from: the place above and left of it, and how far beyond, in 256ths.

    `along` holds its number twice, in the lower and in the upper half of the word.
    """
    widest, highest, row_length = I32(256 * (width - 1)), I32(256 * (height - 1)), I32(width)
    sign, start = (I32(-1), widest) if flip else (I32(1), I32(0))
    by_u, by_v = I32(2 * cosine), I32(-2 * sine)
    for row in range(height):
        y, x = 2 * (row + down) - (height - 1), 2 * right - (width - 1)
        u0 = I32(cosine * x + sine * y + ((width - 1) << 16))
        v0 = I32(cosine * y - sine * x + ((height - 1) << 16))
        here = slice(row * width, (row + 1) * width)
        to, wx, wy = place[here], across[here], along[here]
        for column in range(width):
            c = I32(column)
            u = _fold(np.right_shift(np.add(u0, np.multiply(c, by_u)), I32(9)), widest)
            v = _fold(np.right_shift(np.add(v0, np.multiply(c, by_v)), I32(9)), highest)
            u = np.add(start, np.multiply(sign, u))
            above = np.multiply(np.right_shift(v, I32(8)), row_length)
            to[column] = np.add(above, np.right_shift(u, I32(8)))
            wx[column] = np.bitwise_and(u, I32(255))
            wy[column] = np.multiply(np.bitwise_and(v, I32(255)), I32(65537))


@_jit
def _corners(plane: Bytes, width: int, pairs: Halves, corners: Words) -> None:
    """Each pixel, the one below, the one to the right and the one below that, as the bytes of a word.

    What lies beyond the last row or column is only ever given the weight 0.
    """
    n = len(plane)
    upper, lower = plane[: n - width], plane[width:]
    for k in range(len(lower)):
        pairs[k] = np.bitwise_or(U16(upper[k]), np.left_shift(U16(lower[k]), U16(8)))
    for k in range(len(lower), n):
        pairs[k] = U16(plane[k])
    left, right = pairs[:n], pairs[1:]
    for k in range(n):
        corners[k] = np.bitwise_or(U32(left[k]), np.left_shift(U32(right[k]), U32(16)))


@_jit
def _by_rows(found: Halves, along: Halves, sums: Halves) -> None:
    """Upper and lower pixel weighed, times 256; left and right columns take turns."""
    for k in range(len(found)):
        upper = np.multiply(np.bitwise_and(found[k], U16(255)), np.subtract(U16(256), along[k]))
        sums[k] = np.add(upper, np.multiply(np.right_shift(found[k], U16(8)), along[k]))


@_jit
def _by_columns(sums: Words, across: Words, out: Bytes) -> None:
    """Left column (lower half of the word) and right column weighed, rounded to whole numbers."""
    for k in range(len(out)):
        left = np.multiply(np.bitwise_and(sums[k], U32(0xFFFF)), np.subtract(U32(256), across[k]))
        total = np.add(left, np.multiply(np.right_shift(sums[k], U32(16)), across[k]))
        out[k] = np.right_shift(np.add(total, U32(32768)), U32(16))


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


def adjust(X: Bytes, rows: Ints, gain: Ints, offset: Ints, white: int, out: Bytes) -> None:
    _adjust(X.shape[1], out.size, X, rows, gain, offset, white, out)


@stretched
def _adjust(
    X: Bytes, rows: Ints, gain: Ints, offset: Ints, white: int, out: Bytes, start: int, stop: int
) -> None:
    """As `augment_reference.adjust`; x * gain + the offset's 128ths just fits 16 bits."""
    for i in range(len(rows)):
        row, changed = X[rows[i], start:stop], out[i, start:stop]
        factor, part, whole = U16(gain[i]), U16(offset[i] & 127), I16(offset[i] >> 7)
        for k in range(len(row)):
            scaled = I16(np.right_shift(np.add(np.multiply(U16(row[k]), factor), part), U16(7)))
            changed[k] = np.minimum(np.maximum(np.add(scaled, whole), I16(0)), I16(white))


def blend(X: Bytes, rows: Ints, partner: Ints, share: Ints, out: Bytes) -> None:
    _blend(X.shape[1], out.size, X, rows, partner, share, out)


@stretched
def _blend(X: Bytes, rows: Ints, partner: Ints, share: Ints, out: Bytes, start: int, stop: int) -> None:
    """As `augment_reference.blend`."""
    for i in range(len(rows)):
        a, b, mixed = X[rows[i], start:stop], X[rows[partner[i]], start:stop], out[i, start:stop]
        own, other = U16(share[i]), U16(256 - share[i])
        for k in range(len(a)):
            total = np.add(np.multiply(U16(a[k]), own), np.multiply(U16(b[k]), other))
            mixed[k] = np.right_shift(np.add(total, U16(128)), U16(8))


def paste(
    X: Bytes, rows: Ints, partner: Ints, boxes: Ints, channels: int, height: int, width: int, out: Bytes
) -> None:
    _paste(channels * height, out.size, X, rows, partner, boxes, height, width, out)


@stretched
def _paste(
    X: Bytes, rows: Ints, partner: Ints, boxes: Ints, height: int, width: int, out: Bytes,
    start: int, stop: int,
) -> None:  # fmt: skip
    """As `augment_reference.paste`, for the rows `start` to `stop` of pixels, counted over all planes."""
    for i in range(len(rows)):
        own, other, mixed = X[rows[i]], X[rows[partner[i]]], out[i]
        _copy(own[start * width : stop * width], mixed[start * width : stop * width])
        top, bottom, left, right = boxes[i]
        for plane in range(start // height, (stop + height - 1) // height):
            for r in range(max(start, plane * height + top), min(stop, plane * height + bottom)):
                for k in range(r * width + left, r * width + right):  # too few for a slice to pay
                    mixed[k] = other[k]
