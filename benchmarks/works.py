"""The work: nine pieces, each the same for every contestant."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["WORKS", "Work", "initial_parameters", "loss_of"]

Array = npt.NDArray[Any]
Parameters = list[tuple[Array, Array]]
N_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Work:
    """One row of the table.

    Parameters
    ----------
    key, title : name on the command line, and in words
    kind : "train" is timed by epoch, "sweep" by the whole sweep, "predict" by call
    widths : units of every layer, inputs first
    batch_size : rows per step, or of one call to predict; 0 takes all rows at once
    optimizer, lrs : what trains; more than one learning rate makes a sweep
    epochs : epochs of one repeat (of each setting of a sweep)
    calls : calls of one repeat (of "predict"), of which the median counts
    data : "images" (uint8, 3072 columns, ten classes) or "digits" (64 columns, ten classes)
    positive : the class to tell from all others by one sigmoid unit, None for all classes by softmax
    unit : of the table
    settings_from : the work whose choice of settings is taken over, apart from the number of workers
    """

    key: str
    title: str
    widths: tuple[int, ...]
    kind: Literal["train", "sweep", "predict"] = "train"
    activation: Literal["relu", "sigmoid"] = "relu"
    batch_size: int = 32
    optimizer: Literal["sgd", "adam"] = "sgd"
    lrs: tuple[float, ...] = (0.01,)
    epochs: int = 1
    calls: int = 1
    data: Literal["images", "digits"] = "images"
    positive: int | None = None
    unit: str = "s per epoch"
    settings_from: str = ""

    def shortened(self) -> Work:
        """The same for a quick look."""
        return replace(self, epochs=min(self.epochs, 5), calls=min(self.calls, 30))

    def batches(self, n_rows: int) -> list[int]:
        """Rows of each step of an epoch; the last one may be shorter."""
        size = self.batch_size or n_rows
        return [min(size, n_rows - start) for start in range(0, n_rows, size)]

    def in_unit(self, seconds: float, n_rows: int) -> float:
        """Seconds of one repeat, in the unit of the table."""
        if self.unit.startswith("us per step"):
            return seconds * 1e6 / (self.epochs * len(self.batches(n_rows)))
        if self.unit.startswith("ms"):
            return seconds * 1e3
        return seconds / (self.epochs if self.kind == "train" else 1)


_IMAGES = (3072, 128, 10)
_LARGE = (3072, 1024, 512, 10)
_SWEEP = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02)  # none diverges: all do the same work

WORKS: dict[str, Work] = {
    work.key: work
    for work in (
        Work("W1", "3072-128-10 ReLU, batch 32, SGD", _IMAGES),
        Work("W2", "3072-128-10 ReLU, batch 32, Adam", _IMAGES, optimizer="adam", lrs=(0.001,),
             settings_from="W1"),
        Work(
            "W3", "3072-128-10 ReLU, batch 128, Adam", _IMAGES, batch_size=128, optimizer="adam",
            lrs=(0.001,), settings_from="W1",
        ),
        Work(
            "W4", "3072-1024-512-10 ReLU, batch 128, Adam", _LARGE, batch_size=128, optimizer="adam",
            lrs=(0.001,),
        ),
        Work(
            "W5", "digits 64-100-10 ReLU, batch 32, Adam", (64, 100, 10), optimizer="adam", lrs=(0.001,),
            epochs=60, data="digits", unit="us per step",
        ),
        Work("W6", "3072-1 logistic, full batch", (3072, 1), batch_size=0, epochs=5, positive=0),
        Work(
            "W7", "3072-64-10 sigmoid, full batch", (3072, 64, 10), activation="sigmoid", batch_size=0,
            lrs=(0.1,), epochs=3,
        ),
        Work(
            "W8", "8 learning rates x W1, 2 epochs each", _IMAGES, kind="sweep", lrs=_SWEEP, epochs=2,
            unit="s in all", settings_from="W1",
        ),
        Work(
            "W9a", "predict 1 row, W4's network", _LARGE, kind="predict", batch_size=1, calls=300,
            unit="ms per call",
        ),
        Work(
            "W9b", "predict 10,000 rows, W4's network", _LARGE, kind="predict", batch_size=10_000, calls=3,
            unit="ms per call",
        ),
    )
}  # fmt: skip


def initial_parameters(work: Work) -> Parameters:
    """Weights (inputs, outputs) and biases that every contestant starts from, float32."""
    rng = np.random.default_rng(0)
    gain = 2.0 if work.activation == "relu" else 1.0
    return [
        (
            (rng.standard_normal((I, O), np.float32) * np.float32(np.sqrt(gain / I))).astype(np.float32),
            np.zeros(O, np.float32),
        )
        for I, O in zip(work.widths, work.widths[1:], strict=False)  # noqa: E741
    ]


def loss_of(work: Work, models: list[Parameters], X: Array, y: Array) -> float:
    """Mean cross-entropy of trained networks on these rows, by one plain piece of NumPy for everybody.

    Parameters
    ----------
    models : weights and biases, one list for each network
    X : (n, widths[0]) float32, scaled; y : (n,) classes
    """
    losses = []
    for parameters in models:
        A = X
        for number, (W, b) in enumerate(parameters):
            A = A @ np.asarray(W, np.float32) + np.asarray(b, np.float32)
            if number < len(parameters) - 1:
                A = np.maximum(A, 0) if work.activation == "relu" else 1 / (1 + np.exp(-A))
        if work.positive is not None:
            z = A[:, 0]
            losses.append(float(np.mean(np.logaddexp(0, z) - z * (y == work.positive))))
        else:
            top = A.max(axis=1, keepdims=True)
            log_total = np.log(np.exp(A - top).sum(axis=1)) + top[:, 0]
            losses.append(float(np.mean(log_total - A[np.arange(len(A)), y])))
    return float(np.mean(losses))
