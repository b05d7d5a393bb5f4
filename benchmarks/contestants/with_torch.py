"""PyTorch on the processor, three contestants: eager, compiled, and with bfloat16 products.

Settings, the fastest of which is found by `benchmarks.settings`:

- data: stored as float32 (or bfloat16) ready for use, or as bytes that are converted batch by batch
- layout: weights as nn.Linear stores them ("out x in"), or the other way
- mode: "eager" or torch.compile's
- compiled: the loss with its gradient (a fused optimizer makes the step), or the whole step as one graph
- precision: products by autocast over float32 weights, or everything in bfloat16
- threads; workers (a sweep): as many trainings at a time, one thread each
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.contestants import Settings
from benchmarks.data import Rows
from benchmarks.works import N_CORES, Array, Parameters, Work, initial_parameters

__all__ = ["build"]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def build(work: Work, settings: Settings, rows: Rows) -> Torch:
    torch.set_flush_denormal(True)  # dead units leave denormal numbers in Adam's moments
    torch.set_num_threads(1 if settings.get("workers", 1) > 1 else settings.get("threads", N_CORES))
    return Torch(work, settings, rows)


def stored(rows: Rows, form: str, n: int | None = None) -> Tensor:
    if form == "uint8":
        return torch.from_numpy(rows.bytes(n))
    if form == "float32":
        return torch.from_numpy(rows.floats(n))
    as_bytes = rows.bytes(n)
    X = torch.empty(as_bytes.shape, dtype=torch.bfloat16)
    for start in range(0, len(X), 1000):
        X[start : start + 1000] = torch.from_numpy(as_bytes[start : start + 1000]) * rows.scale
    return X


class Training:
    """One network on its way: parameters, and what its optimizer keeps."""

    def __init__(self, torch_net: Torch, lr: float) -> None:
        self.parameters = torch_net.initial()
        self.lr = torch.tensor(lr)
        self.t = torch.zeros(())
        self.moments = [[torch.zeros_like(p) for p in self.parameters] for _ in range(2)]
        if torch_net.whole_step:
            for p in self.parameters:
                p.requires_grad_(False)
        else:
            make: Any = torch.optim.SGD if torch_net.work.optimizer == "sgd" else torch.optim.Adam
            self.optimizer = make(self.parameters, lr=lr, fused=True)


class Torch:
    """The contestant."""

    def __init__(self, work: Work, settings: Settings, rows: Rows) -> None:
        self.work, self.rows = work, rows
        self.linear = settings.get("layout", "out x in") == "out x in"
        self.autocast = settings.get("precision") == "autocast"
        self.dtype = torch.bfloat16 if settings.get("precision") == "pure bf16" else torch.float32
        self.workers = settings.get("workers", 1)
        mode = settings.get("mode", "eager")
        self.whole_step = mode != "eager" and settings.get("compiled") == "whole step"
        compiled: Callable[[Any], Any] = (
            (lambda f: f) if mode == "eager" else lambda f: torch.compile(f, mode=mode, dynamic=False)
        )
        self.X = stored(rows, settings["data"], work.batch_size if work.kind == "predict" else None)
        if work.positive is None:
            self.y = torch.from_numpy(rows.y)
        else:
            self.y = torch.from_numpy((rows.y == work.positive).astype(np.float32))[:, None]
        if work.kind == "predict":
            self.answer = compiled(self.probabilities)
        elif self.whole_step:
            self.make_step = compiled(self.step)
        else:
            self.batch_loss = compiled(self.loss)

    # The network

    def initial(self) -> list[Tensor]:
        """W1, b1, W2, b2, ... as leaves of their own."""
        flat = []
        for W, b in initial_parameters(self.work):
            flat += [torch.from_numpy(np.ascontiguousarray(W.T) if self.linear else W), torch.from_numpy(b)]
        return [p.to(self.dtype, copy=True).requires_grad_() for p in flat]

    def logits(self, parameters: list[Tensor], X: Tensor) -> Tensor:
        if X.dtype == torch.uint8:
            X = X.to(self.dtype) * self.rows.scale
        elif not self.autocast:
            X = X.to(self.dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            for i in range(0, len(parameters), 2):
                W, b = parameters[i], parameters[i + 1]
                X = F.linear(X, W, b) if self.linear else torch.addmm(b, X, W)
                if i < len(parameters) - 2:
                    X = torch.relu(X) if self.work.activation == "relu" else torch.sigmoid(X)
        return X.float()

    def loss(self, parameters: list[Tensor], data: Tensor, y: Tensor, rows: Tensor | None) -> Tensor:
        if rows is not None:
            data, y = data.index_select(0, rows), y.index_select(0, rows)
        Z = self.logits(parameters, data)
        if self.work.positive is not None:
            return F.binary_cross_entropy_with_logits(Z, y)
        return F.cross_entropy(Z, y)

    def probabilities(self, parameters: list[Tensor], X: Tensor) -> Tensor:
        return torch.softmax(self.logits(parameters, X), dim=1)

    # Training

    def step(
        self, parameters: list[Tensor], moments: list[list[Tensor]], t: Tensor, lr: Tensor, data: Tensor,
        y: Tensor, rows: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Gradient and update as one graph for the compiler; changes parameters, moments and t in place."""
        grads, loss = torch.func.grad_and_value(self.loss)(parameters, data, y, rows)
        if self.work.optimizer == "sgd":
            for p, g in zip(parameters, grads, strict=True):
                p.sub_((lr * g).to(p.dtype))
            return loss
        t.add_(1)
        rate, root = lr / (1 - BETA1**t), torch.sqrt(1 - BETA2**t)
        for p, g, m, v in zip(parameters, grads, *moments, strict=True):
            m.mul_(BETA1).add_(g, alpha=1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            p.sub_((rate * m / (v.sqrt() / root + EPS)).to(p.dtype))
        return loss

    def epochs(self, training: Training) -> None:
        work, n = self.work, len(self.X)
        size = work.batch_size or n
        with torch.set_grad_enabled(not self.whole_step):
            for _ in range(work.epochs):
                order = torch.randperm(n).split(size) if work.batch_size else (None,)
                total = torch.zeros(())
                for rows in order:
                    if self.whole_step:
                        loss = self.make_step(
                            training.parameters,
                            training.moments,
                            training.t,
                            training.lr,
                            self.X,
                            self.y,
                            rows,
                        )
                    else:
                        loss = self.batch_loss(training.parameters, self.X, self.y, rows)
                        loss.backward()
                        training.optimizer.step()
                        training.optimizer.zero_grad(set_to_none=True)
                    total += loss.detach()
                self.total = float(total)

    # What every contestant offers

    def start(self) -> None:
        torch.manual_seed(0)
        if self.work.kind == "predict":
            self.parameters = [p.requires_grad_(False) for p in self.initial()]
        else:
            self.trainings = [Training(self, self.work.lrs[0])]

    def run(self) -> None:
        if self.work.kind == "predict":
            with torch.inference_mode():
                self.given = self.answer(self.parameters, self.X)
        elif self.work.kind == "sweep":
            self.trainings = [Training(self, lr) for lr in self.work.lrs]
            with ThreadPoolExecutor(self.workers, initializer=self._one_thread_each) as pool:
                list(pool.map(self.epochs, self.trainings))
        else:
            self.epochs(self.trainings[0])

    def _one_thread_each(self) -> None:
        torch.set_flush_denormal(True)
        if self.workers > 1:
            torch.set_num_threads(1)

    def models(self) -> list[Parameters]:
        models = []
        for training in self.trainings:
            flat = [p.detach().float().numpy() for p in training.parameters]
            models.append(
                [(W.T if self.linear else W, b) for W, b in zip(flat[::2], flat[1::2], strict=True)]
            )
        return models

    def predictions(self) -> Array:
        return self.given.numpy()
