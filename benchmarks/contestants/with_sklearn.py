"""scikit-learn's MLPClassifier, float32, without its penalty and without its check for finite numbers."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.contestants import Settings
from benchmarks.data import Rows
from benchmarks.works import Array, Parameters, Work, initial_parameters

__all__ = ["build"]


def build(work: Work, settings: Settings, rows: Rows) -> Sklearn:
    sklearn.set_config(assume_finite=True)
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is ours
    return Sklearn(work, settings.get("workers", 1), rows)


class Sklearn:
    """The contestant."""

    def __init__(self, work: Work, workers: int, rows: Rows) -> None:
        self.work, self.workers = work, workers
        self.X = rows.floats(work.batch_size if work.kind == "predict" else None)
        self.y = rows.y if work.positive is None else (rows.y == work.positive).astype(np.int64)

    def start(self) -> None:
        self.nets = [self._made(self.work.lrs[0])] if self.work.kind != "sweep" else []

    def _made(self, lr: float) -> MLPClassifier:
        work = self.work
        net = MLPClassifier(
            work.widths[1:-1], activation={"relu": "relu", "sigmoid": "logistic"}[work.activation],
            solver=work.optimizer, alpha=0.0, batch_size=min(work.batch_size or len(self.y), len(self.X)),
            learning_rate_init=lr, momentum=0.0, nesterovs_momentum=False, max_iter=work.epochs,
            shuffle=work.batch_size > 0, tol=0.0, n_iter_no_change=10**9, warm_start=True, random_state=0,
        )  # fmt: skip
        # A first step on a few rows makes its arrays; then they get everybody's first weights.
        classes = np.unique(self.y)
        X = np.resize(self.X[:32], (32, self.X.shape[1]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "batch_size is going to be clipped"
            net.partial_fit(X, np.resize(classes, 32), classes=classes)
        for mine, (W, b) in zip(
            zip(net.coefs_, net.intercepts_, strict=True), initial_parameters(work), strict=True
        ):
            mine[0][:], mine[1][:] = W, b
        del net._optimizer  # and begins with fresh moments
        return net

    def run(self) -> None:
        if self.work.kind == "predict":
            self.given = self.nets[0].predict_proba(self.X)
        elif self.work.kind == "sweep":
            with (
                threadpool_limits(1) if self.workers > 1 else nullcontext(),
                ThreadPoolExecutor(self.workers) as pool,
            ):
                self.nets = list(pool.map(self._trained, self.work.lrs))
        elif self.work.epochs == 1:
            self.nets[0].partial_fit(self.X, self.y)  # keeps Adam's moments
        else:
            self.nets[0].fit(self.X, self.y)  # spares the checks in front of every epoch

    def _trained(self, lr: float) -> MLPClassifier:
        with sklearn.config_context(assume_finite=True):  # its configuration is per thread
            return self._made(lr).fit(self.X, self.y)

    def models(self) -> list[Parameters]:
        return [list(zip(net.coefs_, net.intercepts_, strict=True)) for net in self.nets]

    def predictions(self) -> Array:
        return self.given
