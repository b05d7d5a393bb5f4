"""Right factors that stay as they are for many products, made ready for these: where those find them.

What is made of them is the affair of `by_halves.py` and `by_digits.py`, when and for whom of `stored.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy.typing as npt

__all__ = ["as_prepared", "keeping", "key_of"]

Array = npt.NDArray[Any]
_prepared: ContextVar[Mapping[Hashable, Array]] = ContextVar("right factors made ready for products")


def key_of(factor: Array, *how: Hashable) -> Hashable:
    """A factor is known by where it lies, and by what else its form depends on."""
    return (factor.ctypes.data, *factor.shape, *factor.strides, *how)


def as_prepared(factor: Array, *how: Hashable) -> Array:
    """The form that somebody made ready, else the factor itself: the compiled loops take both."""
    ready = _prepared.get({})
    return ready.get(key_of(factor, *how), factor) if ready else factor


@contextmanager
def keeping(ready: Mapping[Hashable, Array]) -> Iterator[None]:
    """Within, products find these, by what `key_of` says of each. Threads need a copy of the context."""
    token = _prepared.set(ready)
    try:
        yield
    finally:
        _prepared.reset(token)
