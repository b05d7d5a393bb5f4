"""JAX: an epoch is one compiled function, `lax.scan` over its batches, parameters donated.

Settings, the fastest of which is found by `benchmarks.settings`:

- data: stored as float32 ready for use, or as bytes that are converted batch by batch
- gather: the rows of a batch inside the scan, or all rows in their new order before it
- vectors: XLA's preferred width
- threads; workers (a sweep): as many trainings at a time, one thread each
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contestants import Settings
from benchmarks.data import Rows
from benchmarks.works import Array, Parameters, Work, initial_parameters

__all__ = ["build"]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
State = dict[str, Any]


def build(work: Work, settings: Settings, rows: Rows) -> Jax:
    return Jax(work, settings, rows)


class Jax:
    """The contestant."""

    def __init__(self, work: Work, settings: Settings, rows: Rows) -> None:
        self.work, self.scale = work, np.float32(rows.scale)
        self.workers = settings.get("workers", 1)
        self.per_batch = settings.get("gather", "per batch") == "per batch"
        n = work.batch_size if work.kind == "predict" else None
        X = rows.bytes(n) if settings.get("data") == "uint8" else rows.floats(n)
        y = rows.y if work.positive is None else rows.y == work.positive
        self.X = jax.device_put(X, may_alias=True)
        self.y = jnp.asarray(y, jnp.int32 if work.positive is None else jnp.float32)
        self.rng = np.random.default_rng(0)
        self.train = jax.jit(self.epoch if work.batch_size else self.full_epochs, donate_argnums=0)
        self.answer: Callable[..., jax.Array] = jax.jit(
            lambda parameters, X: jax.nn.softmax(self.logits(parameters, X))
        )

    # The network

    def logits(self, parameters: list[tuple[jax.Array, jax.Array]], X: jax.Array) -> jax.Array:
        if X.dtype == jnp.uint8:
            X = X.astype(jnp.float32) * self.scale
        for i, (W, b) in enumerate(parameters):
            X = X @ W + b
            if i < len(parameters) - 1:
                X = jax.nn.relu(X) if self.work.activation == "relu" else jax.nn.sigmoid(X)
        return X

    def loss(self, parameters: list[tuple[jax.Array, jax.Array]], X: jax.Array, y: jax.Array) -> jax.Array:
        Z = self.logits(parameters, X)
        if self.work.positive is not None:
            z = Z[:, 0]
            return jnp.mean(jnp.logaddexp(0.0, z) - z * y)
        return jnp.mean(jax.nn.logsumexp(Z, axis=1) - jnp.take_along_axis(Z, y[:, None], axis=1)[:, 0])

    # Training

    def step(self, state: State, X: jax.Array, y: jax.Array, lr: jax.Array) -> tuple[State, jax.Array]:
        value, grads = jax.value_and_grad(self.loss)(state["parameters"], X, y)
        if self.work.optimizer == "sgd":
            return {"parameters": jax.tree.map(lambda p, g: p - lr * g, state["parameters"], grads)}, value
        t = state["t"] + 1
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state["m"], grads)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state["v"], grads)
        rate, root = lr / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + EPS), state["parameters"], m, v
        )
        return {"parameters": parameters, "m": m, "v": v, "t": t}, value

    def epoch(
        self, state: State, X: jax.Array, y: jax.Array, order: jax.Array, lr: jax.Array
    ) -> tuple[State, jax.Array]:
        """Whole batches by a scan, then the short last one if there is one."""
        size = min(self.work.batch_size, len(order))
        n_whole = len(order) // size
        main, rest = order[: n_whole * size], order[n_whole * size :]

        def on_rows(state: State, rows: jax.Array) -> tuple[State, jax.Array]:
            return self.step(state, X[rows], y[rows], lr)

        def on_batch(state: State, batch: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
            return self.step(state, *batch, lr)

        if self.per_batch:
            state, losses = lax.scan(on_rows, state, main.reshape(n_whole, size))
        else:
            batches = (X[main].reshape(n_whole, size, -1), y[main].reshape(n_whole, size))
            state, losses = lax.scan(on_batch, state, batches)
        if len(rest):
            state, _ = on_rows(state, rest)
        return state, losses.mean()

    def full_epochs(
        self, state: State, X: jax.Array, y: jax.Array, order: None, lr: jax.Array
    ) -> tuple[State, jax.Array]:
        """Every epoch is one step on all rows."""
        state, losses = lax.scan(lambda s, _: self.step(s, X, y, lr), state, length=self.work.epochs)
        return state, losses[-1]

    def fresh(self) -> State:
        parameters = [(jnp.array(W), jnp.array(b)) for W, b in initial_parameters(self.work)]
        if self.work.optimizer == "sgd":
            return {"parameters": parameters}
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        return {"parameters": parameters, "m": zeros, "v": jax.tree.map(jnp.copy, zeros), "t": jnp.zeros(())}

    def trained(self, state: State, lr: float) -> State:
        rate = jnp.float32(lr)
        for _ in range(self.work.epochs if self.work.batch_size else 1):
            order = None
            if self.work.batch_size:  # drawn by NumPy: XLA's permutation sorts, which is far slower
                order = jnp.asarray(self.rng.permutation(len(self.y)).astype(np.int32))
            state, value = self.train(state, self.X, self.y, order, rate)
        self.value = float(value)
        return state

    # What every contestant offers

    def start(self) -> None:
        self.states = [self.fresh()]

    def run(self) -> None:
        if self.work.kind == "predict":
            self.given = self.answer(self.states[0]["parameters"], self.X)
            self.given.block_until_ready()
        elif self.work.kind == "sweep":
            with ThreadPoolExecutor(self.workers) as pool:
                self.states = list(pool.map(lambda lr: self.trained(self.fresh(), lr), self.work.lrs))
        else:
            self.states = [self.trained(self.states[0], self.work.lrs[0])]
        if self.work.kind != "predict":
            jax.block_until_ready(self.states)

    def models(self) -> list[Parameters]:
        return [[(np.asarray(W), np.asarray(b)) for W, b in state["parameters"]] for state in self.states]

    def predictions(self) -> Array:
        return np.asarray(self.given)
