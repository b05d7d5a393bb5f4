"""Every layer, activation and loss against centred differences in float64: relative error below 1e-6.

The tables below name an example of every layer class and of every loss; a new one without an example fails
here. Steps across a kink (of a ReLU, of an absolute error) would measure neither slope, so each network is
drawn again until no number is within 1e-3 of a kink: a hundred times the step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from glassnet import kernels
from glassnet.nn import (
    ACTIVATIONS,
    LOSSES,
    Absolute,
    Activate,
    BatchNorm,
    Custom,
    Dense,
    Dropout,
    Huber,
    Layer,
    LayerNorm,
    Loss,
    Network,
    Noise,
    ParametricActivation,
    Poisson,
    PReLU,
    Quantile,
    Residual,
    RMSNorm,
    Scale,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Squared,
    gradient_check,
)
from glassnet.train import L1, L2

LIMIT = 1e-6
BATCH, WIDTH, OUTPUTS = 6, 4, 3
Array = np.ndarray[Any, Any]

# Class of layer -> examples with a given activation, each from WIDTH inputs to WIDTH outputs.
LAYERS: dict[type[Layer], Callable[[str], list[Layer]]] = {
    Dense: lambda f: [
        Dense(WIDTH, f),
        Dense(WIDTH, f, bias=False),
        Dense(WIDTH, f, ntk=True, bias_init=lambda rng, i, o: rng.normal(size=o), bias_lr=0.1),
    ],
    Activate: lambda f: [Activate(f)],
    Residual: lambda f: [
        Residual(LayerNorm(), Dense(2 * WIDTH, f), Dense(WIDTH)),  # the pre-norm bottleneck
        Residual(Dropout(0.3), Residual(BatchNorm(), Activate(f)), Dense(WIDTH, f)),
    ],
    Dropout: lambda f: [Dropout(0.4)],
    Noise: lambda f: [Noise(0.5)],
    BatchNorm: lambda f: [BatchNorm(), BatchNorm(momentum=0.5, eps=0.1)],
    LayerNorm: lambda f: [LayerNorm()],
    RMSNorm: lambda f: [RMSNorm()],
    Scale: lambda f: [Scale()],
    PReLU: lambda f: [PReLU(), PReLU(start=-0.5)],
    ParametricActivation: lambda f: [ParametricActivation(f), ParametricActivation(f, start=0.3)],
}

# Class of loss -> (loss, what its targets are).
LOSS_EXAMPLES: dict[type[Loss], list[tuple[Loss, str]]] = {
    SoftmaxCrossEntropy: [
        (SoftmaxCrossEntropy(), "classes"),
        (SoftmaxCrossEntropy(label_smoothing=0.1), "classes"),
        (SoftmaxCrossEntropy(focal=2.0), "classes"),
        (SoftmaxCrossEntropy(focal=0.5, class_weight=np.array([0.5, 1.0, 3.0])), "classes"),
        (SoftmaxCrossEntropy(label_smoothing=0.2, class_weight=np.array([0.5, 1.0, 3.0])), "one-hot"),
    ],
    SigmoidCrossEntropy: [
        (SigmoidCrossEntropy(), "several labels"),
        (SigmoidCrossEntropy(label_smoothing=0.1), "several labels"),
        (SigmoidCrossEntropy(focal=2.0), "several labels"),
        (SigmoidCrossEntropy(class_weight=np.array([0.5, 4.0])), "yes or no"),
        (SigmoidCrossEntropy(), "shares"),
        (SigmoidCrossEntropy(focal=2.0), "shares"),
        (SigmoidCrossEntropy(focal=0.5), "shares"),
    ],
    Squared: [(Squared(), "values")],
    Absolute: [(Absolute(), "values")],
    Huber: [(Huber(), "values"), (Huber(delta=0.3), "values")],
    Poisson: [(Poisson(), "counts")],
    Quantile: [(Quantile(), "values"), (Quantile(q=0.9), "values")],
    Custom: [(Custom(lambda Z, y: (np.cosh(Z - y).sum(axis=1), np.sinh(Z - y)), n_outputs=3), "values")],
}

KINKS: dict[str, tuple[float, ...]] = {
    "relu": (0,), "leaky_relu": (0,), "elu": (0,), "selu": (0,), "prelu": (0,),
    "hard_sigmoid": (-3, 3), "hard_tanh": (-1, 1), "hard_swish": (-3, 3),
}  # fmt: skip


def subclasses(base: type) -> set[type]:
    own = {c for c in base.__subclasses__() if c.__module__.startswith("glassnet.nn.")}
    return own.union(*map(subclasses, own)) if own else own


def test_every_layer_class_and_every_loss_has_an_example() -> None:
    assert set(LAYERS) == subclasses(Layer)
    assert set(LOSS_EXAMPLES) == subclasses(Loss) == {*LOSSES.values(), Custom}


def nearest_kink(network: Network, X: Array, monkeypatch: pytest.MonkeyPatch) -> float:
    """How near a number of this forward pass comes to a kink of the activation it goes through."""
    distances = [np.inf]

    def watch(name: str, Z: Array) -> None:
        distances.extend(float(np.abs(Z - kink).min()) for kink in KINKS.get(name, ()))

    def bias_act(Z: Array, b: Array, f: Any, A: Array, _real: Any = kernels.bias_act) -> None:
        watch(f.name, Z + b)
        _real(Z, b, f, A)

    def prelu(self: PReLU, X: Array, train: bool, _real: Any = PReLU.forward) -> Array:
        watch("prelu", X)
        return _real(self, X, train)

    with monkeypatch.context() as patch:
        patch.setattr(kernels, "bias_act", bias_act)
        patch.setattr(PReLU, "forward", prelu)
        network.forward(X, train=True)
    return min(distances)


def targets(kind: str, Z: Array, rng: np.random.Generator) -> Array:
    """Targets of that kind; values keep clear of the outputs Z and of the kinks of Huber's loss."""
    n, k = Z.shape
    if kind == "classes":
        return rng.integers(k, size=n)
    if kind == "one-hot":
        return np.eye(k)[rng.integers(k, size=n)]
    if kind in ("several labels", "yes or no"):
        return rng.integers(2, size=(n, k))
    if kind == "shares":
        return rng.uniform(size=(n, k))
    if kind == "counts":
        return rng.integers(5, size=(n, k))
    assert kind == "values"
    return Z + rng.choice([-1.6, -0.7, -0.1, 0.2, 0.8, 1.3], (n, k))


def clear_case(
    layers: list[Layer], loss: Loss, kind: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Network, Array, Array]:
    """A float64 network with random parameters, its inputs and targets, clear of all kinks.

    An activation must not follow another directly: relu(relu(Z)) is at its kink wherever Z < 0.
    """
    n_outputs = 1 if kind == "yes or no" else OUTPUTS
    for seed in range(500):
        network = Network([*layers, Dense(n_outputs)], WIDTH, loss, dtype="float64", seed=seed)
        rng = np.random.default_rng(seed)
        network.theta += rng.normal(0.0, 0.2, network.n_parameters)  # biases off 0, norms off 1
        X = rng.normal(size=(BATCH, WIDTH))
        # the draws of Dropout and Noise are those that the check will hold
        for i, layer in enumerate(network.every_layer()):
            layer.rng = _stream(i)
        if nearest_kink(network, X, monkeypatch) > 1e-3:
            return network, X, targets(kind, network.outputs, rng)
    raise AssertionError("every draw comes near a kink")


def _stream(i: int) -> np.random.Generator:
    from glassnet.seeds import stream

    return stream(0, "dropout", i)


def check(network: Network, X: Array, y: Array, **settings: Any) -> None:
    errors = gradient_check(network, X, y, **settings)
    assert {e.where.split(": ")[-1] for e in errors} >= {"W", "X"}
    wrong = [e for e in errors if not e.error < LIMIT]
    assert not wrong
    assert max(abs(e.claimed) for e in errors) > 1e-6  # the check has looked at something


@pytest.mark.parametrize(
    "layer",
    [pytest.param(x, id=repr(x)) for make in LAYERS.values() for x in make("tanh")],
)
def test_each_layer_alone_first_and_inside(layer: Layer, kernel_form: str, monkeypatch) -> None:
    for layers in ([layer], [Dense(WIDTH, "sigmoid"), layer, Dense(WIDTH, "softplus")]):
        check(*clear_case(layers, SoftmaxCrossEntropy(), "classes", monkeypatch))


@pytest.mark.parametrize(
    ("f", "loss", "kind"),
    [
        pytest.param(f, *LOSS_EXAMPLES[c][0], id=f"{f}-{c.__name__}")
        for f, c in product(ACTIVATIONS, LOSSES.values())
    ],
)
def test_every_layer_with_every_activation_and_every_loss(f: str, loss: Loss, kind: str, monkeypatch) -> None:
    layers = [x for make in LAYERS.values() for x in (make(f)[0], Dense(WIDTH))]
    check(*clear_case(layers, loss, kind, monkeypatch), max_parameters=100)


@pytest.mark.parametrize("f", ACTIVATIONS)
def test_every_activation_by_its_definition(f: str, monkeypatch, kernel_form: str) -> None:
    layers = [Dense(WIDTH, f), Dense(WIDTH), Activate(f), Dense(WIDTH), ParametricActivation(f)]
    check(*clear_case(layers, Squared(), "values", monkeypatch))


@pytest.mark.parametrize(
    ("loss", "kind"),
    [pytest.param(*x, id=f"{x[0]!r}-{x[1]}") for xs in LOSS_EXAMPLES.values() for x in xs],
)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_every_form_of_every_loss(
    loss: Loss, kind: str, weighted: bool, kernel_form: str, monkeypatch
) -> None:
    network, X, y = clear_case([Dense(WIDTH, "tanh")], loss, kind, monkeypatch)
    check(network, X, y, sample_weight=np.array([0.5, 2, 0, 1, 1, 3.0]) if weighted else None)


def test_a_row_of_weight_zero_has_no_say() -> None:
    network = Network([Dense(3, "tanh"), Dense(2)], 4, dtype="float64")
    X, y = np.random.default_rng(0).normal(size=(3, 4)), np.array([0, 1, 1])
    network.gradient(X, y, np.array([1.0, 1.0, 0.0]))
    grad = network.grad.copy()
    network.gradient(X[:2], y[:2])
    np.testing.assert_allclose(network.grad, grad, rtol=1e-12, atol=1e-15)


def test_own_activations_and_losses_are_differentiated_too(kernel_form: str) -> None:
    cubic = (lambda Z: Z + 0.1 * Z**3, lambda Z: 1 + 0.3 * Z**2)
    loss = Custom(lambda Z, y: (((Z - y) ** 4).sum(axis=1), 4 * (Z - y) ** 3), n_outputs=2)
    network = Network([Dense(5, cubic), Dense(5, np.arctan), Dense(2)], 3, loss, dtype="float64")
    rng = np.random.default_rng(1)
    check(network, rng.normal(size=(6, 3)), rng.normal(size=(6, 2)))


@pytest.mark.parametrize("penalty", [L2(0.3), L2(0.3, per_batch=True), L1(0.2)], ids=repr)
def test_penalties(penalty: Any) -> None:
    network = Network([Dense(5, "tanh"), BatchNorm(), Dense(2)], 3, dtype="float64", seed=1)
    network.theta += 0.1  # biases and shifts off 0: the penalties must leave them alone
    X = np.random.default_rng(0).normal(size=(6, 3))
    assert float(np.abs(network.theta).min()) > 1e-3  # off the kink of |weight|
    check(network, X, np.array([0, 1, 1, 0, 0, 1]), penalties=[penalty])


def test_the_gradient_of_training_is_the_checked_one(kernel_form: str, monkeypatch) -> None:
    """`Network.gradient` skips what nobody asks for; what remains is what the check compared."""
    layers = [Dropout(0.3), Noise(0.1), *LAYERS[Residual]("tanh"), Dense(WIDTH, "gelu"), Scale()]
    network, X, y = clear_case(layers, SoftmaxCrossEntropy(), "classes", monkeypatch)
    everything = gradient_check(network, X, y, max_parameters=10**6)
    for i, layer in enumerate(network.every_layer()):
        layer.rng = _stream(i)
    network.gradient(X, y)
    assert network.layers[2].needs_dX is False
    layers_by_name = {
        f"layer {i} ({type(layer).__name__})": layer for i, layer in enumerate(network.every_layer(), 1)
    }
    for e in everything[:-1]:
        layer, name = e.where.split(": ")
        assert getattr(layers_by_name[layer], f"d{name}")[e.entry] == pytest.approx(e.claimed, rel=1e-12)
    assert sum(e.n_checked for e in everything) == network.n_parameters + X.size


def test_batch_norm_is_frozen_in_evaluation(kernel_form: str) -> None:
    network = Network([BatchNorm(momentum=0.25), Dense(2)], 3, dtype="float64")
    rng = np.random.default_rng(0)
    X = rng.normal(2.0, 3.0, (8, 3))
    network.forward(X, train=True)
    np.testing.assert_allclose(network.state[:3], 0.25 * X.mean(axis=0))
    np.testing.assert_allclose(network.state[3:], 0.75 + 0.25 * X.var(axis=0, ddof=1))

    state, X = network.state.copy(), rng.normal(size=(5, 3))
    one_by_one = [network.logits(x[None])[0] for x in X]
    np.testing.assert_allclose(network.logits(X), one_by_one)  # rows do not see each other
    np.testing.assert_array_equal(network.state, state)
    norm, dense = network.layers
    by_hand = norm.gamma * (X - state[:3]) / np.sqrt(state[3:] + norm.eps) + norm.beta
    np.testing.assert_allclose(network.logits(X), by_hand @ dense.W + dense.b)


def test_one_row_teaches_batch_norm_no_variance() -> None:
    network = Network([BatchNorm(), Dense(2)], 3)
    network.forward(np.ones((1, 3), np.float32), train=True)
    assert network.state.tolist() == [0, 0, 0, 1, 1, 1]


def test_layers_of_one_network_serve_another() -> None:
    old = Network([Dense(WIDTH, "tanh"), Dense(2)], WIDTH, dtype="float64")
    layers = [Dense(WIDTH, "sigmoid"), old.layers[0], Residual(old.layers[0]), old.layers[1]]
    new = Network(layers, WIDTH, dtype="float64")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, WIDTH)), np.array([0, 1, 1, 0, 1])
    errors = gradient_check(new, X, y)
    new.gradient(X, y)
    assert new.layers[1].dW[errors[2].entry] == pytest.approx(errors[2].measured, rel=1e-6)
    assert new.layers[0].dW[errors[0].entry] == pytest.approx(errors[0].measured, rel=1e-6)
