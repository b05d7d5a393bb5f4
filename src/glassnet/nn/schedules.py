"""Schedules: the learning rate's factor as a function of progress p, 0 at the first step, 1 at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from glassnet.errors import InputError
from glassnet.nn.numbers import checked, whole
from glassnet.nn.registry import entry, refuse_settings

__all__ = ["SCHEDULES", "Schedule", "schedule", "warm_up"]

Schedule = Callable[[float], float]


def constant(p: float) -> float:
    """Always 1."""
    return 1.0


def step(p: float, drops: int = 2, factor: float = 0.1) -> float:
    """`drops` equal drops by `factor`, evenly spaced.

    >>> [round(step(p), 3) for p in (0.0, 0.4, 0.9)]
    [1.0, 0.1, 0.01]
    """
    return float(factor ** min(int(p * (drops + 1)), drops))


def exponential(p: float, final: float = 0.01) -> float:
    """From 1 to `final` by a constant rate: final^p."""
    return float(final**p)


def inverse(p: float, final: float = 0.1) -> float:
    """1 / (1 + k p), with k such that it ends at `final`."""
    return 1.0 / (1.0 + (1.0 / final - 1.0) * p)


def linear(p: float, final: float = 0.0) -> float:
    """Straight from 1 to `final`."""
    return 1.0 + (final - 1.0) * p


def cosine(p: float, final: float = 0.0) -> float:
    """Half a cosine from 1 to `final` (Loshchilov & Hutter 2017).

    >>> [round(cosine(p), 3) for p in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    """
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * p))


def one_cycle(p: float, peak: float = 0.3, start: float = 0.04, final: float = 4e-6) -> float:
    """Half a cosine up from `start` to 1 at p = peak, then down to `final` (Smith & Topin 2018)."""
    if p < peak:
        return start + (1.0 - start) * 0.5 * (1.0 - math.cos(math.pi * p / peak))
    return cosine((p - peak) / (1.0 - peak), final)


def coslog4(p: float) -> float:
    """Four cycles that grow longer: 0.5 (1 - cos(2 pi log2(1 + 15 p))) (Holzmüller et al. 2024)."""
    return 0.5 * (1.0 - math.cos(2.0 * math.pi * math.log2(1.0 + 15.0 * p)))


def _warm(p: float, then: Schedule, share: float) -> float:
    if p < share:
        return p / share * then(0.0)
    return then((p - share) / (1.0 - share))


def warm_up(then: Schedule, share: float) -> Schedule:
    """Rise from 0 over the first `share` of the training, then follow `then` over the rest.

    >>> warm = warm_up(cosine, 0.1)
    >>> [round(warm(p), 3) for p in (0.0, 0.05, 0.1, 1.0)]
    [0.0, 0.5, 1.0, 0.0]
    """
    checked("the share of warm-up", share, "be in [0, 1)")
    return partial(_warm, then=then, share=share) if share > 0 else then


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "step": step,
    "exponential": exponential,
    "inverse": inverse,
    "linear": linear,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "coslog4": coslog4,
}


def schedule(spec: str | Schedule, *, warm: float = 0.0, **settings: Any) -> Schedule:
    """The schedule of that name with its settings, or the function itself; `warm` puts a warm-up in front.

    >>> schedule("cosine", final=0.1)(1.0)
    0.1
    """
    if callable(spec):
        refuse_settings("schedule", spec, settings)
        return warm_up(spec, warm)
    if spec == "reduce_on_plateau":
        raise InputError(f"{spec!r} looks at more than progress: it is a callback, ReduceOnPlateau(...)")
    chosen = partial(entry("schedule", SCHEDULES, spec, settings), **settings)
    if chosen.func is step and "drops" in settings:  # beyond their bounds these do not what they say
        whole("drops", settings["drops"], least=0)
    if chosen.func is one_cycle and "peak" in settings:
        checked("peak", settings["peak"], "be in [0, 1)")
    try:  # a wrong setting is an error here, not in the middle of the training
        fine = all(0 <= chosen(p) < math.inf for p in (0.0, 0.5, 1.0))
    except (ArithmeticError, TypeError, ValueError):
        fine = False
    if not fine:
        raise InputError(f"the schedule {spec!r} cannot work with the settings {settings}")
    return warm_up(chosen, warm)
