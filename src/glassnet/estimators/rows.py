"""The rows of one fit: data and targets as they came, and as the network takes them; the validation split."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.nn.network import Network
from glassnet.train import Feed

__all__ = ["Rows", "hold_out"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Checked data of a fit.

    Parameters
    ----------
    X : (n, n_features) of one of the types in `base.STORED`, dense or sparse
    y : (n,) or (n, K) as the user gave it
    target : (n,) class codes or (n, K) floats, as the network's loss takes it
    weight : (n,) sample weights or None
    which : (m,) numbers of the rows that take part, or None for all
    """

    X: Any
    y: Array
    target: Array
    weight: Array | None = None
    which: Array | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0]) if self.which is None else len(self.which)

    def feed(self, network: Network) -> Feed:
        return Feed(network, self.X, self.target, sample_weight=self.weight, rows=self.which)

    def chosen(self) -> tuple[Any, Array, Array | None]:
        """X, y and weights of the rows that take part."""
        if self.which is None:
            return self.X, self.y, self.weight
        return (
            self.X[self.which],
            self.y[self.which],
            None if self.weight is None else self.weight[self.which],
        )


def hold_out(
    rows: Rows, fraction: float, rng: np.random.RandomState, stratify: Array | None
) -> tuple[Rows, Rows]:
    """Rows to learn from and rows to watch, drawn as scikit-learn draws them.

    Classes keep their shares if `stratify` is given. Several classes are not stratified where one is too
    rare for it; with two classes that is an error, as in scikit-learn.

    Parameters
    ----------
    stratify : (n,) class codes, or (n, 1) booleans for two classes, or None
    """
    from sklearn.model_selection import train_test_split

    if stratify is not None and stratify.ndim == 1:
        counts = np.bincount(stratify)
        n_validation = math.ceil(fraction * len(rows))
        n_classes = np.count_nonzero(counts)
        if counts[counts > 0].min() < 2 or min(n_validation, len(rows) - n_validation) < n_classes:
            stratify = None
    training, validation = train_test_split(
        np.arange(len(rows)), random_state=rng, test_size=fraction, stratify=stratify
    )
    return replace(rows, which=training), replace(rows, which=validation)
