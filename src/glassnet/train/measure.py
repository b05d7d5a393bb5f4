"""Measuring a network on a feed: its loss and its metrics, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError, unknown_name
from glassnet.nn import crew
from glassnet.nn.losses import SoftmaxCrossEntropy
from glassnet.nn.network import Network
from glassnet.train.feed import Feed

__all__ = [
    "METRICS",
    "Metric",
    "accuracy",
    "checked_metrics",
    "evaluate",
    "metric",
    "metric_sums",
    "outputs",
]

Array = npt.NDArray[Any]
#: (outputs (B, K): logits of classes, else predicted values; targets) -> sum over the rows, to be averaged
Metric = Callable[[Array, Array], float]


def accuracy(Z: Array, y: Array) -> float:
    """Rows decided rightly: by argmax for class codes, by the sign of each logit for yes/no targets.

    >>> accuracy(np.array([[0.2, 0.9], [0.8, 0.1]]), np.array([1, 1]))
    1.0
    """
    if y.ndim == 1:
        return float(kernels.hits(Z, y))
    return float(np.count_nonzero(((Z > 0) == (y > 0.5)).all(axis=1)))


def squared_error(Z: Array, y: Array) -> float:
    """Squared error, mean over the outputs."""
    return float(np.square(Z - y).mean(axis=1).sum())


def absolute_error(Z: Array, y: Array) -> float:
    """Absolute error, mean over the outputs."""
    return float(np.abs(Z - y).mean(axis=1).sum())


#: one's own is put here under a name, for outputs and targets of the networks that it will be asked of:
#: `METRICS["top_3"] = top_3`, then `fit(..., metrics=["accuracy", "top_3"])`
METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
}
_OF_VALUES = (squared_error, absolute_error)
_RECORDED_ANYWAY = ("epoch", "loss", "lr", "seconds")


def metric(name: str) -> Metric:
    """The metric of that name."""
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return METRICS[name]


def checked_metrics(network: Network, names: Sequence[str] | None) -> tuple[str, ...]:
    """What a history records besides the loss; if nothing is said, accuracy for classes.

    Raises
    ------
    InputError : an unknown name, one name in place of a list, accuracy of values, or an error of classes
    """
    if isinstance(names, str):
        raise InputError(f"metrics is a list of names, also of one: metrics=[{names!r}]")
    if names is None:
        return ("accuracy",) if network.loss.classifies else ()
    for name in names:
        known = metric(name)
        if name in _RECORDED_ANYWAY or name.startswith("val_"):
            raise InputError(f"a metric cannot be called {name!r}: a history has that of its own")
        if known in (_OF_VALUES if network.loss.classifies else (accuracy,)):
            raise InputError(f"the metric {name!r} does not fit the loss {network.loss!r}")
    return tuple(names)


def measured(metrics: Sequence[str], validation: bool) -> tuple[str, ...]:
    """The names under which a history has what is measured after each epoch.

    >>> measured(("accuracy",), validation=True)
    ('loss', 'accuracy', 'val_loss', 'val_accuracy')
    """
    own = ("loss", *metrics)
    return (*own, *(f"val_{name}" for name in own)) if validation else own


def metric_sums(network: Network, Z: Array, y: Array, names: Sequence[str]) -> list[float]:
    """Each metric of some rows, summed over them.

    It is given logits of classes, which decide as the probabilities do, else the values; and of the targets
    of mixed classes the one with the largest share.
    """
    if not names:
        return []
    if y.ndim == 2 and isinstance(network.loss, SoftmaxCrossEntropy):
        y = y.argmax(axis=1)
    given = Z if network.loss.classifies else network.loss.link(Z)
    return [metric(name)(given, y) for name in names]


@np.errstate(over="ignore", invalid="ignore")  # a network that diverged says so by numbers, not by warnings
def outputs(network: Network, feed: Feed) -> Array:
    """Logits of every row of a feed, in its order, shape (len(feed), n_outputs)."""
    return crew.outputs(network, feed)


@np.errstate(over="ignore", invalid="ignore")
def evaluate(network: Network, feed: Feed, metrics: Sequence[str] = ()) -> dict[str, float]:
    """Weighted mean loss ("loss") and plain mean of each metric over all rows of a feed."""
    total = feed.total_weight(feed.rows)

    def look(network: Network, stretch: slice) -> list[float]:
        sums = [0.0] * (1 + len(metrics))
        for rows in feed.pieces(network, stretch):
            X, y, w = feed.stretch(network, rows)
            Z = network.forward(X)
            found = [value / len(feed) for value in metric_sums(network, Z, y, metrics)]
            loss = network.loss.gradient(Z, y, w, 1.0 / total, network.dZ)  # dZ is scratch here
            sums = [a + b for a, b in zip(sums, (loss, *found), strict=True)]
        return sums

    with crew.prepared(network, feed, len(feed)):
        columns = zip(*crew.over_rows(network, len(feed), look), strict=True)
    return dict(zip(("loss", *metrics), map(sum, columns), strict=True))
