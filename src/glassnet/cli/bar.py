"""Progress on stderr: a bar where a person watches, one line per finished task where a file does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from glassnet.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

__all__ = ["Bar", "Lines", "progress_on_stderr"]


class Bar(Progress):
    """One live bar per task: steps done, the latest note, time gone and time left."""

    def __init__(self) -> None:
        self.bars: Bars | None = None

    def begin(self, task: str, total: int | None = None) -> None:
        from rich import progress as rich
        from rich.console import Console

        self.end()
        self.bars = rich.Progress(
            rich.TextColumn("{task.description}", markup=False),
            rich.BarColumn(bar_width=24),
            rich.MofNCompleteColumn(),
            rich.TextColumn("{task.fields[note]}", markup=False),
            rich.TimeElapsedColumn(),
            rich.TextColumn("left"),
            rich.TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
        )
        self.bars.add_task(task, total=total, note="")
        self.bars.start()

    def advance(self, steps: int = 1, note: str = "") -> None:
        if self.bars is not None:
            self.bars.update(self.bars.task_ids[0], advance=steps, note=note)

    def end(self) -> None:
        if self.bars is not None:
            self.bars.stop()  # the bar stays on the screen as it was
        self.bars = None


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
