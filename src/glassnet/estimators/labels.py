"""The labels of a classifier: which ones there are, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError

__all__ = ["absent_classes", "class_weights", "refuse_other_labels"]

Array = npt.NDArray[Any]


def class_weights(
    spec: Mapping[Any, float] | str, classes: Array, codes: Array, sample_weight: Array | None
) -> Array:
    """One factor for each class code (at least two).

    Parameters
    ----------
    spec : label -> factor, others 1; or "balanced": total weight / (n_classes * weight of the class)
    classes : (C,) labels
    codes : (n,) codes of the rows
    sample_weight : (n,) or None

    Examples
    --------
    >>> class_weights("balanced", np.array(["no", "yes"]), np.array([0, 0, 0, 1]), None).tolist()
    [0.666..., 2.0]
    """
    n = max(len(classes), 2)
    if isinstance(spec, str):
        counts = np.bincount(codes.astype(np.int64), weights=sample_weight, minlength=n)
        return np.asarray(counts.sum() / (len(classes) * np.where(counts > 0, counts, np.inf)))
    labels = classes.tolist()
    unknown = set(spec) - set(labels)
    if unknown:
        raise InputError(f"class_weight has labels that y does not have: {sorted(unknown, key=str)}")
    return np.array([spec.get(label, 1.0) for label in labels] + [1.0])[:n]


def refuse_other_labels(now: Array, classes: Array, warm_start: bool) -> None:
    """Refuse labels that the network has no output for, in scikit-learn's words."""
    if warm_start:
        if set(now) != set(classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {classes}, `y` has {now}"
            )
    elif len(np.setdiff1d(now, classes, assume_unique=True)):
        raise ValueError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {classes}. 'y' has {now}."
        )


def absent_classes(classes: Array | None, y: Array) -> str:
    """What to say of classes without any of these rows; "" if there are none, or no classes.

    >>> absent_classes(np.array(["cat", "dog"]), np.array(["dog", "dog"]))
    ', which have none of: cat'
    """
    if classes is None or y.ndim > 1:
        return ""
    absent = np.setdiff1d(classes, y)
    return f", which have none of: {', '.join(map(str, absent))}" if len(absent) else ""
