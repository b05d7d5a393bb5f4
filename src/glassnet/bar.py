"""A progress bar on stderr, for those who ask for one: the command, and estimators with progress=True."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glassnet.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

__all__ = ["Bar"]


class Bar(Progress):
    """One live bar per task: steps done, time left and the latest note."""

    def __init__(self) -> None:
        self.bars: Bars | None = None

    def begin(self, task: str, total: int | None = None) -> None:
        from rich import progress as rich
        from rich.console import Console
        from rich.table import Column

        self.end()
        self.bars = rich.Progress(
            rich.TextColumn("{task.description}", markup=False),
            rich.BarColumn(bar_width=10),
            rich.MofNCompleteColumn(),
            rich.TextColumn("left"),
            rich.TimeRemainingColumn(compact=True),
            # The note takes what is left of the line: on a narrow terminal it is cut, not the numbers.
            rich.TextColumn("{task.fields[note]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            console=Console(stderr=True),
            expand=True,
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
