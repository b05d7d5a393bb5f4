"""How a training ends: at its best, early, by the clock, by Ctrl-C, or where numbers are no longer finite."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from typing import Any

import numpy as np
import pytest
from numba import njit

from glassnet.errors import InputError
from glassnet.nn import (
    SGD,
    Activate,
    Adam,
    BatchNorm,
    Custom,
    Dense,
    Dropout,
    Layer,
    Network,
    Noise,
    Residual,
    Squared,
)
from glassnet.train import (
    L1,
    Average,
    Callback,
    Checkpoint,
    ClipNorm,
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
)

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(np.int64)


def setup(*layers: Layer, loss: str = "softmax_cross_entropy") -> tuple[Network, Feed, Feed]:
    network = Network([*layers, Dense(2)], 4, loss)
    y = Y if loss == "softmax_cross_entropy" else np.stack([Y, Y], axis=1).astype(float)
    return network, Feed(network, X, y, rows=np.arange(40)), Feed(network, X, y, rows=np.arange(40, 60))


class Says(Callback):
    """Records "val_score" from a list, and the weights at each epoch."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.thetas = scores, [np.empty(0)]

    def on_epoch(self, run: Run) -> None:
        run.history.add("val_score", self.scores[run.epoch - 1])
        self.thetas.append(run.network.theta.copy())


def best_of(*scores: float, epochs: int | None = None, **settings: Any) -> tuple[int, History]:
    """Number of the epoch whose weights the network has in the end."""
    network, train, _ = setup()
    says = Says(*scores)
    keep = KeepBest("val_score", **settings)
    history = fit(network, train, epochs=epochs or len(scores), callbacks=[says, keep], optimizer=Adam(0.01))
    (found,) = [i for i, theta in enumerate(says.thetas) if np.array_equal(theta, network.theta)]
    return found, history


def test_the_best_weights_are_kept() -> None:
    assert best_of(0.1, 0.5, 0.3, 0.4)[0] == 2
    assert best_of(0.1, 0.5, 0.5, 0.4)[0] == 2
    assert best_of(0.1, 0.5, 0.5, 0.4, later=True)[0] == 3
    assert best_of(math.nan, -math.inf, 0.2, 0.1)[0] == 3
    assert best_of(math.nan, math.nan)[0] == 2  # nothing measured: the last


def test_patience_stops_and_says_why() -> None:
    found, history = best_of(0.1, 0.5, 0.4, 0.4, 0.6, 0.7, patience=2)
    assert (found, len(history)) == (2, 4)
    assert history.stopped == "no better val_score for 2 epochs (best: epoch 2)"
    assert not history.interrupted
    assert not history.diverged
    found, history = best_of(0.1, 0.105, 0.109, 0.2, 0.1, patience=2, min_delta=0.05)
    assert (found, len(history)) == (3, 3)  # small progress is kept but does not count
    found, history = best_of(0.1, 0.2, math.nan, 0.3, 0.2, 0.25, 0.9, patience=2)
    assert (found, len(history)) == (4, 6)  # an epoch without a measurement does not count


def test_losses_should_fall_and_scores_rise() -> None:
    network, train, validation = setup(Dense(30, "relu"))
    keep = KeepBest("val_loss")
    history = fit(network, train, validation=validation, epochs=80, optimizer=Adam(0.03), callbacks=[keep])
    best = int(np.argmin(history["val_loss"]))
    assert best < 79  # it over-fits
    assert keep.best_epoch == best + 1
    assert evaluate(network, validation)["loss"] == pytest.approx(history["val_loss"][best], rel=1e-6)


def test_keeping_waits_for_the_first_measurement() -> None:
    network, train, validation = setup()
    keep = KeepBest("val_loss", patience=1)
    fit(network, train, validation=validation, validate_every=2, epochs=4, callbacks=[keep])
    assert keep.best_epoch in (2, 4)


def test_what_is_not_recorded_cannot_be_watched() -> None:
    network, train, _ = setup()
    with pytest.raises(
        InputError, match=r"'val_loss' is not recorded.*recorded: epoch, loss, accuracy, lr, seconds"
    ):
        fit(network, train, callbacks=[KeepBest("val_loss")])


def test_callbacks_start_afresh_with_every_training() -> None:
    keep, average, plateau = (
        KeepBest("loss"),
        Average(0.9),
        ReduceOnPlateau("loss", patience=1, min_delta=1e9),
    )
    thetas = []
    for layers in ([Dense(7, "tanh")], [], []):
        network, train, _ = setup(*layers)
        fit(network, train, epochs=3, callbacks=[plateau, average, keep])
        thetas.append(network.theta.tobytes())
    assert thetas[1] == thetas[2]


def test_a_plateau_lowers_the_learning_rate() -> None:
    network, train, _ = setup()
    history = fit(
        network, train, epochs=6, optimizer=SGD(1.0),
        callbacks=[Says(0.1, 0.2, 0.2, 0.2, 0.2, 0.2), ReduceOnPlateau("val_score", factor=0.5, patience=2)],
    )  # fmt: skip
    assert history["lr"] == [1, 1, 1, 1, 0.5, 0.5]


def test_the_average_of_the_weights() -> None:
    network, train, _ = setup()
    mean, t = network.theta.astype(float), 0

    class Watch(Callback):
        def on_step(self, run: Run) -> None:
            nonlocal mean, t
            t += 1
            d = min(0.9, (1 + t) / (10 + t))
            mean = d * mean + (1 - d) * run.network.theta

    fit(network, train, epochs=5, optimizer=Adam(0.05), callbacks=[Watch(), Average(0.9)])
    np.testing.assert_allclose(network.theta, mean, rtol=1e-4, atol=1e-6)


def test_the_later_of_the_average_and_the_best_decides() -> None:
    for order in (slice(None), slice(None, None, -1)):
        network, train, _ = setup()
        average, keep = Average(0.9), KeepBest("loss")
        fit(network, train, epochs=3, callbacks=[average, keep][order])
        winner = [average, keep][order][-1]
        assert np.array_equal(network.theta, winner.theta)
        assert not np.array_equal(average.theta, keep.theta)


def test_the_clock_ends_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("glassnet.train.callbacks.time.monotonic", lambda: next(now))
    network, train, _ = setup()
    history = fit(network, train, epochs=50, callbacks=[TimeLimit(25.0)])
    assert (len(history), history.stopped) == (3, "time limit of 25 s reached")


class Interrupts(Callback):
    def __init__(self, hook: str, at: int) -> None:
        self.at = at
        setattr(self, hook, self.interrupt)

    def interrupt(self, run: Run) -> None:
        if (run.epoch if "on_epoch" in self.__dict__ else run.step) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("hook", "at", "epochs"), [("on_step", 37, 18), ("on_epoch", 20, 20)])
def test_ctrl_c_keeps_the_best(hook: str, at: int, epochs: int) -> None:
    network, train, _ = setup()
    keep, says = KeepBest("val_score"), Says(*([0.1, 0.2, 0.9] + [0.5] * 50))
    ended: list[bool] = []

    class End(Callback):
        def on_end(self, run: Run) -> None:
            ended.append(run.history.interrupted)

    history = fit(
        network, train, epochs=50, batch_size=20, callbacks=[says, keep, Interrupts(hook, at), End()]
    )  # fmt: skip
    assert history.interrupted
    assert history.stopped == "interrupted by the user"
    assert len(history) == epochs
    assert {len(column) for column in history.values.values()} == {epochs}
    assert np.array_equal(network.theta, says.thetas[3])
    assert ended == [True]


def test_ctrl_c_in_the_middle_of_an_update() -> None:
    network, train, _ = setup()
    says, keep = Says(0.1, 0.9, 0.5), KeepBest("val_score")
    optimizer, real = SGD(0.1), SGD.update

    def update(theta: Array, grad: Array, moments: list[Array], lr: float, decay: float) -> None:
        real(optimizer, theta, grad, moments, lr, decay)
        if len(says.thetas) == 4:
            raise KeyboardInterrupt

    optimizer.update = update  # type: ignore[method-assign]
    history = fit(network, train, epochs=9, optimizer=optimizer, callbacks=[says, keep])
    assert history.interrupted
    assert np.array_equal(network.theta, says.thetas[2])


def test_errors_of_callbacks_pass_but_everything_is_put_away() -> None:
    network, train, _ = setup()
    says = Says(0.9, 0.5)  # the third epoch fails with IndexError
    with pytest.raises(IndexError):
        fit(network, train, epochs=5, callbacks=[says, KeepBest("val_score")])
    assert np.array_equal(network.theta, says.thetas[1])


def diverging(
    *layers: Layer, lr: float = 1e30, loss: str = "squared", **settings: Any
) -> tuple[Network, History]:
    network, train, validation = setup(*layers, loss=loss)
    settings = {"epochs": 9, "batch_size": 20} | settings
    return network, fit(network, train, validation=validation, optimizer=SGD(lr), **settings)


def test_numbers_that_are_not_finite_stop_with_layer_step_and_operation(caplog: Any) -> None:
    network, train, validation = setup(Dense(5, "relu"), loss="squared")
    with caplog.at_level(logging.WARNING, "glassnet"):
        history = fit(network, train, validation=validation, optimizer=SGD(1e30), epochs=9, batch_size=20)
    assert history.diverged.startswith("layer ")
    assert "step " in history.diverged
    assert "lower the learning rate" in history.diverged
    assert history.stopped == history.diverged
    assert history.diverged in caplog.text
    assert len(history) < 9
    assert {len(column) for column in history.values.values()} == {len(history)}
    last = {name: column[-1] for name, column in history.values.items()}
    assert all(math.isnan(last[name]) for name in ("loss", "val_loss"))


def test_the_layer_of_a_planted_nan_is_named() -> None:
    for layer, name, expected in (
        (0, "W", "layer 1 (Dense)"),
        (1, "gamma", "layer 2 (BatchNorm)"),
        (3, "b", "layer 4"),
    ):
        network, train, _ = setup(Dense(5, "relu"), BatchNorm(), Dropout(0.5))

        class Plant(Callback):
            def on_step(self, run: Run, layer: int = layer, name: str = name) -> None:
                if run.step == 4:
                    getattr(run.network.layers[layer], name).flat[0] = np.nan

        history = fit(network, train, batch_size=20, epochs=9, callbacks=[Plant()])
        assert history.diverged.startswith(f"{expected}")
        assert f"step 4: the optimizer's update made {name} not finite" in history.diverged
        assert len(history) == 2  # seen at the end of the second epoch, or at the first step of the third


def test_the_operation_of_the_forward_pass_is_named() -> None:
    network, train, _ = setup(Dropout(0.0), Dense(5, "relu"), Dense(5, lambda Z: Z + Z**2))
    network.theta[:] = 1e15
    history = fit(network, train, epochs=2)
    assert history.diverged.startswith("layer 3 (Dense), step 0: the forward pass gave")


def test_the_part_of_a_large_batch_is_looked_at() -> None:
    network, train, _ = setup(Dense(5, lambda Z: Z + Z**2))
    network.chunk_rows = 8
    train.X = X.copy()
    train.X[3] = 1e30
    history = fit(network, train, epochs=2, batch_size="full", shuffle=False)
    assert history.diverged.startswith("layer 1 (Dense), step 0: the forward pass gave")


def test_a_squared_error_that_overflows_is_the_learning_rates_fault() -> None:
    """The outputs are huge but finite, their squares are not."""
    network, train, _ = setup(loss="squared")
    history = fit(network, train, optimizer=SGD(1e4), epochs=9, batch_size=20)
    assert re.search(
        r"^loss, step \d+: Squared\(\) of outputs as large as \d\.\d+e\+\d\d is not finite; "
        "lower the learning rate, or scale the targets$",
        history.diverged,
    )


class OwnLoss(Squared):
    def gradient(self, Z: Array, T: Array, w: Array, scale: float, out: Array) -> float:
        return math.nan


class Breaks(Activate):
    def forward(self, X: Array, train: bool) -> Array:
        super().forward(X, train)[0] = np.inf
        return self.A


class OwnLast(Dense):
    """Keeps its outputs where nobody looks."""

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"U": (self.n_out,)}

    def use(self, rows: int) -> None:
        Layer.use(self, rows)

    def forward(self, X: Array, train: bool) -> Array:
        return np.full((len(X), self.n_out), np.inf, np.float32)

    def backward(self, dA: Array) -> Array:
        return dA @ self.W.T


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        ([Dense(2)], OwnLoss(), "loss, step 0: OwnLoss() of finite outputs is not finite; check the targets"),
        ([Dense(3), OwnLast(2)], "squared", "layer 2 (OwnLast), step 0: the forward pass gave an output"),
        ([Dense(3), Residual(Dense(3), Breaks("relu")), Dense(2)], "squared",
         "layer 2 (Residual), its layer 2 (Breaks), step 0: the forward pass gave A"),
    ],
    ids=["loss", "own last layer", "nested"],
)  # fmt: skip
def test_what_is_not_finite_is_named_as_the_network_is_made(
    layers: list[Layer], loss: Any, message: str
) -> None:
    network = Network(layers, 4, loss)
    history = fit(network, Feed(network, X, np.ones((60, 2))))
    assert history.diverged.startswith(message)


def test_parameters_of_nested_layers_are_named_likewise() -> None:
    network, train, _ = setup(Residual(Dense(4)), Dense(3))

    class Plant(Callback):
        def on_start(self, run: Run) -> None:
            run.network.layers[0].layers[0].W[0, 0] = np.nan  # type: ignore[attr-defined]

    planted = fit(network, train, callbacks=[Plant()]).diverged
    assert planted.startswith(
        "layer 1 (Residual), its layer 1 (Dense), step 0: the optimizer's update made W"
    )
    network.layers[0].layers[0].W[0, 0] = 0  # type: ignore[attr-defined]
    network.layers[1].W[0, 0] = np.nan  # type: ignore[attr-defined]
    assert fit(network, train).diverged.startswith("layer 2 (Dense), step 0")


def no_number(network: Network, weight: float) -> float:
    return math.nan


@pytest.mark.parametrize(
    ("treat", "message"),
    [
        (L1(1e308), r"treatment L1\(strength=1e\+308\), step 0: it added inf to the loss"),
        (no_number, "treatment no_number, step 0: it added nan to the loss"),
    ],
)
def test_a_treatment_that_is_not_finite_is_named_before_the_update(treat: Any, message: str) -> None:
    network, train, _ = setup()
    before = network.theta.copy()
    history = fit(network, train, treatments=[L1(0.0), treat, L1(0.0)])
    assert re.match(message, history.diverged)
    assert history.stopped == history.diverged
    assert np.array_equal(network.theta, before)
    assert re.match(message, fit_lbfgs(network, train, treatments=[treat]).diverged)


def root_of_the_error(Z: Any, y: Any) -> Any:
    """Its derivative is not finite where there is no error."""
    error = Z - y
    return np.sqrt(np.abs(error)).sum(1), np.sign(error) * 0.5 / np.sqrt(np.abs(error))


@pytest.mark.parametrize(
    ("optimizer", "size"), [("adam", 20), ("adam", "full"), ("sgd", "full"), ("rmsprop", 20)]
)
def test_a_gradient_that_is_not_finite_is_named_and_not_the_update(optimizer: str, size: Any) -> None:
    network = Network([Dense(3, "relu"), Dense(1, init="zeros")], 4, Custom(root_of_the_error))
    train = Feed(network, X, np.zeros((60, 1)))
    first = network.theta.copy()
    history = fit(network, train, optimizer=optimizer, epochs=1, batch_size=size)
    assert history.diverged.startswith(
        "layer 2 (Dense), step 0: the gradient dW, or its running mean, was not finite"
    )
    network.theta[:] = first
    history = fit_lbfgs(network, train)
    assert history.diverged.startswith(
        "layer 2 (Dense), step 0: the gradient dW, or its running mean, was not finite"
    )
    assert np.array_equal(network.theta, first)


def test_divergence_in_the_very_last_step_is_seen() -> None:
    network, train, _ = setup(loss="squared")
    history = fit(network, train, optimizer=SGD(1e38), epochs=1, batch_size="full")
    network.theta[:] = 1e30
    history = fit(network, train, optimizer=SGD(1e38), epochs=1, batch_size="full")
    assert "not finite" in history.diverged


def test_a_diverged_training_keeps_its_best_weights() -> None:
    network, train, validation = setup(Dense(5, "relu"), loss="squared")
    keep = KeepBest("val_loss")

    class Explode(Callback):
        def on_epoch(self, run: Run) -> None:
            run.lr_factor = 1e30 if run.epoch == 3 else 1.0

    history = fit(
        network,
        train,
        validation=validation,
        optimizer=SGD(0.05),
        epochs=9,
        callbacks=[keep, Explode(), Average()],
    )
    assert history.diverged
    assert keep.best_epoch == 3
    assert np.isfinite(network.theta).all()


def test_a_diverging_first_epoch_leaves_what_can_be_watched() -> None:
    network, train, validation = setup(Dense(5, "relu"), loss="squared")
    history = fit(
        network, train, validation=validation, optimizer=SGD(1e30), epochs=3,
        callbacks=[KeepBest("val_loss", patience=1), ReduceOnPlateau("val_loss")],
    )  # fmt: skip
    assert history.diverged
    assert math.isnan(history["val_loss"][0])


# L-BFGS


def test_lbfgs_reaches_the_optimum_of_logistic_regression() -> None:
    from scipy.optimize import minimize

    network = Network([Dense(1)], 4, "sigmoid_cross_entropy", dtype="float64")
    feed = Feed(network, X, Y)
    history = fit_lbfgs(network, feed, validation=feed, tol=1e-9, max_iter=500)

    def loss(theta: Array) -> float:
        z = X.astype(float) @ theta[:4] + theta[4]
        return float(np.mean(np.logaddexp(0, z) - Y * z))

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8})
    assert evaluate(network, feed)["loss"] == pytest.approx(best.fun, rel=1e-9)
    np.testing.assert_allclose(network.theta, best.x, atol=1e-4)
    assert {len(column) for column in history.values.values()} == {len(history)}
    assert history["loss"] == sorted(history["loss"], reverse=True)
    assert history["val_loss"] == pytest.approx(history["loss"])
    assert "CONVERGENCE" in history.stopped


def test_lbfgs_stops_when_asked_and_keeps_the_latest_iteration() -> None:
    class Stop(Callback):
        def on_epoch(self, run: Run) -> None:
            if run.epoch == 3:
                run.stop("enough")

    class CtrlC(Callback):
        thetas: list[Array] = []  # noqa: RUF012

        def on_epoch(self, run: Run) -> None:
            self.thetas.append(run.network.theta.copy())
            if run.epoch == 4:
                raise KeyboardInterrupt

    network, train, _ = setup(Dense(5, "tanh"))
    history = fit_lbfgs(network, train, callbacks=[Stop()])
    assert (len(history), history.stopped) == (3, "enough")
    history = fit_lbfgs(network, train, callbacks=[CtrlC()])
    assert (len(history), history.interrupted) == (4, True)
    assert np.array_equal(network.theta, CtrlC.thetas[-1])


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_lbfgs_interrupted_within_a_line_search_keeps_the_latest_iteration(factor: float) -> None:
    thetas: list[Array] = []

    class Remember(Callback):
        def on_epoch(self, run: Run) -> None:
            thetas.append(run.network.theta.copy())

    def interrupt(network: Network, weight: float) -> float:
        if len(thetas) == 4:
            assert not np.array_equal(network.theta, thetas[-1])  # a trial step
            raise KeyboardInterrupt
        return 0.0

    network, train, _ = setup(Dense(5, "tanh", weight_lr=factor))
    history = fit_lbfgs(network, train, callbacks=[Remember()], treatments=[interrupt])
    assert (len(history), history.interrupted) == (4, True)
    assert np.array_equal(network.theta, thetas[-1])
    assert evaluate(network, train)["loss"] == pytest.approx(history["loss"][-1])


def test_lbfgs_leaves_frozen_parameters_alone_and_trains_the_others_as_if_there_were_no_more() -> None:
    frozen = Dense(3, "tanh", weight_lr=0.0, bias_lr=0.0)
    network = Network([frozen, Dense(1)], 4, "sigmoid_cross_entropy", dtype="float64", seed=1)
    hidden, last = network.layers
    W, b = hidden.W.copy(), hidden.b.copy()
    alone = Network([Dense(1)], 3, "sigmoid_cross_entropy", dtype="float64")
    alone.layers[0].W[:], alone.layers[0].b[:] = last.W, last.b
    history = fit_lbfgs(network, Feed(network, X, Y))
    same = fit_lbfgs(alone, Feed(alone, np.tanh(X @ W + b), Y))
    assert np.array_equal(hidden.W, W)
    assert np.array_equal(hidden.b, b)
    np.testing.assert_allclose(history["loss"], same["loss"], rtol=1e-9)
    assert history["loss"][-1] < history["loss"][0]


def test_lbfgs_takes_learning_rate_factors_as_a_change_of_variables() -> None:
    """A first step is along -gradient: by phi = theta / sqrt(factor), so by theta along -factor gradient."""
    network = Network([Dense(1, weight_lr=4.0, bias_lr=0.25)], 4, "sigmoid_cross_entropy", dtype="float64")
    feed, first = Feed(network, X, Y), network.theta.copy()
    network.gradient(*feed.take(feed.rows), 1 / len(X))
    wanted = -np.array([4.0] * 4 + [0.25]) * network.grad
    fit_lbfgs(network, feed, max_iter=1)
    step = network.theta - first
    np.testing.assert_allclose(step / np.linalg.norm(step), wanted / np.linalg.norm(wanted))


def test_lbfgs_finds_the_same_minimum_with_any_factors() -> None:
    losses = []
    for factor in (1.0, 6.0, 0.1):
        network = Network([Dense(1, weight_lr=factor)], 4, "sigmoid_cross_entropy", dtype="float64")
        feed = Feed(network, X, Y)
        losses.append(fit_lbfgs(network, feed, tol=1e-9, max_iter=500)["loss"])
    assert losses[1][-1] == pytest.approx(losses[0][-1], rel=1e-7)
    assert losses[2][-1] == pytest.approx(losses[0][-1], rel=1e-7)
    assert losses[0][:3] != losses[1][:3] != losses[2][:3]


@pytest.mark.parametrize(
    ("layer", "settings", "message"),
    [
        (Dropout(0.5), {}, r"Dropout\(rate=0.5\) draws at random"),
        (Noise(0.5), {}, r"Noise\(std=0.5\) draws at random"),
        (Dense(3), {"treatments": [ClipNorm(1.0)]}, "ClipNorm cannot work with L-BFGS"),
        (Dense(3), {"callbacks": [MaxNorm(1.0)]}, "MaxNorm cannot work with L-BFGS"),
        (Dense(3), {"callbacks": [ReduceOnPlateau()]}, "ReduceOnPlateau cannot work with L-BFGS"),
        (Dense(3), {"callbacks": [Checkpoint("run.npz")]}, "Checkpoint cannot work with L-BFGS.*KeepBest"),
        (BatchNorm(), {}, r"BatchNorm\(.*cannot work with L-BFGS: its averages would come from trial steps"),
        (Residual(Dense(4), BatchNorm()), {}, "BatchNorm.*cannot work with L-BFGS"),
        (Dense(3), {"treatments": L1(0.1)}, "treatments is a list"),
        (Dense(3), {"max_iter": "a"}, "L-BFGS needs max_iter of at least 1, not 'a'"),
        (Dense(3), {"memory": None}, "L-BFGS needs memory of at least 1, not None"),
        (Dense(3), {"tol": None}, "the tol of L-BFGS must be a number, not None"),
        (Dense(3), {"max_iter": 0}, "L-BFGS needs max_iter of at least 1, not 0"),
        (Dense(3), {"max_iter": -1}, "L-BFGS needs max_iter of at least 1, not -1"),
        (Dense(3), {"max_fun": 0}, "L-BFGS needs max_fun of at least 1, not 0"),
        (Dense(3), {"memory": 0}, "L-BFGS needs memory of at least 1, not 0"),
        (Dense(3), {"tol": -1e-9}, "must not be negative: -1e-09"),
        (Dense(3), {"tol": math.nan}, "must not be negative: nan"),
    ],
    ids=str,
)
def test_lbfgs_refuses_what_it_cannot_do(layer: Layer, settings: dict[str, Any], message: str) -> None:
    network, train, _ = setup(layer)
    first = network.theta.copy()
    with pytest.raises(InputError, match=message):
        fit_lbfgs(network, train, **settings)
    assert np.array_equal(network.theta, first)


def test_lbfgs_refuses_rows_that_are_changed_at_random() -> None:
    network, _, _ = setup()
    with pytest.raises(InputError, match="augment changes the rows at random"):
        fit_lbfgs(network, Feed(network, X, Y, augment=lambda rows, draw: rows))


@pytest.mark.parametrize("idle", [Dropout(0.0), Noise(0.0)], ids=repr)
def test_lbfgs_takes_layers_that_draw_nothing(idle: Layer) -> None:
    histories = []
    for layers in ([idle], []):
        network, train, _ = setup(*layers)
        histories.append(fit_lbfgs(network, train)["loss"])
    assert histories[0] == histories[1]


@pytest.mark.parametrize(("start", "place"), [(1e30, "layer 2"), (np.nan, "layer 1")])
def test_lbfgs_names_what_is_not_finite_and_what_helps_it(start: float, place: str) -> None:
    network, train, _ = setup(Dense(5, "relu"), loss="poisson")
    network.theta[:] = start
    history = fit_lbfgs(network, train)
    assert history.diverged.startswith(place)
    assert history.diverged.endswith("; scale the inputs, add a penalty, or begin with other weights")


def test_an_epochs_seconds_are_without_those_of_compiling() -> None:
    class Compile(Callback):
        """Compiles something in the first epoch, as the first training ever does."""

        spent = 0.0

        def on_step(self, run: Run) -> None:
            if run.step == 1:
                begun = time.perf_counter()
                njit(lambda x: np.sqrt(x) + 1)(2.0)
                self.spent = time.perf_counter() - begun

    network, train, _ = setup()
    fit(network, train, epochs=1)  # all kernels are there
    compiling, begun = Compile(), time.perf_counter()
    history = fit(network, train, epochs=2, callbacks=[compiling])
    took = time.perf_counter() - begun
    assert compiling.spent > 0.02
    assert 0 < sum(history["seconds"]) < took - 0.8 * compiling.spent


def test_the_clock_of_work_never_goes_back_while_another_thread_compiles() -> None:
    from glassnet.kernels.jit import working_time

    seen, done = [], threading.Event()
    thread = threading.Thread(target=lambda: (njit(lambda x: np.exp(x) + 1)(2.0), done.set()))
    thread.start()
    while not done.is_set():
        seen.append(working_time())
    thread.join()
    seen.append(working_time())
    assert len(seen) > 2
    assert (np.diff(seen) >= 0).all()
