"""A study as plain JSON: every number of the report for other programs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from glassnet.findings import Severity
from glassnet.lab.results import Study

__all__ = ["study_json"]

_PICTURES = {"samples", "mean_images", "std_images", "pictured"}


def study_json(study: Study) -> dict[str, Any]:
    """All numbers and words of a study as dicts, lists, strings, numbers and None.

    What is not finite becomes None (JSON has no NaN), a severity its name; the pictures are left out.
    The keys are the field names of `Study` and the records in it.

    Examples
    --------
    >>> from glassnet.lab.results import DataSummary
    >>> data = DataSummary("digits", "", 2, 1, "uint8", ("0", "1"), {"train": (1, 1)}, "", ())
    >>> plain = study_json(Study("t", "s", data, (), {}, seconds=float("nan")))
    >>> plain["data"]["counts"], plain["seconds"]
    ({'train': [1, 1]}, None)
    """
    plain: dict[str, Any] = _plain(study)
    return plain


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in _PICTURES]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Severity):
        return value.label
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
