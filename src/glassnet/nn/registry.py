"""Looking up what a user named, with its settings: unknown names of either say what was probably meant."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np

from glassnet.errors import InputError, unknown_name

__all__ = ["call_text", "entry", "in_words", "refuse_class", "refuse_settings"]

T = TypeVar("T")


def entry(
    kind: str, known: Mapping[str, Callable[..., T]], name: object, settings: Mapping[str, Any]
) -> Callable[..., T]:
    """The class or function of that name, after a look whether it takes these settings.

    >>> entry("number", {"int": int}, "imt", {})
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: unknown number 'imt': did you mean 'int'? (known: int)
    """
    if not isinstance(name, str) or name not in known:
        raise unknown_name(kind, name, known)
    parameters = inspect.signature(known[name]).parameters.values() if settings else ()
    accepted = [p.name for p in parameters if p.default is not p.empty]
    for setting in settings:
        if setting not in accepted:
            raise unknown_name(f"setting of {kind} {name!r}:", setting, accepted)
    return known[name]


def call_text(thing: object, settings: Mapping[str, Any]) -> str:
    """How a thing with these settings is made, for people; the same in every process.

    >>> call_text(1, {"base": 2, "key": len, "order": np.array([1, 0])})
    'int(base=2, key=len, order=[1, 0])'
    """

    def told(value: Any) -> str:
        if isinstance(value, np.ndarray):
            return repr(value.tolist()) if value.size <= 100 else f"<array of shape {value.shape}>"
        return value.__name__ if inspect.isroutine(value) else repr(value)

    return f"{type(thing).__name__}({', '.join(f'{k}={told(v)}' for k, v in settings.items())})"


def in_words(thing: Any) -> str:
    """A thing in words that are the same in every process."""
    if isinstance(thing, partial):
        named = (f"{name}={in_words(value)}" for name, value in thing.keywords.items())
        settings = ", ".join([*map(in_words, thing.args), *named])
        return f"{in_words(thing.func)}({settings})" if settings else in_words(thing.func)
    if inspect.isroutine(thing):
        return thing.__name__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def refuse_class(kind: str, given: object, base: type) -> None:
    """A class where one of its objects belongs: say how that is made."""
    if isinstance(given, type) and issubclass(given, base):
        raise InputError(f"{given.__name__} is a class: the {kind} is made with brackets, {given.__name__}()")


def refuse_settings(kind: str, ready: object, settings: Mapping[str, Any]) -> None:
    """Settings beside an object that is already made would be ignored: an error instead."""
    if settings:
        raise InputError(
            f"the {kind} {ready!r} is already made: it cannot take the settings {dict(settings)}"
        )
