"""Pictures changed at random while training: flip, shift, turn, brightness, contrast, cut-out, mixing.

Everything works on stored bytes, a batch at a time, before the scaling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import ImageShape
from glassnet.errors import InputError

__all__ = ["Augmenter", "Mixed", "Mixer", "changed_rows", "first_rows"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, int, int], tuple[npt.NDArray[Any], ...]]
_DRAWN_AT_ONCE = 8192  # images


class _Room:
    """Memory for rows of bytes, the same at every call as long as it is large enough."""

    def __init__(self) -> None:
        self._rows: Bytes = np.empty((0, 0), np.uint8)

    def __call__(self, n: int, width: int) -> Bytes:
        if len(self._rows) < n or self._rows.shape[1] != width:
            self._rows = np.empty((n, width), np.uint8)
        return self._rows[:n]


class _Ahead:
    """What is drawn from a stream for one batch after another of up to n images, many of them at a time.

    Between two steps of a training, NumPy's functions find their code gone from the processor's caches and
    take five times as long as else: twelve calls for a batch took 60 microseconds.
    """

    def __init__(self) -> None:
        self._made_for: tuple[Any, int] = (None, 0)
        self._batches: Iterator[tuple[Any, ...]] = iter(())

    def __call__(self, draw: Draw, rng: np.random.Generator, n: int) -> tuple[Any, ...]:
        """The next batch's share of what draw(rng, batches, images) gave for many."""
        if self._made_for[0] is not rng or self._made_for[1] < n:
            self._made_for, self._batches = (rng, n), self._endless(draw, rng, n)
        return next(self._batches)

    @staticmethod
    def _endless(draw: Draw, rng: np.random.Generator, n: int) -> Iterator[tuple[Any, ...]]:
        while True:
            yield from zip(*draw(rng, max(1, _DRAWN_AT_ONCE // max(1, n)), n), strict=True)

    def __reduce__(self) -> tuple[type[_Ahead], tuple[()]]:
        """A copy has not drawn anything: its streams are copies, too."""
        return _Ahead, ()


@dataclass
class Augmenter:
    """Changes each image of a batch in its own random way; the label stays.

    In this order: mirrored left to right (half of the images), turned and shifted with reflected border,
    contrast and brightness changed, a square cut out. Flip and shift of 128 CIFAR-10 images take 0.1 ms.

    Parameters
    ----------
    image : shape of the images
    flip : mirror half of the images left to right; not for digits and letters
    shift : largest shift in pixels, up, down, left and right; None: an eighth of the shorter side
    rotate : largest turn in degrees, either way (bilinear)
    cutout : side of the square that is cut out, in pixels; 0 none (DeVries & Taylor 2017); its centre is
        anywhere in the image, so part of it may lie outside
    fill : what the square is filled with, a stored value
    brightness : largest change of brightness, as a share of `white`
    contrast : largest change of contrast about middle grey: 0.2 stretches by 0.8 to 1.2
    white : largest stored value

    Raises
    ------
    InputError
        If a setting is out of range.

    Examples
    --------
    >>> augment = Augmenter(ImageShape(3, 3, 1), flip=True, shift=1)
    >>> X = np.arange(9, dtype=np.uint8)[None]
    >>> augment(X, np.random.default_rng(1)).reshape(3, 3).tolist()
    [[4, 3, 4], [1, 0, 1], [4, 3, 4]]
    """

    image: ImageShape
    flip: bool = True
    shift: int | None = None
    rotate: float = 0.0
    cutout: int = 0
    fill: int = 128
    brightness: float = 0.0
    contrast: float = 0.0
    white: int = 255
    _reach: int = field(init=False, repr=False, compare=False, default=0)
    _ahead: _Ahead = field(init=False, repr=False, compare=False, default_factory=_Ahead)
    _room: _Room = field(init=False, repr=False, compare=False, default_factory=_Room)

    def __post_init__(self) -> None:
        side = min(self.image.height, self.image.width)
        self._reach = side // 8 if self.shift is None else self.shift
        allowed = {
            "shift": (self._reach, (side - 1) // 2),
            "rotate": (self.rotate, 180),
            "cutout": (self.cutout, side),
            "fill": (self.fill, 255),
            "brightness": (self.brightness, 1),
            "contrast": (self.contrast, 1),
        }
        for name, (value, most) in allowed.items():
            if not 0 <= value <= most:
                raise InputError(
                    f"{name}={value} is out of range: 0 to {most} for images of {side} pixels a side"
                )
        if not 1 <= self.white <= 255:
            raise InputError(f"white={self.white} is out of range: 1 to 255")

    def __call__(self, X: Bytes, rng: np.random.Generator, out: Bytes | None = None) -> Bytes:
        """Changed images, X unchanged.

        Parameters
        ----------
        X : (B, n_features) uint8, channel planes
        rng : a stream of its own: `seeds.stream(seed, "augment", epoch)`
        out : (B, n_features) uint8 to write to; None: a buffer that the next call writes to again
        """
        return self.of_rows(X, first_rows(len(X)), rng, out)

    def of_rows(self, X: Bytes, rows: Ints, rng: np.random.Generator, out: Bytes | None = None) -> Bytes:
        """The same for some rows of X, spared a copy; `rows` (B,) are numbers of rows from 0 on."""
        from glassnet.data import loops

        _refuse(X, self.image.n_features)
        n, shape = len(rows), (self.image.channels, self.image.height, self.image.width)
        out = self._room(n, X.shape[1]) if out is None else out
        drawn = self._ahead(self._draw, rng, n)
        if len(drawn[0]) > n:
            drawn = tuple(each[:n] for each in drawn)
        flip, down, right, cosine, sine, gain, offset, top, left = drawn
        if self.rotate:
            loops.turn(X, rows, flip, down, right, cosine, sine, *shape, out)
            X, rows = out, first_rows(n)
        elif self.flip or self._reach or not (self.contrast or self.brightness):
            loops.move(X, rows, flip, down, right, *shape, out)
            X, rows = out, first_rows(n)
        if self.contrast or self.brightness:
            loops.adjust(X, rows, gain, offset, self.white, out)
        if self.cutout:
            loops.cut(out, top, left, self.cutout, self.fill, *shape)
        return out

    def _draw(self, rng: np.random.Generator, batches: int, n: int) -> tuple[npt.NDArray[Any], ...]:
        """What is done to each image, (batches, n) of each number."""
        many, half = (batches, n), self.cutout // 2
        zero = np.zeros(many, np.int64)
        flip, down, right, cosine, sine, gain, offset, top, left = zero > 0, *[zero] * 8
        if self.flip:
            flip = rng.random(many) < 0.5
        if self._reach:
            down, right = (_whole(rng, -self._reach, self._reach, many) for _ in range(2))
        if self.rotate:
            angle = np.deg2rad(self.rotate * (2 * rng.random(many) - 1))
            cosine, sine = (np.rint(65536 * f(angle)).astype(np.int64) for f in (np.cos, np.sin))
        if self.contrast or self.brightness:
            stretch = np.rint(128 + 128 * self.contrast * (2 * rng.random(many) - 1))
            brighter = self.brightness * self.white * (2 * rng.random(many) - 1)
            gain = stretch.astype(np.int64)  # middle grey stays, and the result is rounded:
            offset = np.rint(self.white / 2 * (128 - stretch) + 128 * (brighter + 0.5)).astype(np.int64)
        if self.cutout:
            top = _whole(rng, -half, self.image.height - 1 - half, many)
            left = _whole(rng, -half, self.image.width - 1 - half, many)
        return flip, down, right, cosine, sine, gain, offset, top, left


def _whole(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> Ints:
    """Whole numbers from `low` to `high`, both included."""
    return (low + np.floor((high - low + 1) * rng.random(shape))).astype(np.int64)


@lru_cache(maxsize=8)
def first_rows(n: int) -> Ints:
    """The row numbers 0 to n - 1, kept: between two steps, making them takes 4 microseconds.

    For compiled loops alone, which leave them as they are.
    """
    return np.arange(n)


def changed_rows(augment: Any, X: npt.NDArray[Any], rows: Ints, rng: np.random.Generator) -> Any:
    """What an augmenter makes of some rows of X, spared a copy of them where it can do without.

    Parameters
    ----------
    augment : augment(batch, rng) gives the changed batch; so does augment.of_rows(X, rows, rng), if its class
        has that: the one of the two that was written last, counted by inheritance, is asked
    """
    kind: Any = type(augment)
    if _takes_rows(kind) and X.flags.c_contiguous:
        return augment.of_rows(X, rows, rng)
    return augment(X[rows], rng)


@cache
def _takes_rows(augmenter: type) -> bool:
    written = (vars(kind) for kind in augmenter.__mro__ if {"__call__", "of_rows"} & vars(kind).keys())
    return "of_rows" in next(written, {})


@dataclass(frozen=True)
class Mixed:
    """Images mixed with partners of the same batch; a feed mixes their targets and weights likewise.

    Parameters
    ----------
    X : (B, n_features) uint8
    lam : (B,) float32, share of the image itself; the rest, 1 - lam, is its partner's
    partner : (B,) int64, the partner's place in the batch
    """

    X: Bytes
    lam: npt.NDArray[np.float32]
    partner: npt.NDArray[np.int64]


@dataclass
class Mixer:
    """Mixes each image of a batch with another, by mixup or cutmix; the targets are mixed as the images are.

    By mixup, an image becomes the mean of itself and its partner, weighted lam and 1 - lam, in whole 256ths
    (Zhang, Cisse, Dauphin & Lopez-Paz 2018). By cutmix, it gets a box of its partner's pixels, of area
    1 - lam, anywhere; a box that reaches over the border is cut there, and lam is the share that is left (Yun
    et al. 2019). lam ~ Beta(alpha, alpha). Where both are asked for, each batch is mixed by one of them.

    Parameters
    ----------
    image : shape of the images
    mixup : alpha of mixup, which mixes little where it is small: 0.2 is usual; 0 leaves mixup out
    cutmix : alpha of cutmix: 1.0 is usual; 0 leaves cutmix out
    first : what is done to each image before

    Raises
    ------
    InputError
        If an alpha is negative, or both are 0.

    Examples
    --------
    >>> shape = ImageShape(2, 2, 1)
    >>> mix = Mixer(shape, mixup=0.2, first=Augmenter(shape, flip=True, shift=0))
    >>> X = np.array([[0, 0, 0, 0], [200, 200, 200, 200]], np.uint8)
    >>> mixed = mix(X, np.random.default_rng(1))
    >>> mixed.X.shape, sorted(mixed.partner.tolist())
    ((2, 4), [0, 1])
    """

    image: ImageShape
    mixup: float = 0.0
    cutmix: float = 0.0
    first: Augmenter | None = None
    _room: _Room = field(init=False, repr=False, compare=False, default_factory=_Room)
    _ahead: _Ahead = field(init=False, repr=False, compare=False, default_factory=_Ahead)

    def __post_init__(self) -> None:
        for name, alpha in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not 0 <= alpha < float("inf"):
                raise InputError(f"{name}={alpha} must be 0 (leave it out) or above")
        if not (self.mixup or self.cutmix):
            raise InputError("a Mixer needs mixup or cutmix above 0; without them use an Augmenter alone")

    def __call__(self, X: Bytes, rng: np.random.Generator) -> Mixed:
        """Mixed images, X unchanged; the next call writes to the same memory again.

        Parameters
        ----------
        X : (B, n_features) uint8, channel planes
        rng : a stream of its own: `seeds.stream(seed, "augment", epoch)`
        """
        return self.of_rows(X, np.arange(len(X)), rng)

    def of_rows(self, X: Bytes, rows: Ints, rng: np.random.Generator) -> Mixed:
        """The same for some rows of X, spared a copy; `rows` (B,) are numbers of rows from 0 on."""
        from glassnet.data import loops

        _refuse(X, self.image.n_features)
        if self.first is not None:
            X, rows = changed_rows(self.first, X, rows, rng), first_rows(len(rows))
        n, image, out = len(rows), self.image, self._room(len(rows), X.shape[1])
        by_cutmix, lam, share, boxes, partner = self._ahead(self._draw, rng, n)
        if len(partner) > n:
            lam, share, boxes, partner = lam[:n], share[:n], boxes[:n], partner[partner < n]
        if by_cutmix:
            loops.paste(X, rows, partner, boxes, image.channels, image.height, image.width, out)
        else:
            loops.blend(X, rows, partner, share, out)
        return Mixed(out, lam, partner)

    def _draw(self, rng: np.random.Generator, batches: int, n: int) -> tuple[npt.NDArray[Any], ...]:
        """How each image is mixed, (batches, n) of each number; by cutmix or not, (batches,)."""
        by_cutmix = rng.random(batches) < (0.5 if self.mixup and self.cutmix else bool(self.cutmix))
        alpha = np.where(by_cutmix, self.cutmix, self.mixup)[:, None]
        lam = rng.beta(alpha, alpha, (batches, n))
        share, boxes = np.rint(256 * lam).astype(np.int64), _boxes(rng, self.image, lam)
        lam = np.where(by_cutmix[:, None], _left_over(self.image, boxes), share / 256).astype(np.float32)
        partner = rng.permuted(np.tile(np.arange(n), (batches, 1)), axis=1)
        return by_cutmix, lam, share, boxes, partner


def _boxes(rng: np.random.Generator, image: ImageShape, lam: npt.NDArray[np.float64]) -> Ints:
    """Top, bottom, left and right, (..., 4), of boxes of area 1 - lam (...), cut at the border."""
    ends = []
    for side in (image.height, image.width):
        centre, half = np.floor(side * rng.random(lam.shape)), np.rint(np.sqrt(1 - lam) * side / 2)
        ends += [np.maximum(centre - half, 0), np.minimum(centre + half, side)]
    return np.stack(ends, axis=-1).astype(np.int64)


def _left_over(image: ImageShape, boxes: Ints) -> npt.NDArray[np.float64]:
    """The share of an image outside of its box."""
    top, bottom, left, right = np.moveaxis(boxes, -1, 0)
    left_over: npt.NDArray[np.float64] = 1 - (bottom - top) * (right - left) / (image.height * image.width)
    return left_over


def _refuse(X: Bytes, n_features: int) -> None:
    if X.dtype != np.uint8 or X.ndim != 2 or X.shape[1] != n_features or not X.flags.c_contiguous:
        raise InputError(
            f"augmentation works on rows of {n_features} stored bytes (uint8, in one piece), "
            f"not on {X.dtype} of shape {X.shape}"
        )
