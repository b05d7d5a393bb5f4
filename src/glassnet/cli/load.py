"""Reading data for a verb, and passing on what the reader had to leave out or assume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glassnet.cli.options import picture_size
from glassnet.cli.say import say
from glassnet.progress import Progress

if TYPE_CHECKING:
    from glassnet.data.dataset import Dataset

__all__ = ["load"]


def load(
    source: str,
    *,
    progress: Progress,
    size: str | None = None,
    class_names: str | None = None,
    **options: Any,
) -> Dataset:
    """The data behind a path or a name; `options` are those of `glassnet.read`."""
    from glassnet.data.read import read

    names = None if class_names is None else [name.strip() for name in class_names.split(",")]
    dataset = read(source, size=picture_size(size), class_names=names, progress=progress, **options)
    for note in dataset.notes:
        say(note)
    return dataset
