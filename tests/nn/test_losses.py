"""Losses: focal ones between yes and no, somebody's own, and batches that do not fit together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import (
    LOSSES,
    Custom,
    Dense,
    Huber,
    Loss,
    Network,
    Poisson,
    Residual,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Squared,
    loss,
)

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
ONE = np.ones(1)


def value_and_gradient(loss: Loss, Z: Array, y: Array) -> tuple[float, Array]:
    dZ = np.empty_like(Z)
    return loss.gradient(Z, y, ONE, 1.0, dZ), dZ


# ---- focal loss of a yes or no


@pytest.mark.parametrize("focal", [0.3, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_linear_in_its_target(focal: float) -> None:
    """As every cross-entropy: mixed rows rely on it."""
    Z, share = RNG.normal(0, 3, (6, 3)), 0.3
    of = SigmoidCrossEntropy(focal=focal)
    yes, no = (value_and_gradient(of, Z, np.full_like(Z, y)) for y in (1.0, 0.0))
    mixed = value_and_gradient(of, Z, np.full_like(Z, share))
    assert mixed[0] == pytest.approx(share * yes[0] + (1 - share) * no[0], rel=1e-12)
    np.testing.assert_allclose(mixed[1], share * yes[1] + (1 - share) * no[1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("y", [0.0, 0.3, 0.5, 1.0])
def test_a_focal_loss_of_hardly_any_focus_is_the_plain_one(y: float) -> None:
    Z = RNG.normal(0, 3, (6, 2))
    Y = np.full_like(Z, y)
    plain = value_and_gradient(SigmoidCrossEntropy(), Z, Y)
    focal = value_and_gradient(SigmoidCrossEntropy(focal=1e-9), Z, Y)
    assert focal[0] == pytest.approx(plain[0], rel=1e-7)
    np.testing.assert_allclose(focal[1], plain[1], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_focal_loss_of_a_plain_answer(y: float) -> None:
    """-(1 - p)^g log p of the probability p of the true answer (Lin et al. 2017)."""
    Z = np.array([[-4.0], [-0.5], [0.0], [2.0]])
    p = 1 / (1 + np.exp(-(2 * y - 1) * Z))
    value, _ = value_and_gradient(SigmoidCrossEntropy(focal=2.0), Z, np.full_like(Z, y))
    assert value == pytest.approx(float(np.sum(-((1 - p) ** 2) * np.log(p))), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_focal_loss_of_large_outputs_is_finite(dtype: str) -> None:
    Z = np.array([[-1e4], [-100.0], [100.0], [1e4]], dtype)
    for y in (0.0, 0.5, 1.0):
        value, dZ = value_and_gradient(SigmoidCrossEntropy(focal=2.0), Z, np.full_like(Z, y))
        assert np.isfinite(value)
        assert np.isfinite(dZ).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_large_batch_in_pieces_is_the_sum_of_its_rows(name: str, weighted: bool) -> None:
    focal = {"focal": 2.0} if "cross" in name else {}
    of, n, K = loss(name, **focal), 3000, 20
    Z, Y = RNG.normal(size=(n, K)), RNG.integers(2, size=(n, K))
    y = of.targets(Y.argmax(axis=1) if name.startswith("softmax") else Y, K, Z.dtype)
    w = RNG.uniform(size=n) if weighted else ONE
    dZ = np.empty_like(Z)
    value = of.gradient(Z, y, w, 0.1, dZ)
    part, alone = np.empty_like(Z), 0.0
    for i in range(0, n, 100):
        rows = slice(i, i + 100)
        alone += of.gradient(Z[rows], y[rows], w[rows] if weighted else w, 0.1, part[rows])
    assert value == pytest.approx(alone, rel=1e-12)
    np.testing.assert_allclose(dZ, part, rtol=1e-12)


# ---- somebody's own


def mean_of_outputs(Z: Array, y: Array) -> tuple[Array, Array]:
    """Right for one output; for K of them the gradient is K times too large."""
    return ((Z - y) ** 2).mean(axis=1), 2 * (Z - y)


def broken_from_three_on(Z: Array, y: Array) -> tuple[Array, Array]:
    G = 2 * (Z - y)
    G[:, 2:] *= 1.1
    return ((Z - y) ** 2).sum(axis=1), G


def together(Z: Array, y: Array) -> tuple[Array, Array]:
    """Each row's loss has the mean of all rows in it; the gradient is that of the sum."""
    D = Z - y - (Z - y).mean(axis=0)
    return (D**2).sum(axis=1), 2 * D


def into_outputs(Z: Array, y: Array) -> tuple[Array, Array]:
    Z -= y
    return 0.5 * (Z**2).sum(axis=1), Z


def into_targets(Z: Array, y: Array) -> tuple[Array, Array]:
    y -= Z
    return 0.5 * (y**2).sum(axis=1), -y


def right_in_every_fifth(Z: Array, y: Array) -> tuple[Array, Array]:
    G = Z - y
    G[:, np.arange(G.shape[1]) % 5 > 0] *= -1
    return 0.5 * ((Z - y) ** 2).sum(axis=1), G


def wrong_in_one_of_many(Z: Array, y: Array) -> tuple[Array, Array]:
    G = Z - y
    G[:, 17] *= 1.5
    return 0.5 * ((Z - y) ** 2).sum(axis=1), G


def failing(Z: Array, y: Array) -> Any:
    raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda Z, y: (((Z - y) ** 2).sum(axis=1), Z - y), "the gradient of the loss is wrong: for output 0"),
        (lambda Z, y: (((Z - y) ** 2).sum(axis=1), np.full_like(Z, np.nan)), "it gives nan"),
        (lambda Z, y: ((Z - y) ** 2).sum(axis=1), r"must return two arrays: the loss of each row, \(B,\)"),
        (lambda Z, y: (((Z - y) ** 2).sum(), 2 * (Z - y)), r"must return shapes \(5,\) and \(5, 1\)"),
        (lambda Z, y: (((Z - y) ** 2)[:, 0], 2 * (Z - y)[:, 0]), r"not \(5,\) and \(5,\)"),
        (together, "a row's loss must not depend on other rows"),
        (into_outputs, "a loss must not change the arrays it is given"),
        (into_targets, "a loss must not change the arrays it is given"),
        (failing, "the loss fails on outputs and targets of shape .*KeyError: 'no such thing'"),
    ],
)
def test_a_function_that_is_no_loss_is_refused(function: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Custom(function)


@pytest.mark.parametrize(("function", "n_checked"), [(mean_of_outputs, 1), (broken_from_three_on, 2)])
def test_a_network_checks_a_loss_with_its_own_number_of_outputs(function: Any, n_checked: int) -> None:
    made = Custom(function, n_outputs=n_checked)
    Network([Dense(n_checked)], 4, made)
    with pytest.raises(InputError, match=r"the gradient of the loss is wrong: .* \(with 4 outputs\)"):
        Network([Dense(4)], 4, made)


@pytest.mark.parametrize("function", [right_in_every_fifth, wrong_in_one_of_many])
@pytest.mark.parametrize("n_outputs", [18, 20, 100, 1000])
def test_no_output_is_left_out(function: Any, n_outputs: int) -> None:
    with pytest.raises(InputError, match="the gradient of the loss is wrong"):
        Custom(function, n_outputs=n_outputs)


def absolute(Z: Array, y: Array) -> tuple[Array, Array]:
    return np.abs(Z - y).sum(axis=1), np.sign(Z - y)


@pytest.mark.parametrize("n_outputs", [1, 20, 232, 345, 450, 1240, 2200])
def test_a_right_loss_with_kinks_passes_whatever_its_outputs(n_outputs: int) -> None:
    Custom(absolute, n_outputs=n_outputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_outputs": 0}, "n_outputs must be a whole number of at least 1, not 0"),
        ({"link": "exp"}, "link must be a function from outputs to predictions, not 'exp'"),
        ({"example_y": []}, "example_y must hold targets, which are numbers"),
        ({"example_y": "a"}, "example_y must hold targets, which are numbers, not 'a'"),
    ],
)
def test_settings_of_an_own_loss_that_make_no_check(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Custom(lambda Z, y: (((Z - y) ** 2).sum(axis=1), 2 * (Z - y)), **settings)


def test_what_looks_like_a_loss_is_answered_with_how_to_make_one() -> None:
    with pytest.raises(InputError, match=r"Squared is a class: the loss is made with brackets, Squared\(\)"):
        Network([Dense(1)], 4, Squared)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no loss: Custom"):
        Network([Dense(1)], 4, into_outputs)  # type: ignore[arg-type]


def test_an_own_loss_is_checked_with_the_targets_that_it_is_for() -> None:
    def gamma_deviance(Z: Array, y: Array) -> tuple[Array, Array]:
        if (y <= 0).any():
            raise ValueError("only for positive targets")
        return (Z + y * np.exp(-Z)).sum(axis=1), 1 - y * np.exp(-Z)

    with pytest.raises(InputError, match="only for positive targets"):
        Custom(gamma_deviance)
    made = Custom(gamma_deviance, link=np.exp, example_y=[1.0, 2.0, 5.0])
    for n_outputs in (1, 3):
        Network([Dense(n_outputs)], 4, made)
    assert "function=gamma_deviance, link=" in repr(made)
    assert "example_y" not in repr(made)


class Half(Squared):
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        return 0.5 * super().gradient(Z, y, w, scale, dZ)


class ForgetsWeights(Loss):
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        np.multiply(Z - y, scale, out=dZ)
        return float(0.5 * np.sum((Z - y) ** 2 * np.reshape(w, (-1, 1))) * scale)


class OwnSquared(Loss):
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        factor = np.reshape(w, (-1, 1)) * scale
        np.multiply(Z - y, factor, out=dZ)
        return float(0.5 * np.sum((Z - y) ** 2 * factor))


class NeverScales(OwnSquared):
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        return super().gradient(Z, y, w, 1.0, dZ)


class NeverWeighs(OwnSquared):
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        return super().gradient(Z, y, np.ones(1), scale, dZ)


class WritesIntoOutputs(OwnSquared):
    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        value = super().gradient(Z, y, w, scale, dZ)
        Z[:] = 0
        return value


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (NeverScales, "with twice the scale the loss is"),
        (NeverWeighs, "rows count by their weights w"),
        (WritesIntoOutputs, "a loss must not change the arrays it is given"),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_class_of_somebodys_that_leaves_out_what_it_is_told(
    kind: type[Loss], message: str, n_outputs: int
) -> None:
    Network([Dense(n_outputs)], 4, OwnSquared())
    with pytest.raises(InputError, match=message):
        Network([Dense(n_outputs)], 4, kind())


class HalfCrossEntropy(SoftmaxCrossEntropy):
    def gradient(self, *given: Any) -> float:
        return 0.5 * super().gradient(*given)


class HalfLabels(SigmoidCrossEntropy):
    def gradient(self, *given: Any) -> float:
        return 0.5 * super().gradient(*given)


class HalfCounts(Poisson):
    def gradient(self, *given: Any) -> float:
        return 0.5 * super().gradient(*given)


@pytest.mark.parametrize(
    ("kind", "n_outputs"),
    [(HalfCrossEntropy, 2), (HalfCrossEntropy, 7)]
    + [(kind, n) for kind in (Half, ForgetsWeights, HalfLabels, HalfCounts) for n in (1, 2, 7)],
)
def test_a_class_of_somebodys_with_a_wrong_gradient_is_refused(kind: type[Loss], n_outputs: int) -> None:
    with pytest.raises(InputError, match="the gradient of the loss is wrong"):
        Network([Dense(n_outputs)], 4, kind())


def test_a_class_of_somebodys_can_be_taken_on_trust() -> None:
    class StraightThrough(Half):
        to_be_checked = False

    Network([Dense(2)], 4, StraightThrough())


class OwnLabels(SigmoidCrossEntropy):
    pass


class OwnHuber(Huber):
    pass


class Survival(Loss):
    """Targets of a form that nobody can guess: it cannot be checked, and is not refused."""

    def targets(self, y: Array, n_outputs: int, dtype: Any) -> Array:
        if set(np.unique(y[:, -1])) != {7, 8}:
            raise InputError("the last column must be 7 or 8")
        return y

    def gradient(self, Z: Array, y: Array, w: Array, scale: float, dZ: Array) -> float:
        raise AssertionError("never reached")


@pytest.mark.parametrize(
    "made", [OwnLabels(focal=1.0), OwnHuber(0.5), Survival(), *(m() for m in LOSSES.values())]
)
def test_what_is_right_or_cannot_be_checked_is_not_refused(made: Loss) -> None:
    Network([Dense(3)], 4, made)


# ---- the end of a network


@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "softmax_cross_entropy"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", np.arctan])
def test_a_link_does_not_come_twice(name: str, activation: Any) -> None:
    with pytest.raises(
        InputError, match=r"the last layer has the activation .* leave out the last activation"
    ):
        Network([Dense(2, activation)], 4, name)
    Network([Dense(2, activation)], 4, "squared")
    Network([Dense(2, activation), Dense(2)], 4, name)
    Network([Residual(Dense(4, activation))], 4, name)


def test_a_softmax_of_one_output_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs an output for each class, .* 'sigmoid_cross_entropy'"):
        Network([Dense(1)], 4)


# ---- batches that do not fit together

X = RNG.normal(size=(6, 4)).astype(np.float32)
CODES, ONE32 = np.array([0, 1, 2, 0, 1, 2]), np.ones(1, np.float32)


@pytest.mark.parametrize("one_by_one", [False, True], ids=["chain", "layers"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: (X, CODES + 5, ONE32), "3 outputs stand for classes 0 to 2"),
        (lambda: (X, CODES - 1, ONE32), "3 outputs stand for classes 0 to 2"),
        (lambda: (X, CODES - 1, ONE), "3 outputs stand for classes 0 to 2"),
        (lambda: (X, CODES - 2**40, ONE32), "3 outputs stand for classes 0 to 2"),
        (lambda: (X, CODES[:5]), r"a batch of 6 rows came with y of shape \(5,\)"),
        (lambda: (X, np.tile(CODES, 2)), r"a batch of 6 rows came with y of shape \(12,\)"),
        (lambda: (X, CODES, np.ones(5, np.float32)), r"weights of shape \(5,\)"),
        (lambda: (X, CODES, np.ones(2, np.float32), 0.1), r"weights of shape \(2,\)"),
        (lambda: (X, CODES, np.ones(0, np.float32), 0.1), r"weights of shape \(0,\)"),
        (lambda: (X, CODES, np.zeros(6, np.float32)), "weights of these 6 rows add up to 0"),
        (lambda: (X[:0], CODES[:0]), "0 rows"),
        (lambda: (X[:0], CODES[:0], ONE, 0.1), "a batch of 0 rows"),
        (lambda: (X[:, :3], CODES), r"X has shape \(6, 3\), but this network takes \(rows, 4\)"),
        (lambda: (X[0], CODES[:4]), r"X has shape \(4,\), but this network takes \(rows, 4\)"),
        (lambda: (X, np.ones((6, 2), np.float32)), r"targets of shape \(6, 2\) do not fit .* \(6, 3\)"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(
    given: Callable[[], Any], message: str, one_by_one: bool, kernel_form: str
) -> None:
    network = Network([Dense(8, "gelu" if one_by_one else "relu"), Dense(3)], 4)
    for _ in range(2):  # also where scratch memory is there already
        with pytest.raises(InputError, match=message):
            network.gradient(*given())
        network.gradient(X, CODES, ONE32)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_focal_loss_knows_no_other_classes_either(off: int) -> None:
    network = Network([Dense(3)], 4, SoftmaxCrossEntropy(focal=2.0))
    with pytest.raises(InputError, match="3 outputs stand for classes 0 to 2"):
        network.gradient(X, CODES + off)


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "softmax_cross_entropy"])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 4), (6, 3, 1)])
def test_targets_of_another_shape_are_refused(name: str, shape: tuple[int, ...], kernel_form: str) -> None:
    network = Network([Dense(3)], 4, name)
    with pytest.raises(InputError, match=r"targets of shape .* do not fit outputs of shape \(6, 3\)"):
        network.gradient(X, np.ones(shape, np.float32))


def test_rows_of_another_width_do_not_go_forward() -> None:
    network = Network([Dense(8, "relu"), Dense(3)], 4)
    with pytest.raises(InputError, match=r"X has shape \(6, 3\), but this network takes \(rows, 4\)"):
        network.forward(X[:, :3])


@pytest.mark.parametrize("rows", [5, 200])
def test_complex_rows_and_text_are_no_inputs(rows: int) -> None:
    network = Network([Dense(3)], 4)
    for odd in (np.ones((rows, 4)) * 1j, np.full((rows, 4), "1.5")):
        with pytest.raises(InputError, match="X must hold numbers, not"):
            network.predict(odd)


@pytest.mark.parametrize("y", [np.ones((6, 3, 1)), np.ones((3, 6)), np.ones(18), np.ones((6, 3)) * 1j])
def test_targets_are_never_reshaped(y: Array) -> None:
    with pytest.raises(InputError, match=r"y has shape .* give y of shape \(.*, 3\)|y holds complex numbers"):
        Squared().targets(y, 3, np.dtype("float64"))
