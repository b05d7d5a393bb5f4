"""The coursework that started this project, as its report describes it: float64 NumPy, written by hand.

Kept as it was on purpose, as the "before" of a comparison: one-hot labels, batches in the same order in
every epoch, a Python loop over layers that allocates every array anew, the gradient of the images computed
although nobody asks for it, and an Adam whose step counter never advances. Data are float32 / 255; the
parameters are float64, so every product with the data converts them first.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contestants import Settings
from benchmarks.data import Rows
from benchmarks.works import Array, Parameters, Work, initial_parameters

__all__ = ["build"]


def build(work: Work, settings: Settings, rows: Rows) -> Coursework:
    return Coursework(work, rows)


def sigmoid(Z: Array) -> Array:
    return 1 / (1 + np.exp(-Z))


def softmax(Z: Array) -> Array:
    e = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


class Layer:
    """W, b and what the backward pass needs."""

    def __init__(self, W: Array, b: Array, activation: str) -> None:
        self.W, self.b = W.astype(np.float64), b.astype(np.float64).reshape(1, -1)
        self.activation = activation

    def forward(self, X: Array) -> Array:
        self.X = X
        self.Z = np.dot(X, self.W) + self.b
        if self.activation == "relu":
            self.A = np.maximum(0, self.Z)
        elif self.activation == "sigmoid":
            self.A = sigmoid(self.Z)
        else:
            self.A = softmax(self.Z)
        return self.A

    def backward(self, dA: Array) -> Array:
        m = self.X.shape[0]
        if self.activation == "relu":
            dZ = dA * (self.Z > 0)
        elif self.activation == "sigmoid":
            dZ = dA * self.A * (1 - self.A)
        else:
            dZ = dA  # of softmax with cross-entropy: A - Y
        self.dW = np.dot(self.X.T, dZ) / m
        self.db = np.sum(dZ, axis=0, keepdims=True) / m
        return np.dot(dZ, self.W.T)


class Adam:
    """With the report's mistake: t is never increased."""

    def __init__(self, lr: float) -> None:
        self.lr, self.t = lr, 1
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}

    def update(self, layers: list[Layer]) -> None:
        for i, layer in enumerate(layers):
            for name, grad in (("W", layer.dW), ("b", layer.db)):
                key = f"{name}{i}"
                if key not in self.m:
                    self.m[key], self.v[key] = np.zeros_like(grad), np.zeros_like(grad)
                self.m[key] = 0.9 * self.m[key] + 0.1 * grad
                self.v[key] = 0.999 * self.v[key] + 0.001 * (grad**2)
                m_hat = self.m[key] / (1 - 0.9**self.t)
                v_hat = self.v[key] / (1 - 0.999**self.t)
                setattr(layer, name, getattr(layer, name) - self.lr * m_hat / (np.sqrt(v_hat) + 1e-8))


class SGD:
    def __init__(self, lr: float) -> None:
        self.lr = lr

    def update(self, layers: list[Layer]) -> None:
        for layer in layers:
            layer.W = layer.W - self.lr * layer.dW
            layer.b = layer.b - self.lr * layer.db


class Coursework:
    """The contestant."""

    def __init__(self, work: Work, rows: Rows) -> None:
        self.work = work
        self.X = rows.floats()
        if work.positive is None:
            self.Y = np.eye(work.widths[-1])[rows.y]  # one-hot
        else:
            self.Y = (rows.y == work.positive).astype(np.float64).reshape(-1, 1)

    def start(self) -> None:
        parameters = initial_parameters(self.work)
        last = len(parameters) - 1
        output = "softmax" if self.work.positive is None else "sigmoid"
        self.layers = [
            Layer(W, b, output if i == last else self.work.activation) for i, (W, b) in enumerate(parameters)
        ]
        lr = self.work.lrs[0]
        self.optimizer = Adam(lr) if self.work.optimizer == "adam" else SGD(lr)

    def run(self) -> None:
        for _ in range(self.work.epochs):
            if self.work.positive is None:
                self._epoch()
            else:
                self._logistic_epoch()

    def _epoch(self) -> None:
        """Parts 3 and 4."""
        n = self.X.shape[0]
        size = self.work.batch_size or n
        total = 0.0
        for start in range(0, n, size):
            X, Y = self.X[start : start + size], self.Y[start : start + size]
            A = X
            for layer in self.layers:
                A = layer.forward(A)
            total += -np.mean(np.sum(Y * np.log(A + 1e-8), axis=1)) * len(X)
            dA = A - Y
            for layer in reversed(self.layers):
                dA = layer.backward(dA)
            self.optimizer.update(self.layers)
        self.loss = total / n

    def _logistic_epoch(self) -> None:
        """Part 1: one unit, its gradient written out."""
        (layer,) = self.layers
        m = self.X.shape[0]
        A = sigmoid(np.dot(self.X, layer.W) + layer.b)
        self.loss = -np.mean(self.Y * np.log(A + 1e-8) + (1 - self.Y) * np.log(1 - A + 1e-8))
        dZ = A - self.Y
        layer.dW, layer.db = np.dot(self.X.T, dZ) / m, np.sum(dZ, axis=0, keepdims=True) / m
        self.optimizer.update(self.layers)

    def models(self) -> list[Parameters]:
        return [[(layer.W, layer.b.ravel()) for layer in self.layers]]

    def predictions(self) -> Array:
        raise NotImplementedError("the coursework takes no part in prediction")
