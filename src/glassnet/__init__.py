"""glassnet: plain neural networks you can see through."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The public names and the modules they live in. Each module is imported when its name is first used:
# `import glassnet` costs nothing, and the command starts at once.
_HOME = {
    "Dataset": "glassnet.data.dataset",
    "Diverged": "glassnet.errors",
    "Finding": "glassnet.findings",
    "GlassnetError": "glassnet.errors",
    "InputError": "glassnet.errors",
    "MissingExtra": "glassnet.errors",
    "Progress": "glassnet.progress",
    "Severity": "glassnet.findings",
}

__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:  # the same names for type checkers and editors; a test compares the two lists
    from glassnet.data.dataset import Dataset as Dataset
    from glassnet.errors import Diverged as Diverged
    from glassnet.errors import GlassnetError as GlassnetError
    from glassnet.errors import InputError as InputError
    from glassnet.errors import MissingExtra as MissingExtra
    from glassnet.findings import Finding as Finding
    from glassnet.findings import Severity as Severity
    from glassnet.progress import Progress as Progress

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next use finds it at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
