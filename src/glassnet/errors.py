"""Every error glassnet raises on purpose, and the one way to say that a name is unknown.

A message says what is wrong, where, and what to do, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["Diverged", "GlassnetError", "InputError", "MissingExtra", "did_you_mean", "unknown_name"]


class GlassnetError(Exception):
    """Base of all errors that glassnet raises on purpose."""


class InputError(GlassnetError, ValueError):
    """The data, a file or a setting cannot be used as given."""


class MissingExtra(GlassnetError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'glassnet[{extra}]'")


class Diverged(GlassnetError, ArithmeticError):
    """Training met a number that is not finite."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint for the end of a message, empty if nothing known is near.

    >>> did_you_mean("rleu", ["relu", "tanh"]), did_you_mean("x", ["relu"])
    (": did you mean 'relu'?", '')
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is in no registry, with its nearest match.

    >>> str(unknown_name("activation", "rleu", ["relu", "tanh"]))
    "unknown activation 'rleu': did you mean 'relu'? (known: relu, tanh)"
    """
    names = sorted(known)
    return InputError(f"unknown {kind} {name!r}{did_you_mean(name, names)} (known: {', '.join(names)})")
