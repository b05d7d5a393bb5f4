"""Numba twins of the loops in `augment_reference`: the same names, signatures and bits.

A team shares them out by places in the pictures, as it shares out their conversion and the product after it:
each member goes on with what is in its own cache.

Numba widens `a + b` and `a * b` of small whole numbers to 64 bits. NumPy's functions of the same meaning keep
16 or 32, so that one instruction does four or two times as many: `blend` took 125 us with signs, 21 us so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.loops.turning import look_up, make_corners, make_places
from glassnet.kernels.jit import compiler
from glassnet.kernels.lanes import LANES
from glassnet.kernels.memory import LINE, copy_bytes, fetch_soon, up_to
from glassnet.kernels.team import stretched

__all__ = ["adjust", "blend", "cut", "move", "paste", "turn"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
U16, I16, I32 = np.uint16, np.int16, np.int32
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
    """As `augment_reference.turn`, for images `start` to `stop`."""
    n = height * width
    memory = np.zeros(
        4 * up_to(4 * (n + LANES), LINE) + 2 * up_to(n + width + 1 + LANES, LINE) + 64, np.uint8
    )
    for i in range(start, stop):
        source, target = X.ctypes.data + rows[i] * X.strides[0], out.ctypes.data + i * out.strides[0]
        following = X.ctypes.data + rows[min(i + 1, stop - 1)] * X.strides[0]
        where = (flip[i], down[i], right[i], cosine[i], sine[i])
        _turn_one(source, following, target, where, channels, height, width, memory)


@_jit
def _turn_one(
    source: int, following: int, target: int, where: tuple[Any, ...], channels: int, height: int, width: int,
    memory: Bytes,
) -> None:  # fmt: skip
    """One picture; of the following one a plane is fetched at a time: all at once are too many to wait for.

    All of the memory begins with cache lines: vectors that lie across two of them take 1.5 times as long. Its
    addresses are worked out here, where it is an argument: a local array's memory is given
    back when its name is used for the last time.
    """
    n = height * width
    words, room = up_to(4 * (n + LANES), LINE), up_to(memory.ctypes.data, LINE)
    turned = room + up_to(n + width + 1 + LANES, LINE)
    corners = turned + up_to(n + width + 1 + LANES, LINE)
    place, upper, lower = corners + words, corners + 2 * words, corners + 3 * words
    flip, down, right, cosine, sine = where
    _places(flip, down, right, cosine, sine, height, width, place, upper, lower)
    for plane in range(0, channels * n, n):
        fetch_soon(following + plane, n)
        make_corners(source + plane, n, width, room, corners)
        look_up(corners, place, upper, lower, n, turned, target + plane)


@_jit
def _places(
    flip: bool, down: int, right: int, cosine: int, sine: int, height: int, width: int,
    place: int, upper: int, lower: int,
) -> None:  # fmt: skip
    """Where each pixel of a plane comes from; the three addresses are those of `make_places`."""
    by_u, by_v = -2 * cosine if flip else 2 * cosine, -2 * sine
    for row in range(height):
        y, x = 2 * (row + down) - (height - 1), 2 * right - (width - 1)
        u = cosine * x + sine * y + ((width - 1) << 16)
        v = cosine * y - sine * x + ((height - 1) << 16)
        if flip:
            u = ((width - 1) << 17) + 511 - u  # the same place from the other side, rounded down likewise
        make_places(
            I32(u), I32(by_u), I32(v), I32(by_v), I32(256 * (width - 1)), I32(256 * (height - 1)), I32(width),
            place, upper, lower,
        )  # fmt: skip
        place, upper, lower = place + 4 * width, upper + 4 * width, lower + 4 * width


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
    first, last = start // height, (stop + height - 1) // height  # planes
    for i in range(len(rows)):
        own = X.ctypes.data + rows[i] * X.strides[0]
        other = X.ctypes.data + rows[partner[i]] * X.strides[0]
        mixed = out.ctypes.data + i * out.strides[0]
        copy_bytes(mixed + start * width, own + start * width, (stop - start) * width)
        top, bottom, left, right = boxes[i]
        for plane in range(first, last):
            for r in range(max(start, plane * height + top), min(stop, plane * height + bottom)):
                at = r * width + left
                copy_bytes(mixed + at, other + at, right - left)
