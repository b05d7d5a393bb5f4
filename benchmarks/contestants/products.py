"""The matrix products of an epoch, alone: the ideal that an engine on the same BLAS can come near to.

The same shapes in the same order with results written in place; no data are gathered, no activation,
loss or optimizer is computed. The gradient of the images is not needed, so that product is left out.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contestants import Settings
from benchmarks.data import Rows
from benchmarks.works import Array, Parameters, Work, initial_parameters

__all__ = ["build"]


def build(work: Work, settings: Settings, rows: Rows) -> Products:
    return Products(work, rows.shape[0])


class Products:
    """The contestant that learns nothing."""

    def __init__(self, work: Work, n_rows: int) -> None:
        self.work, self.n_rows = work, n_rows
        rng = np.random.default_rng(0)
        self.W = [W for W, _ in initial_parameters(work)]
        self.dW = [np.empty_like(W) for W in self.W]
        # Ordinary numbers everywhere: a product of zeros or denormal numbers is another measurement.
        self.A = [rng.standard_normal((work.batch_size, width), np.float32) for width in work.widths]
        self.dA = [rng.standard_normal((work.batch_size, width), np.float32) for width in work.widths]

    def start(self) -> None:
        self.steps = [
            ([A[:size] for A in self.A], [dA[:size] for dA in self.dA])
            for size in self.work.batches(self.n_rows)
        ]
        rng = np.random.default_rng(1)
        self.Z = [rng.standard_normal((self.work.batch_size, W.shape[1]), np.float32) for W in self.W]
        self.dX = [np.empty_like(A) for A in self.A]

    def run(self) -> None:
        layers = list(enumerate(zip(self.W, self.dW, strict=True)))
        for A, dA in self.steps:
            size = len(A[0])
            for i, (W, _) in layers:
                np.matmul(A[i], W, out=self.Z[i][:size])  # (B, O)
            for i, (W, dW) in reversed(layers):
                np.matmul(A[i].T, dA[i + 1], out=dW)  # (I, O)
                if i:
                    np.matmul(dA[i + 1], W.T, out=self.dX[i][:size])  # (B, I)

    def models(self) -> list[Parameters]:
        return []

    def predictions(self) -> Array:
        raise NotImplementedError("the products alone predict nothing")
