"""How long work tells that it goes on. The library is silent; the command draws a bar."""

from __future__ import annotations

__all__ = ["Progress"]


class Progress:
    """Receives the news of one task after another; this base class ignores them.

    `begin` opens a task of `total` steps (None: unknown), `advance` reports steps done with a short note
    ("loss 1.234  accuracy 0.41"), `end` closes the task, also when it was interrupted.
    """

    def begin(self, task: str, total: int | None = None) -> None:
        """A task starts."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Some steps of the present task are done."""

    def end(self) -> None:
        """The present task is over."""
