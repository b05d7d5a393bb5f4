"""The gradient check itself: it must find wrong derivatives, and must not cry wolf."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.nn import (
    ACTIVATIONS,
    BatchNorm,
    Dense,
    Dropout,
    GradientError,
    Layer,
    LayerNorm,
    Network,
    Scale,
    Squared,
    gradient_check,
)

Array = np.ndarray[Any, Any]
X = np.random.default_rng(0).normal(size=(6, 3))
Y = np.array([0, 1, 1, 0, 1, 0])


def verdicts(
    *layers: Layer, loss: Any = "softmax_cross_entropy", y: Array = Y, **settings: Any
) -> dict[str, str]:
    network = Network([*layers, Dense(2)], 3, loss, dtype="float64", seed=3)
    return {e.where: e.verdict for e in gradient_check(network, X, y, **settings)}


def test_a_right_network_is_right() -> None:
    assert set(verdicts(Dense(4, "tanh"), LayerNorm(), Dropout(0.5)).values()) == {"right"}


class ForgetsTheFactor(Scale):
    def backward(self, dA: Array) -> Array:
        dX = super().backward(dA)
        self.ds *= 1.01
        return dX


class ForgetsTheMask(Dropout):
    def backward(self, dA: Array) -> Array:
        return dA


class OneWrongEntry(Dense):
    def backward(self, dA: Array) -> Array:
        dX = super().backward(dA)
        self.dW[1, 2] *= 1.1
        return dX


class WrongByTheInputs(Dense):
    def backward(self, dA: Array) -> Array:
        dX = super().backward(dA)
        dX[0, 0] += 0.1
        return dX


class GivesNaN(Dense):
    def backward(self, dA: Array) -> Array:
        dX = super().backward(dA)
        self.db[0] = np.nan
        return dX


def test_a_wrong_parameter_gradient_is_named() -> None:
    found = verdicts(ForgetsTheFactor())
    assert found.pop("layer 1 (ForgetsTheFactor): s") == "doubtful"  # 1 % is the border of "wrong"
    assert set(found.values()) == {"right"}


def test_a_wrong_gradient_by_the_inputs_shows_in_everything_before() -> None:
    found = verdicts(Dense(4, "tanh"), ForgetsTheMask(0.5))
    wrong = {where for where, verdict in found.items() if verdict == "wrong"}
    assert wrong == {"layer 1 (Dense): W", "layer 1 (Dense): b", "X"}


def test_the_first_layer_must_be_right_by_its_inputs_too() -> None:
    found = verdicts(WrongByTheInputs(4, "tanh"))
    assert [where for where, verdict in found.items() if verdict != "right"] == ["X"]


def test_one_wrong_entry_is_found_and_named() -> None:
    network = Network([OneWrongEntry(4, "tanh"), Dense(2)], 3, dtype="float64")
    worst = max(gradient_check(network, X, Y), key=lambda e: e.error)
    assert (worst.where, worst.entry, worst.n_checked) == ("layer 1 (OneWrongEntry): W", (1, 2), 12)
    assert worst.claimed == pytest.approx(1.1 * worst.measured, rel=1e-6)


def test_nan_is_wrong() -> None:
    assert verdicts(GivesNaN(4, "tanh"))["layer 1 (GivesNaN): b"] == "wrong"


def test_a_wrong_activation_is_found() -> None:
    tanh = replace(ACTIVATIONS["tanh"], name="planted tanh", df=lambda A: 1 - A)
    layer = Dense(4)
    layer.f = tanh  # past the check that `activation` makes
    assert verdicts(layer)["layer 1 (Dense): W"] == "wrong"


def test_a_wrong_loss_is_found() -> None:
    class Half(Squared):
        def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
            return 0.5 * super().gradient(Z, y, w, scale, dZ)

    network = Network([Dense(2)], 3, "squared", dtype="float64", seed=3)
    network.loss = Half()  # past the check of a new network
    assert {e.verdict for e in gradient_check(network, X, X[:, :2])} == {"wrong"}


def test_a_wrong_kernel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = kernels.batch_norm_grad

    def without_the_mean(
        dA: Array, Xn: Array, gamma: Array, rstd: Array, dgamma: Array, dbeta: Array, dX: Array
    ) -> None:
        right(dA, Xn, gamma, rstd, dgamma, dbeta, dX)
        dX += gamma * rstd * dbeta / len(dA)

    monkeypatch.setattr(kernels, "batch_norm_grad", without_the_mean)
    found = verdicts(Dense(4, "tanh"), BatchNorm(), Dense(3, "tanh"))
    assert found["layer 1 (Dense): W"] == "wrong"
    assert found["layer 2 (BatchNorm): gamma"] == "right"


def test_a_wrong_penalty_is_found() -> None:
    def penalty(network: Network, n_rows: int) -> float:
        network.grad += network.theta  # of 0.5 theta², not of theta²
        return float(network.theta @ network.theta)

    assert verdicts(Dense(4, "tanh"), penalties=[penalty])["layer 1 (Dense): W"] == "wrong"


def test_gradients_that_are_zero_are_right() -> None:
    """A bias in front of BatchNorm has none; its difference quotient is rounding noise."""
    assert set(verdicts(Dense(4), BatchNorm()).values()) == {"right"}


def test_the_network_stays_as_it_is() -> None:
    network = Network([Dense(4, "tanh"), BatchNorm(), Dropout(0.5), Dense(2)], 3, seed=5)  # float32
    network.grad[:] = 7
    before = network.theta.copy(), network.state.copy(), network.layers[2].rng.bit_generator.state
    rows = X.copy()
    assert max(e.error for e in gradient_check(network, X, Y)) < 1e-6
    assert np.array_equal(network.theta, before[0])
    assert np.array_equal(network.state, before[1])
    assert network.layers[2].rng.bit_generator.state == before[2]
    assert (network.grad == 7).all()
    assert np.array_equal(X, rows)


def test_many_parameters_are_sampled() -> None:
    network = Network([Dense(50, "tanh"), Dense(2)], 3)
    few = gradient_check(network, X, Y, max_parameters=20)
    assert [e.n_checked for e in few] == [4, 4, 4, 2, 4]
    assert few == gradient_check(network, X, Y, max_parameters=20)
    assert [e.entry for e in few] != [
        e.entry for e in gradient_check(network, X, Y, max_parameters=20, seed=1)
    ]


def test_the_step_matters() -> None:
    coarse = verdicts(Dense(4, "tanh"), h=0.3)
    assert "doubtful" in coarse.values()


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(0.0, "right"), (1e-7, "right"), (1e-5, "right but for kinks"), (1e-3, "doubtful"), (0.02, "wrong"),
     (float("nan"), "wrong"), (float("inf"), "wrong")],
)  # fmt: skip
def test_the_bands(error: float, verdict: str) -> None:
    assert GradientError("X", error, (0,), 1.0, 1.0, 1).verdict == verdict


def test_what_does_not_fit_is_refused() -> None:
    network = Network([Dense(2)], 3)
    with pytest.raises(InputError, match=r"X has shape \(6, 2\) and y \(6,\): need \(B, 3\) and B rows"):
        gradient_check(network, X[:, :2], Y)
    with pytest.raises(InputError, match=r"X has shape \(5, 3\) and y \(6,\)"):
        gradient_check(network, X[:5], Y)
    with pytest.raises(InputError, match="2 outputs stand for classes 0 to 1"):
        gradient_check(network, X, Y + 1)
    for weights in (np.ones(1), np.ones(5), np.ones((6, 1))):
        with pytest.raises(InputError, match=r"sample_weight has shape \(.*\), but needs \(6,\)"):
            gradient_check(network, X, Y, sample_weight=weights)
    with pytest.raises(InputError, match=r"X has shape \(0, 3\) .* at least one"):
        gradient_check(network, X[:0], Y[:0])
    with pytest.raises(InputError, match="weights of these 6 rows add up to 0"):
        gradient_check(network, X, Y, sample_weight=np.zeros(6))
