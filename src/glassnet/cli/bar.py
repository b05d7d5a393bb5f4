"""Progress on stderr: a bar where a person watches, one line per finished task where a file does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from glassnet.bar import Bar
from glassnet.progress import Progress

__all__ = ["Lines", "progress_on_stderr"]


class Lines(Progress):
    """What a log file wants: nothing that moves, one line when a task is over."""

    def __init__(self) -> None:
        self.task: str | None = None

    def begin(self, task: str, total: int | None = None) -> None:
        self.end()
        self.task, self.total, self.done, self.note = task, total, 0, ""
        self.started = time.perf_counter()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        self.note = note or self.note

    def end(self) -> None:
        if self.task is None:
            return
        steps = f"{self.done}" if self.total is None else f"{self.done}/{self.total}"
        seconds = f"{time.perf_counter() - self.started:.1f} s"
        print("  ".join(filter(None, [self.task, steps, self.note, seconds])), file=sys.stderr)
        self.task = None


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """The progress that suits stderr; whatever happens inside, the terminal is left in order."""
    watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    progress = Bar() if watched else Lines()
    try:
        yield progress
    finally:
        progress.end()
