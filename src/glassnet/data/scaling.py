"""Scalings: x * scale + shift, from stored values to what a network reads, fitted on training rows only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.data.columns import chunks, extremes, moments, quantiles
from glassnet.data.dataset import ImageShape
from glassnet.errors import InputError, unknown_name

__all__ = ["SCALINGS", "Scaling", "fit_scaling", "unit_divisor"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Scaling:
    """The affine map x * scale + shift of stored values to network inputs.

    Parameters
    ----------
    scale, shift : () or (n_features,) float32; one pair for all columns, or one pair each
    kind : the rule that found them
    words : the rule for people, e.g. "divided by 255"

    Examples
    --------
    >>> s = Scaling(np.float32(1 / 16), np.float32(-0.5))
    >>> s.apply(np.array([[0, 16]], np.uint8)).tolist(), s.invert(np.array([[-0.5, 0.5]])).tolist()
    ([[-0.5, 0.5]], [[0.0, 16.0]])
    """

    scale: Floats
    shift: Floats
    kind: str = "custom"
    words: str = ""

    def __post_init__(self) -> None:
        for name in ("scale", "shift"):
            value = np.asarray(getattr(self, name), np.float32)
            if value.ndim > 1 or not np.isfinite(value).all():
                raise InputError(f"a scaling's {name} must be finite numbers of shape () or (n_features,)")
            object.__setattr__(self, name, value)
        if not np.all(self.scale):
            raise InputError("a scaling's scale must not be zero: it could not be inverted")

    def apply(self, X: Array) -> Floats:
        """Network inputs of stored values: X of shape (n, n_features), uint8 or float, to float32."""
        out = np.multiply(X, self.scale, dtype=np.float32, casting="unsafe")
        out += self.shift
        return out

    def invert(self, X: Array) -> Floats:
        """Stored values of network inputs, float32: `invert(apply(X))` is X up to rounding."""
        out = np.subtract(X, self.shift, dtype=np.float32, casting="unsafe")
        out /= self.scale
        return out


def fit_scaling(X: Array, kind: str, image: ImageShape | None = None, *, rows: Rows | None = None) -> Scaling:
    """Fit a scaling on these rows of X: give the training rows, no others.

    Missing values (NaN) are left out. X is read in chunks; 40,000 CIFAR-10 images take 0.1 to 0.4 s.

    Parameters
    ----------
    X : (n, n_features) uint8 or float
    kind : one of `SCALINGS`

        - "unit": divided by one number for all columns: 255 for bytes whose largest value is 128 or more,
          else the largest magnitude (16 for scikit-learn's digits), and 1 if nothing exceeds 1 already
        - "standard": per column, mean 0 and standard deviation 1
        - "min-max": per column, 0 to 1
        - "robust": per column, median 0 and inter-quartile range 1; where that range is 0, half the whole
          range takes its place (Holzmueller et al. 2024)
        - "channel": per image channel, mean 0 and standard deviation 1
        - "none": as stored

        A constant column is centred where the kind centres, and its scale is 1.
    image : shape of the images, needed for "channel"
    rows : (m,) the training rows' numbers; None if X holds training rows only

    Raises
    ------
    InputError
        If the kind is unknown, there is no row, X holds infinite values, or "channel" gets no images.

    Examples
    --------
    >>> X = np.array([[0.0, 5.0], [2.0, 5.0], [100.0, 7.0]])
    >>> fit_scaling(X, "standard", rows=np.array([0, 1])).apply(X).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [99.0, 2.0]]
    """
    if kind not in SCALINGS:
        raise unknown_name("scaling", kind, SCALINGS)
    if not len(X if rows is None else rows):
        raise InputError("a scaling needs at least one training row to be fitted on")
    if kind == "channel" and image is None:
        raise InputError("the scaling 'channel' needs images: use 'standard' for tables")
    if X.dtype != np.uint8:
        _refuse_infinite(X, rows)
    scale, shift, words = _FITS[kind](X, rows, image)
    return Scaling(np.asarray(scale, np.float32), np.asarray(shift + 0.0, np.float32), kind, words)


def unit_divisor(X: Array, rows: Rows | None = None) -> float:
    """What the scaling "unit" divides by, missing and infinite values left out.

    >>> unit_divisor(np.array([[3, 200]], np.uint8)), unit_divisor(np.array([[0.0, 16.0, np.inf]]))
    (255.0, 16.0)
    """
    bounds = np.abs(np.array(extremes(X, rows), np.float64))
    if np.isinf(bounds).any():
        bounds = np.concatenate([np.abs(piece[np.isfinite(piece)]) for piece in chunks(X, rows)])
    largest = float(bounds[np.isfinite(bounds)].max(initial=0))
    if X.dtype == np.uint8 and largest >= 128:
        return 255.0
    return 1.0 if largest == 0 or (X.dtype != np.uint8 and largest <= 1) else largest


def _refuse_infinite(X: Array, rows: Rows | None) -> None:
    columns = np.flatnonzero(np.isinf(extremes(X, rows)).any(axis=0))
    if len(columns):
        raise InputError(
            f"{len(columns)} columns hold infinite values, the first is column {columns[0]}: "
            "replace them (e.g. by missing values) before scaling"
        )


Fitted = tuple[Any, Any, str]


def _none(X: Array, rows: Rows | None, image: ImageShape | None) -> Fitted:
    return 1.0, 0.0, "as stored"


def _unit(X: Array, rows: Rows | None, image: ImageShape | None) -> Fitted:
    divisor = unit_divisor(X, rows)
    return 1 / divisor, 0.0, f"divided by {divisor:g}"


def _standard(X: Array, rows: Rows | None, image: ImageShape | None) -> Fitted:
    m = moments(X, rows)
    scale = _inverse(m.std, m.mean)
    return scale, -m.mean * scale, "each column to mean 0 and standard deviation 1"


def _min_max(X: Array, rows: Rows | None, image: ImageShape | None) -> Fitted:
    low, high = (np.nan_to_num(v.astype(np.float64)) for v in extremes(X, rows))
    scale = _inverse(high - low, low)
    return scale, -low * scale, "each column to 0 ... 1"


def _robust(X: Array, rows: Rows | None, image: ImageShape | None) -> Fitted:
    low, first, median, third, high = np.nan_to_num(quantiles(X, [0, 0.25, 0.5, 0.75, 1], rows))
    spread = np.where(third > first, third - first, (high - low) / 2)
    scale = _inverse(spread, median)
    return scale, -median * scale, "each column to median 0 and inter-quartile range 1"


def _channel(X: Array, rows: Rows | None, image: ImageShape | None) -> Fitted:
    assert image is not None
    m = moments(X, rows)
    planes = m.mean.reshape(image.channels, -1)
    mean = planes.mean(axis=1)
    spread = (m.std.reshape(planes.shape) ** 2 + (planes - mean[:, None]) ** 2).mean(axis=1)
    scale = _inverse(np.sqrt(spread), mean)
    per_plane = image.height * image.width
    words = "each colour channel to mean 0 and standard deviation 1"
    if image.channels == 1:
        return scale[0], -mean[0] * scale[0], words.replace("each colour channel", "all pixels")
    return np.repeat(scale, per_plane), np.repeat(-mean * scale, per_plane), words


def _inverse(spread: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 / spread; 1 for a column whose spread is nothing but rounding: it is constant."""
    constant = spread <= 1e-12 * np.abs(centre)
    return np.asarray(1 / np.where(constant, 1.0, spread))


_FITS = {
    "unit": _unit, "standard": _standard, "min-max": _min_max, "robust": _robust, "channel": _channel,
    "none": _none,
}  # fmt: skip
SCALINGS: tuple[str, ...] = tuple(_FITS)
