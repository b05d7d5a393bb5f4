"""glassnet as a user has it: its defaults, images as bytes, nothing chosen but the form of rows to predict.

"glassnet bf16" may round the factors of large products, as PyTorch's bf16 does; all else stays float32.

Only the accuracy of the training batches is left out, which no other contestant computes either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.contestants import Settings
from benchmarks.data import Rows
from benchmarks.works import Array, Parameters, Work, initial_parameters
from glassnet.data.scaling import Scaling
from glassnet.nn import SGD, Adam, Dense, Network, Optimizer
from glassnet.train import Feed, History, Run, fit

if TYPE_CHECKING:
    from glassnet.lab.parallel import Trained

__all__ = ["build"]


def build(work: Work, settings: Settings, rows: Rows) -> Glassnet:
    return Glassnet(work, settings, rows)


class Glassnet:
    """The contestant."""

    def __init__(self, work: Work, settings: Settings, rows: Rows) -> None:
        self.work, self.matmul_precision = work, settings.get("matmul_precision", "full")
        n = work.batch_size if work.kind == "predict" else None
        self.as_bytes = settings.get("data", "uint8") == "uint8"
        self.X = rows.bytes(n) if self.as_bytes else rows.floats(n)
        self.y = rows.y if work.positive is None else (rows.y == work.positive).astype(np.int64)
        self.scaling = Scaling(np.array(rows.scale, np.float32), np.array(0, np.float32))
        self.loss = "softmax_cross_entropy" if work.positive is None else "sigmoid_cross_entropy"
        *hidden, outputs = work.widths[1:]
        self.layers = (*(Dense(units, work.activation) for units in hidden), Dense(outputs))
        self.trained: list[Trained] = []

    def start(self) -> None:
        self.net = Network(
            self.layers, self.work.widths[0], self.loss, seed=0, matmul_precision=self.matmul_precision
        )
        for layer, (W, b) in zip(self.net.layers, initial_parameters(self.work), strict=True):
            assert isinstance(layer, Dense)
            layer.W[:], layer.b[:] = W, b
        if self.work.kind == "train":
            self.feed = Feed(self.net, self.X, self.y, scaling=self.scaling)
            self.training = Run(self.net, self._optimizer(self.work.lrs[0]), History(), 0)
            self.training.optimizer.start(self.net)

    def _optimizer(self, lr: float) -> Optimizer:
        return SGD(lr) if self.work.optimizer == "sgd" else Adam(lr)

    def run(self) -> None:
        if self.work.kind == "predict":
            self.given = self.net.predict(self.X, self.scaling if self.as_bytes else None)
        elif self.work.kind == "sweep":
            self._sweep()
        else:
            self.training.epochs = self.training.epoch + self.work.epochs
            size = self.work.batch_size or "full"
            fit(self.net, self.feed, metrics=(), batch_size=size, resume=self.training)

    def _sweep(self) -> None:
        """Side by side, as the lab does it; it insists on watching some validation rows."""
        from glassnet.lab.parallel import Job, train_all  # whoever trains one network does not load the lab

        jobs = [
            Job(f"lr {lr}", self.layers, self.loss, self._optimizer(lr), self.work.batch_size,
                self.work.epochs, self.y)
            for lr in self.work.lrs
        ]  # fmt: skip
        everybody = np.arange(len(self.y))
        self.trained = train_all(jobs, self.X, everybody, everybody[:32], self.scaling, seed=0)

    def models(self) -> list[Parameters]:
        networks = [done.network for done in self.trained] or [self.net]
        return [[(layer.W, layer.b) for layer in net.layers if isinstance(layer, Dense)] for net in networks]

    def predictions(self) -> Array:
        return self.given
