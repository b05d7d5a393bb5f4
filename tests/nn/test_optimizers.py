"""Every optimizer against its formula in plain float64 NumPy, against PyTorch, and on two problems."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    BatchNorm,
    Dense,
    Momentum,
    Network,
    Optimizer,
    Scale,
    optimizer,
)

Array = np.ndarray[Any, Any]
P = 12


def flat_network(n: int = P) -> Network:
    """A network whose theta is one matrix of n numbers: a place for an optimizer to work."""
    return Network([Dense(1, bias=False, init="zeros")], n, "squared", dtype="float64")


# The formulas, written without the kernels. Each takes theta at the start, the gradient of every step and
# the learning rate, and yields theta after each step; numbers are the classes' defaults, stated again.


def sgd(x: Array, gradients: list[Array], lr: float) -> Iterator[Array]:
    for g in gradients:
        x = x - lr * g
        yield x


def momentum(x: Array, gradients: list[Array], lr: float, mu: float = 0.9) -> Iterator[Array]:
    v = np.zeros_like(x)
    for g in gradients:
        v = mu * v - lr * g
        x = x + v
        yield x


def nesterov(x: Array, gradients: list[Array], lr: float, mu: float = 0.9) -> Iterator[Array]:
    v = np.zeros_like(x)
    for g in gradients:
        v = mu * v - lr * g
        x = x + mu * v - lr * g
        yield x


def adagrad(x: Array, gradients: list[Array], lr: float, eps: float = 1e-10) -> Iterator[Array]:
    total = np.zeros_like(x)
    for g in gradients:
        total = total + g**2
        x = x - lr * g / (np.sqrt(total) + eps)
        yield x


def rmsprop(
    x: Array, gradients: list[Array], lr: float, rho: float = 0.99, eps: float = 1e-8
) -> Iterator[Array]:
    s = np.zeros_like(x)
    for g in gradients:
        s = rho * s + (1 - rho) * g**2
        x = x - lr * g / (np.sqrt(s) + eps)
        yield x


def moments(gradients: list[Array], b1: float, b2: float) -> Iterator[tuple[int, Array, Array, Array]]:
    """t, g, and the moving means of g and g² as sums: (1 - b) sum_k b^(t-k) g_k."""
    for t, g in enumerate(gradients, 1):
        m = (1 - b1) * sum(b1 ** (t - k) * gradients[k - 1] for k in range(1, t + 1))
        v = (1 - b2) * sum(b2 ** (t - k) * gradients[k - 1] ** 2 for k in range(1, t + 1))
        yield t, g, m, v


def adam(x: Array, gradients: list[Array], lr: float, decay: float = 0.0) -> Iterator[Array]:
    for t, _, m, v in moments(gradients, 0.9, 0.999):
        x = x - lr * decay * x - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield x


def adamw(x: Array, gradients: list[Array], lr: float) -> Iterator[Array]:
    return adam(x, gradients, lr, decay=0.01)


def nadam(x: Array, gradients: list[Array], lr: float) -> Iterator[Array]:
    def mu(t: int) -> float:
        return 0.9 * (1 - 0.5 * 0.96 ** (t / 250))

    for t, g, m, v in moments(gradients, 0.9, 0.999):
        now, ahead = math.prod(map(mu, range(1, t + 1))), math.prod(map(mu, range(1, t + 2)))
        numerator = mu(t + 1) * m / (1 - ahead) + (1 - mu(t)) * g / (1 - now)
        x = x - lr * numerator / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield x


def radam(x: Array, gradients: list[Array], lr: float) -> Iterator[Array]:
    r = 2 / (1 - 0.999) - 1
    for t, _, m, v in moments(gradients, 0.9, 0.999):
        rho = r - 2 * t * 0.999**t / (1 - 0.999**t)
        step = m / (1 - 0.9**t)
        if rho > 5:
            rectified = math.sqrt((rho - 4) * (rho - 2) * r / ((r - 4) * (r - 2) * rho))
            step = step * rectified / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        x = x - lr * step
        yield x


def lion(x: Array, gradients: list[Array], lr: float, b1: float = 0.9, b2: float = 0.99) -> Iterator[Array]:
    m = np.zeros_like(x)
    for g in gradients:
        x = x - lr * np.sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        yield x


FORMULAS: dict[str, Callable[[Array, list[Array], float], Iterator[Array]]] = {
    "sgd": sgd, "momentum": momentum, "nesterov": nesterov, "adagrad": adagrad, "rmsprop": rmsprop,
    "adam": adam, "adamw": adamw, "nadam": nadam, "radam": radam, "lion": lion,
}  # fmt: skip


def ten_steps(chosen: Optimizer, start: Array, gradients: list[Array]) -> Iterator[Array]:
    network = flat_network()
    network.theta[:] = start
    chosen.start(network)
    for g in gradients:
        network.grad[:] = g
        chosen.step()
        yield network.theta.copy()


@pytest.fixture
def ten() -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=P), list(rng.normal(size=(10, P)) * 10.0 ** rng.integers(-3, 2, size=P))


def test_every_optimizer_has_a_formula() -> None:
    assert list(FORMULAS) == list(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_follow_the_formula(name: str, ten: Any, kernel_form: str) -> None:
    start, gradients = ten
    ours = ten_steps(optimizer(name, lr=0.02), start, gradients)
    theirs = FORMULAS[name](start, gradients, 0.02)
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13, err_msg=f"step {step}")


# name: PyTorch's class, our settings, their settings
TORCH: dict[str, tuple[str, dict[str, float], dict[str, Any]]] = {
    "sgd": ("SGD", {}, {}),
    "momentum": ("SGD", {"momentum": 0.8}, {"momentum": 0.8}),
    "nesterov": ("SGD", {"momentum": 0.8}, {"momentum": 0.8, "nesterov": True}),
    "adagrad": ("Adagrad", {}, {}),
    "rmsprop": ("RMSprop", {"rho": 0.9}, {"alpha": 0.9}),
    "adam": ("Adam", {"beta1": 0.8, "beta2": 0.99}, {"betas": (0.8, 0.99)}),
    "adamw": ("AdamW", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
    "nadam": ("NAdam", {}, {}),
    "radam": ("RAdam", {}, {}),
}


@pytest.mark.parametrize("name", TORCH)
def test_trajectories_are_those_of_torch(name: str, ten: Any) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its trajectories are not compared")
    start, gradients = ten
    kind, ours, theirs = TORCH[name]
    x = torch.tensor(start, requires_grad=True)
    reference = getattr(torch.optim, kind)([x], lr=0.02, **theirs)
    for theta, g in zip(
        ten_steps(optimizer(name, lr=0.02, **ours), start, gradients), gradients, strict=True
    ):
        x.grad = torch.tensor(g)
        reference.step()
        np.testing.assert_allclose(theta, x.detach().numpy(), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "squared"])
@pytest.mark.parametrize("name", TORCH)
def test_whole_networks_train_as_in_torch(name: str, loss: str) -> None:
    """Twenty steps of a 4-5-3 network with BatchNorm: forward, backward and update against autograd."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its trajectories are not compared")
    kind, ours, theirs = TORCH[name]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 4))
    y = rng.integers(3, size=8) if loss == "softmax_cross_entropy" else rng.normal(size=(8, 3))
    network = Network([Dense(5, "tanh"), BatchNorm(), Dense(5, "gelu"), Dense(3)], 4, loss, dtype="float64")
    first, norm, second, third = network.layers
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 5),
        torch.nn.GELU(), torch.nn.Linear(5, 3),
    ).double()  # fmt: skip
    with torch.no_grad():
        for mine, other in ((first, model[0]), (second, model[3]), (third, model[5])):
            other.weight[:] = torch.tensor(mine.W.T.copy())
            other.bias[:] = torch.tensor(mine.b)
    decayed = [model[0].weight, model[3].weight, model[5].weight]
    rest = [p for p in model.parameters() if all(p is not d for d in decayed)]
    groups = [{"params": decayed}, {"params": rest, "weight_decay": 0.0}]
    reference = getattr(torch.optim, kind)(groups, lr=0.01, **theirs)
    chosen = optimizer(name, lr=0.01, **ours)
    chosen.start(network)
    for _ in range(20):
        value = network.gradient(X, network.loss.targets(y, 3, network.dtype))
        chosen.step()
        reference.zero_grad()
        out = model(torch.tensor(X))
        if loss == "squared":
            their_value = 0.5 * ((out - torch.tensor(y)) ** 2).sum(dim=1).mean()
        else:
            their_value = torch.nn.functional.cross_entropy(out, torch.tensor(y))
        their_value.backward()
        reference.step()
        assert value == pytest.approx(their_value.item(), rel=1e-5)
    np.testing.assert_allclose(third.W.T, model[5].weight.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(norm.gamma, model[2].weight.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, model[2].running_var.numpy(), rtol=1e-5)
    model.eval()
    out = model(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(network.logits(X), out, rtol=0, atol=1e-5 * np.abs(out).max())


def minimise(chosen: Optimizer, gradient: Callable[[Array], Array], start: Array, steps: int) -> Array:
    network = flat_network(len(start))
    network.theta[:] = start
    chosen.start(network)
    for step in range(steps):
        network.grad[:] = gradient(network.theta)
        chosen.step(1 - step / steps)  # falling to 0, so that Lion's steps of fixed length end too
    return network.theta


RATES = {"sgd": 0.02, "momentum": 0.02, "nesterov": 0.02, "adagrad": 1.0, "lion": 0.01, "rmsprop": 0.02}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parabola_is_solved(name: str) -> None:
    """0.5 sum_k c_k (x_k - k)² with curvatures c from 1 to 10."""
    middle, curvature = np.arange(1.0, 4.0), np.array([1.0, 3.0, 10.0])
    chosen = optimizer(name, lr=RATES.get(name, 0.05))
    found = minimise(chosen, lambda x: curvature * (x - middle), np.zeros(3), 2000)
    pull = chosen.weight_decay / curvature  # AdamW's optimum lies a little nearer to 0
    np.testing.assert_allclose(found, middle / (1 + pull), atol=0.02)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rosenbrocks_valley_is_followed(name: str) -> None:
    """(1 - x)² + 100 (y - x²)² from (-1.5, 2): in the end within 0.1 of the minimum (1, 1)."""

    def gradient(x: Array) -> Array:
        bend = x[1] - x[0] ** 2
        g = np.array([-2 * (1 - x[0]) - 400 * x[0] * bend, 200 * bend])
        return g / max(1.0, float(np.linalg.norm(g)))  # clipped, or plain descent would leave the valley

    rates = {
        "sgd": 0.003,
        "momentum": 0.001,
        "nesterov": 0.001,
        "adagrad": 0.5,
        "lion": 0.001,
        "rmsprop": 0.005,
    }
    found = minimise(optimizer(name, lr=rates.get(name, 0.02)), gradient, np.array([-1.5, 2.0]), 20_000)
    np.testing.assert_allclose(found, [1, 1], atol=0.1)


def test_factors_on_the_learning_rate_of_a_group(kernel_form: str) -> None:
    layers = [Scale(lr_factor=6.0), Dense(4, "tanh", weight_lr=0.5, bias_lr=0.1), Dense(2, bias_lr=0.1)]
    network = Network(layers, 3, dtype="float64")
    start = network.theta.copy()
    chosen = SGD(lr=0.1)
    chosen.start(network)
    network.grad[:] = 1.0
    chosen.step(factor=0.5)
    moved = start - network.theta  # lr * factor of the schedule * factor of the group
    expected = {id(network.layers[0].s): 6.0, id(network.layers[1].W): 0.5, id(network.layers[1].b): 0.1,
                id(network.layers[2].W): 1.0, id(network.layers[2].b): 0.1}  # fmt: skip
    assert len(network.slots) == len(expected)
    for layer, parameter, where in network.slots:
        factor = expected[id(getattr(layer, parameter.name))]
        np.testing.assert_allclose(moved[where], 0.1 * 0.5 * factor, rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_is_decoupled_and_spares_biases_and_norms(name: str, kernel_form: str) -> None:
    """With a gradient of 0 only the decay is left: weights shrink by 1 - lr wd, nothing else moves."""
    network = Network([Dense(4, "tanh", weight_lr=0.5), BatchNorm(), Dense(2)], 3, dtype="float64")
    network.theta += 1.0
    start = network.theta.copy()
    chosen = optimizer(name, lr=0.1, weight_decay=0.2)
    chosen.start(network)
    network.grad[:] = 0.0
    chosen.step()
    chosen.step(0.5)
    for _, parameter, where in network.slots:
        lr = 0.1 * parameter.lr_factor
        shrunk = (1 - lr * 0.2) * (1 - 0.5 * lr * 0.2) if parameter.name == "W" else 1.0
        np.testing.assert_allclose(network.theta[where], start[where] * shrunk, rtol=1e-12)


def test_adams_correction_advances() -> None:
    """The first steps are lr long whatever the gradient's size: not so if the counter stands still."""
    for size in (1e-3, 1e3):
        thetas = list(ten_steps(Adam(lr=0.1), np.zeros(P), [np.full(P, size)] * 10))
        np.testing.assert_allclose(thetas[-1], -1.0, rtol=1e-4)


def test_nadams_product_counts_steps_not_segments() -> None:
    """Groups with a factor of their own are walked over one by one: not a step each."""
    one, two = Network([Dense(3)], 4, dtype="float64"), Network([Dense(3, bias_lr=0.5)], 4, dtype="float64")
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(6, one.n_parameters))
    for network in (one, two):
        chosen = optimizer("nadam", lr=0.1)
        chosen.start(network)
        for g in gradients:
            network.grad[:] = g
            chosen.step()
    np.testing.assert_array_equal(one.layers[0].W, two.layers[0].W)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_after_pickling(name: str, ten: Any) -> None:
    start, gradients = ten
    whole = list(ten_steps(optimizer(name, lr=0.02), start, gradients))[-1]
    network, chosen = flat_network(), optimizer(name, lr=0.02)
    network.theta[:] = start
    chosen.start(network)
    for g in gradients[:4]:
        network.grad[:] = g
        chosen.step()
    network, chosen = pickle.loads(pickle.dumps((network, chosen)))
    chosen.restore(network, chosen.t, chosen.state)
    for g in gradients[4:]:
        network.grad[:] = g
        chosen.step()
    np.testing.assert_array_equal(network.theta, whole)


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), float("inf"), "fast", None])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bad_learning_rate_is_refused(name: str, lr: Any) -> None:
    with pytest.raises(InputError, match="learning rate must be a positive number"):
        optimizer(name, lr=lr)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="unknown optimizer 'adamm': did you mean 'adam'"):
        optimizer("adamm")
    with pytest.raises(InputError, match=r"momentum must be in \[0, 1\), not 1"):
        Momentum(momentum=1)
    with pytest.raises(InputError, match="weight_decay must not be negative, not -1"):
        AdamW(weight_decay=-1)
    with pytest.raises(InputError, match="unknown setting of optimizer 'adam': 'epsi': did you mean 'eps'"):
        optimizer("adam", epsi=0.9)
    with pytest.raises(InputError, match="already made: it cannot take the settings"):
        optimizer(Adam(), lr=0.1)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("sgd", {"lr": True}, "learning rate must be a positive number, not True"),
        ("sgd", {"weight_decay": "a"}, "weight_decay must be a number, not 'a'"),
        ("adam", {"weight_decay": math.inf}, "weight_decay must be finite, not inf"),
        *(
            (name, {"eps": eps}, f"eps must .*, not {eps!r}")
            for name in ("adagrad", "rmsprop", "adam", "adamw", "nadam", "radam")
            for eps in ("a", math.nan, math.inf, -1)
        ),
        ("momentum", {"momentum": "a"}, "momentum must be a number, not 'a'"),
        ("rmsprop", {"rho": math.nan}, r"rho must be in \[0, 1\), not nan"),
        ("adam", {"beta1": None}, "beta1 must be a number, not None"),
        ("lion", {"beta2": 1.0}, r"beta2 must be in \[0, 1\), not 1.0"),
    ],
)
def test_a_setting_that_is_no_fitting_number_is_refused(name: str, settings: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        optimizer(name, **settings)


def test_settings_at_their_ends_are_taken() -> None:
    told = repr(Adam(lr=np.float32(1), beta1=0, eps=0))
    assert told == "Adam(lr=np.float32(1.0), weight_decay=0.0, beta1=0, beta2=0.999, eps=0)"
