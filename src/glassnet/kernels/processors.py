"""Where threads run."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["move_to_processor"]


def move_to_processor(place: int) -> None:
    """Run on the processor with this place among those allowed, and be free to move on from there.

    A new thread starts where its parent runs, and Linux takes up to 200 ms to part two that never sleep.
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        with suppress(OSError):  # a sandbox may forbid it, and a container may have lost the processor
            try:
                os.sched_setaffinity(0, {sorted(allowed)[place % len(allowed)]})
            finally:
                os.sched_setaffinity(0, allowed)
