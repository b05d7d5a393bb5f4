"""Reading data for a verb, and passing on what the reader had to leave out or assume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glassnet.cli.say import say
from glassnet.progress import Progress

if TYPE_CHECKING:
    from glassnet.data.dataset import Dataset

__all__ = ["load"]


def load(source: str, *, target: str | None = None, skip_corrupt: bool, progress: Progress) -> Dataset:
    """The data behind a path or a name."""
    from glassnet.data.read import read

    dataset = read(source, target=target, skip_corrupt=skip_corrupt, progress=progress)
    for note in dataset.notes:
        say(note)
    return dataset
