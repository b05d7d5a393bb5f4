"""Where threads run. Linux puts a new thread, or one that wakes up, where the one runs that called it, and
takes up to 200 ms to part two that never sleep."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

__all__ = ["leave_processor", "move_to_processor", "processor"]

_getcpu = None if sys.platform == "win32" else getattr(ctypes.CDLL(None), "sched_getcpu", None)


def processor() -> int:
    """The number of the processor that this thread runs on; -1 where the system does not tell."""
    return -1 if _getcpu is None else int(_getcpu())


def move_to_processor(place: int) -> None:
    """Run on the processor with this place among those allowed, and be free to move on from there."""
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        with suppress(OSError):  # a sandbox may forbid it, and a container may have lost the processor
            try:
                os.sched_setaffinity(0, {sorted(allowed)[place % len(allowed)]})
            finally:
                os.sched_setaffinity(0, allowed)


def leave_processor(number: int, place: int) -> None:
    """If this thread runs on that processor, move it to the `place`-th after it."""
    if number >= 0 and processor() == number and hasattr(os, "sched_getaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        move_to_processor((allowed.index(number) if number in allowed else 0) + place)
