"""Numbers that somebody gives as a setting, checked when they are given, in one way."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real

from glassnet.errors import InputError

__all__ = ["checked", "whole"]

_RULES: dict[str, Callable[[float], bool]] = {
    "be finite": lambda value: True,
    "be positive": lambda value: value > 0,
    "not be negative": lambda value: value >= 0,
    "be in [0, 1)": lambda value: 0 <= value < 1,
    "be in [0, 1]": lambda value: 0 <= value <= 1,
    "lie between 0 and 1": lambda value: 0 < value < 1,
}


def checked(name: str, value: float, must: str = "be finite") -> float:
    """The number as it was given, if it is one, finite, and as it must be.

    >>> checked("rate", 0.5, "be in [0, 1)")
    0.5
    >>> checked("rate", float("nan"), "be in [0, 1)")
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: rate must be in [0, 1), not nan
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"{name} must be a number, not {value!r}")
    if math.isinf(value):
        must = "be finite"
    if not math.isfinite(value) or not _RULES[must](value):
        raise InputError(f"{name} must {must}, not {value!r}")
    return value


def whole(name: str, value: int, least: int = 1) -> int:
    """The number as Python's own, if it is a whole one and large enough; NumPy's small ones overflow.

    >>> whole("epochs", 0)
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: epochs must be a whole number of at least 1, not 0
    """
    if not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)
