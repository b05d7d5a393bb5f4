"""Numbers as people read them: few digits, thousands apart, never "nan"."""

from __future__ import annotations

import math

__all__ = ["MISSING", "count", "duration", "figure", "setting", "share"]

MISSING = "–"


def figure(x: float | None) -> str:
    """A loss, score or threshold: four decimals below 10, four significant digits above.

    >>> [figure(v) for v in (0.49432, 1.5, 12.3456, 54321.0, 0.0000123, 0.0, float("nan"), float("inf"))]
    ['0.4943', '1.5000', '12.35', '54,321', '1.23e-5', '0.0000', '–', 'infinite']
    """
    if x is None or math.isnan(x):
        return MISSING
    if math.isinf(x):
        return "infinite" if x > 0 else "minus infinite"
    size = abs(x)
    if size >= 1e7 or 0 < size < 5e-4:
        digits, power = f"{x:.2e}".split("e")
        return f"{digits}e{int(power)}"
    if size < 10:
        return f"{x:.4f}"
    return f"{x:.2f}" if size < 100 else f"{x:.1f}" if size < 1000 else f"{x:,.0f}"


def count(n: float | None) -> str:
    """A number of things.

    >>> count(40000), count(float("nan"))
    ('40,000', '–')
    """
    return MISSING if n is None or not math.isfinite(n) else f"{round(n):,}"


def share(x: float | None) -> str:
    """A part of a whole in percent.

    >>> print(share(0.4243), share(0.0004), share(1.0), share(0.0), sep=", ")
    42.4\N{NO-BREAK SPACE}%, 0.04\N{NO-BREAK SPACE}%, 100\N{NO-BREAK SPACE}%, 0\N{NO-BREAK SPACE}%
    """
    if x is None or not math.isfinite(x):
        return MISSING
    percent = 100 * x
    if percent in (0, 100):
        return f"{percent:.0f}\N{NO-BREAK SPACE}%"
    return f"{percent:.{1 if abs(percent) >= 0.1 else 2}f}\N{NO-BREAK SPACE}%"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it.

    >>> duration(0.0351), duration(9.54), duration(108), duration(7505)
    ('35 ms', '9.5 s', '1 min 48 s', '2 h 5 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def setting(value: str | int | float | bool) -> str:
    """A setting as it was given.

    >>> setting(0.01), setting(40000), setting("relu"), setting(True), setting(1e-8)
    ('0.01', '40,000', 'relu', 'yes', '1e-08')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return f"{value:.6g}" if isinstance(value, float) else value
