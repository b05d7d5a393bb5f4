"""Callbacks: which objects may be some, what they may watch, and that everybody hears of the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import SGD, Activate, Adam, BatchNorm, Dense, Layer, Network
from glassnet.nn.layers import Parameter
from glassnet.train import (
    Average,
    Callback,
    Feed,
    History,
    KeepBest,
    MaxNorm,
    ReduceOnPlateau,
    Run,
    TimeLimit,
    evaluate,
    fit,
    fit_lbfgs,
    many_steps,
)

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def trained(callbacks: Any, *layers: Layer, **settings: Any) -> tuple[Network, Feed, History]:
    network = Network([*layers, Dense(2)], 4)
    feed = Feed(network, X, Y)
    history = fit(network, feed, callbacks=callbacks, **{"epochs": 2, "batch_size": 20} | settings)
    return network, feed, history


class Notes:
    """No Callback, and it has these hooks only."""

    def __init__(self, *hooks: str) -> None:
        self.told: list[str] = []
        for hook in hooks:
            setattr(self, hook, lambda run, hook=hook: self.told.append(hook))


@pytest.mark.parametrize(
    "hooks",
    [("on_step", "on_epoch", "on_end"), ("on_start",), ("on_step",), ("on_epoch",), ("on_end",)],
    ids="+".join,
)
def test_an_object_with_any_of_the_hooks_is_a_callback(hooks: tuple[str, ...]) -> None:
    notes = Notes(*hooks)
    trained([notes])
    once = ["on_start", *["on_step", "on_step", "on_step", "on_epoch"] * 2, "on_end"]
    assert notes.told == [hook for hook in once if hook in hooks]


def test_only_an_object_with_an_on_step_keeps_the_loop_from_many_steps(monkeypatch: Any) -> None:
    asked: list[bool] = []
    real = many_steps._is_still
    monkeypatch.setattr(
        many_steps,
        "_is_still",
        lambda thing, method: (
            real(thing, method)
            if method is not many_steps._ON_STEP
            else asked.append(real(thing, method)) or asked[-1]  # type: ignore[func-returns-value]
        ),
    )
    trained([Notes("on_epoch")], epochs=1)
    trained([Notes("on_step")], epochs=1)
    assert asked in ([True, False], [])  # nobody is asked where there are no such kernels


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([TimeLimit(9.0), 3], r"callbacks\[1\] is 3, which has no on_start, on_step, on_epoch or on_end"),
        ([print], r"callbacks\[0\] is <built-in function print>, which has no on_start"),
        ([KeepBest], r"callbacks\[0\] is the class KeepBest: give an object of it"),
        (KeepBest("loss"), r"callbacks is a list, also of one: callbacks=\[...\]"),
        ("KeepBest", "callbacks is a list"),
    ],
    ids=str,
)
def test_what_is_no_callback_is_refused(callbacks: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trained(callbacks)


class Adds(Callback):
    def on_epoch(self, run: Run) -> None:
        run.history.add("val_score", np.float32(0.5))


@pytest.mark.parametrize("watcher", [KeepBest, ReduceOnPlateau])
@pytest.mark.parametrize(
    ("monitor", "before", "epochs", "hint"),
    [
        ("val_accuracy", [], 0, "did you mean 'accuracy'"),  # there are no validation rows
        ("acuracy", [], 0, r"did you mean 'accuracy'\? \(recorded: epoch, loss, accuracy, lr, seconds\)"),
        ("val_score", [TimeLimit(9.0), Average()], 0, "recorded: epoch"),
        ("val_scor", [Adds()], 1, r"did you mean 'val_score'\? \(recorded: epoch"),
        ("val_scor", [Notes("on_epoch")], 1, "recorded: epoch"),
    ],
)
def test_a_name_that_nobody_records_is_refused_as_soon_as_that_is_known(
    watcher: Any, monitor: str, before: list[Any], epochs: int, hint: str
) -> None:
    done = Notes("on_epoch")
    with pytest.raises(InputError, match=f"'{monitor}' is not recorded, so it cannot be watched.*{hint}"):
        trained([*before, watcher(monitor, mode="max"), done])
    assert done.told == []
    steps = Notes("on_step")
    with pytest.raises(InputError):
        trained([*before, watcher(monitor, mode="max"), steps])
    assert len(steps.told) == 3 * epochs


def test_a_quantity_of_a_callback_in_front_can_be_watched() -> None:
    keep = KeepBest("val_score")
    _, _, history = trained([Adds(), keep])
    assert keep.best_epoch == 1
    assert {type(value) for value in history["val_score"]} == {float}  # it was NumPy's


class Fails(Notes):
    def __init__(self, hook: str, error: BaseException) -> None:
        super().__init__("on_end")
        setattr(self, hook, self.fail)
        self.error = error

    def fail(self, run: Run) -> None:
        raise self.error


def test_all_hear_of_the_end_then_the_first_error_is_raised() -> None:
    keep, last = KeepBest("loss"), Notes("on_end")
    with pytest.raises(ZeroDivisionError) as caught:
        trained([Fails("on_end", ZeroDivisionError()), Fails("on_end", OSError("full")), keep, last])
    assert caught.value.__notes__ == ["And then, at the end of the training: OSError('full')"]
    assert (keep.best_epoch, last.told) == (2, ["on_end"])
    with pytest.raises(LookupError):  # what went wrong in the training comes first
        trained([Fails("on_epoch", LookupError()), Fails("on_end", OSError()), last])
    assert len(last.told) == 2


def test_ctrl_c_while_callbacks_begin_is_an_interruption() -> None:
    first, last = Notes("on_start", "on_step", "on_end"), Notes("on_start", "on_end")
    network, _, history = trained([first, Fails("on_start", KeyboardInterrupt()), last])
    assert (history.interrupted, history.stopped, len(history)) == (True, "interrupted by the user", 0)
    assert first.told == ["on_start", "on_end"]
    assert last.told == []  # it never began
    assert np.array_equal(network.theta, Network([Dense(2)], 4).theta)


def test_an_error_while_callbacks_begin_ends_those_that_had() -> None:
    first, keep = Notes("on_end"), KeepBest("loss")
    trained([keep])
    with pytest.raises(LookupError):
        trained([first, Fails("on_start", LookupError()), keep])
    assert first.told == ["on_end"]


def test_lbfgs_tells_them_as_fit_does() -> None:
    network = Network([Dense(2)], 4)
    feed, duck, last = Feed(network, X, Y), Notes("on_epoch"), Notes("on_end")
    with pytest.raises(InputError, match=r"'los' is not recorded.*did you mean 'loss'"):
        fit_lbfgs(network, feed, callbacks=[KeepBest("los", mode="min")])
    with pytest.raises(InputError, match="has no on_start"):
        fit_lbfgs(network, feed, callbacks=[3])
    with pytest.raises(InputError, match="validation must be a Feed"):
        fit_lbfgs(network, feed, validation=(X, Y))  # type: ignore[arg-type]
    before = network.theta.copy()
    history = fit_lbfgs(network, feed, callbacks=[Fails("on_start", KeyboardInterrupt())])
    assert (history.interrupted, len(history)) == (True, 0)
    assert np.array_equal(network.theta, before)
    with pytest.raises(ZeroDivisionError):
        fit_lbfgs(network, feed, max_iter=3, callbacks=[Fails("on_end", ZeroDivisionError()), duck, last])
    assert (duck.told, last.told) == (["on_epoch"] * 3, ["on_end"])


# BatchNorm's running statistics


def test_an_average_suits_its_batch_norm() -> None:
    """Features around 30: of the weights' way the statistics of the last ones know nothing (0.6 right)."""
    rows = np.random.default_rng(1).normal(size=(400, 4))
    right = []
    for callbacks in ([], [Average(0.999)]):
        network = Network([Dense(16), BatchNorm(), Activate("relu"), Dense(2)], 4)
        feed = Feed(network, rows + 30, (rows[:, 0] > 0).astype(int))
        fit(network, feed, epochs=60, batch_size=20, optimizer=Adam(0.01), callbacks=callbacks)
        right.append(evaluate(network, feed, ("accuracy",))["accuracy"])
    assert right[1] > max(0.95, right[0] - 0.02)


def test_statistics_are_averaged_by_the_rule_of_the_weights() -> None:
    class Follow(Callback):
        def on_start(self, run: Run) -> None:
            self.mean, self.t = run.network.state.astype(float), 0

        def on_step(self, run: Run) -> None:
            self.t += 1
            d = min(0.9, (1 + self.t) / (10 + self.t))
            self.mean = d * self.mean + (1 - d) * run.network.state

    follow, average = Follow(), Average(0.9)
    network, *_ = trained([follow, average], BatchNorm(), epochs=5)
    np.testing.assert_allclose(network.state, follow.mean, rtol=1e-5)
    again = Average(0.9)
    again.restore(average.state())
    other = Network([BatchNorm(), Dense(2)], 4)
    again.put_into(other)
    assert other.state.tobytes() == network.state.tobytes()


def test_the_best_weights_come_back_with_their_statistics() -> None:
    states: list[Array] = []

    class Scores(Callback):
        def on_epoch(self, run: Run) -> None:
            run.history.add("val_score", float(run.epoch == 2))
            states.append(run.network.state.copy())

    network, *_ = trained([Scores(), KeepBest("val_score")], BatchNorm(), epochs=4)
    assert np.array_equal(network.state, states[1])
    assert not np.array_equal(network.state, states[3])


class Scale(Layer):
    """Somebody's own layer: one decayed factor for each input."""

    def parameters(self) -> list[Parameter]:
        return [Parameter("s", (self.n_in,), lambda rng: 3.0, decay=True)]

    def forward(self, X: Array, train: bool) -> Array:
        self.X = X
        return X * self.s  # type: ignore[attr-defined, no-any-return]

    def backward(self, dA: Array) -> Array:
        self.ds[:] = (dA * self.X).sum(axis=0)  # type: ignore[attr-defined]
        return dA * self.s  # type: ignore[attr-defined, no-any-return]


def test_max_norm_leaves_vectors_alone() -> None:
    network, *_ = trained([MaxNorm(0.1)], Scale(), optimizer=SGD(1e-9))
    np.testing.assert_allclose(network.layers[0].s, 3.0, rtol=1e-6)  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.linalg.norm(network.layers[1].W, axis=0), 0.1, rtol=1e-5)  # type: ignore[attr-defined]


def test_max_norm_leaves_frozen_weights_alone() -> None:
    frozen = Dense(6, weight_lr=0, init=np.full((4, 6), 5.0))
    network, *_ = trained([MaxNorm(0.1)], frozen)
    W = [layer.W for layer in network.layers]  # type: ignore[attr-defined]
    assert (W[0] == 5).all()
    assert np.linalg.norm(W[1], axis=0).max() < 0.1001


def test_a_quantity_needs_an_epoch_to_be_added_to() -> None:
    class Early(Callback):
        def on_start(self, run: Run) -> None:
            run.history.add("val_f1", 0.5)

    with pytest.raises(InputError, match="no epoch is recorded yet that 'val_f1' could be added"):
        trained([Early()])


def test_infinite_time_is_no_limit() -> None:
    assert not trained([TimeLimit(np.inf)])[2].stopped
