"""A network in one compiled call, or two, does what its layers do; where one could notice, they do it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numba.core.errors import NumbaError

from glassnet import kernels
from glassnet.kernels.room import spaced
from glassnet.nn import SGD, Dense, Dropout, Network
from glassnet.nn.chain import Chain
from glassnet.nn.gradient_check import gradient_check
from glassnet.nn.losses import SoftmaxCrossEntropy
from glassnet.train import Feed, fit

Array = np.ndarray[Any, Any]
ROUNDING = {"float32": 2e-5, "float64": 1e-12}
pytestmark = pytest.mark.skipif(
    not kernels.rows_of_chain([8, 4], ["relu"], np.dtype("float32")),
    reason="needs compiled kernels and a processor with AVX2 or AVX-512",
)


def _network(widths: tuple[int, ...], activation: str = "relu", dtype: str = "float32") -> Network:
    n_inputs, *hidden, n_outputs = widths
    layers = [*(Dense(units, activation) for units in hidden), Dense(n_outputs)]
    loss = "squared" if n_outputs == 1 else "softmax_cross_entropy"
    return Network(layers, n_inputs, loss, dtype=dtype, seed=1)


def _one_by_one(network: Network) -> Network:
    """The same network, of which every layer is called: a class of its own is enough for that."""

    class Seen(Dense):
        pass

    other = copy.deepcopy(network)
    for layer in other.layers:
        layer.__class__ = Seen
    return other


def _went_through(network: Network, X: Array) -> bool:
    """Whether the last forward pass was the chain's."""
    return network.chain is not None and network.chain.X is X


def _activations(network: Network) -> dict[str, Array]:
    return {f"A{i}": layer.A.copy() for i, layer in enumerate(network.layers)}  # type: ignore[attr-defined]


def _passes(network: Network, X: Array) -> dict[str, Array]:
    """All that a forward and a backward pass leave behind."""
    network.grad[:] = np.nan
    outputs = network.forward(X, train=True).copy()
    dZ = np.random.default_rng(5).normal(size=outputs.shape).astype(network.dtype)
    network.backward(dZ)
    hidden = _activations(network)
    hidden |= {f"dX{i}": layer.dX.copy() for i, layer in enumerate(network.layers) if layer.needs_dX}  # type: ignore[attr-defined]
    return {"outputs": outputs, "dZ": dZ, "grad": network.grad.copy()} | hidden


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("widths", [(64, 100, 10), (4, 3), (5, 17, 9, 33, 1), (30, 16, 8), (7, 4, 5, 64)])
@pytest.mark.parametrize("rows", [4, 5, 32, 39])
def test_the_chain_is_its_layers(widths: tuple[int, ...], rows: int, activation: str, dtype: str) -> None:
    network = _network(widths, activation, dtype)
    rng = np.random.default_rng(rows)
    network.theta[:] += rng.normal(size=len(network.theta)) / 10  # biases too
    X = spaced((rows, widths[0]), dtype)
    X[:] = rng.normal(size=X.shape)
    assert network.chain is None
    together, apart = _passes(network, X), _passes(_one_by_one(network), X)
    assert network.chain is not None
    assert network.chain.X is X
    for name, value in apart.items():
        np.testing.assert_allclose(
            together[name], value, rtol=ROUNDING[dtype], atol=10 * ROUNDING[dtype], err_msg=name
        )


def _losses(network: Network, *given: Any) -> dict[str, Array]:
    """All that a loss and its gradient leave behind."""
    network.grad[:] = np.nan
    value = network.gradient(*given)
    hidden = _activations(network)
    return {"loss": np.array(value), "grad": network.grad.copy(), "dZ": network.dZ.copy()} | hidden


@pytest.fixture
def in_one_call(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every pass that went through in one call."""
    rows: list[int] = []
    real = kernels.gradient_through

    def counted(table: Array, X: Array, *more: Any) -> float:
        rows.append(len(X))
        return real(table, X, *more)

    monkeypatch.setattr(kernels, "gradient_through", counted)
    return rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_call_is_forward_loss_and_backward(
    in_one_call: list[int], smoothing: float, weighted: bool, dtype: str
) -> None:
    layers = [Dense(100, "relu"), Dense(17, "tanh"), Dense(10)]
    network = Network(layers, 64, SoftmaxCrossEntropy(smoothing), dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(37, 64)).astype(dtype), rng.integers(0, 10, 37)
    w = rng.random(37).astype(dtype) if weighted else np.ones(1, dtype)
    together, apart = (_losses(net, X, y, w, 0.1) for net in (network, _one_by_one(network)))
    assert in_one_call == [37]
    assert network.outputs is network.layers[-1].A  # type: ignore[attr-defined]
    for name, value in apart.items():
        np.testing.assert_allclose(
            together[name], value, rtol=ROUNDING[dtype], atol=10 * ROUNDING[dtype], err_msg=name
        )


def test_other_losses_targets_and_weights_are_served(
    in_one_call: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32), np.arange(8) % 2
    w = np.ones(1, np.float32)
    network = _network((6, 5, 2))
    usual = network.gradient(X, y, w)
    assert in_one_call == [8]
    seen: list[str] = []

    class Own(SoftmaxCrossEntropy):
        def gradient(self, *given: Any) -> float:
            seen.append("class")
            return super().gradient(*given)

    class Watched(Network):
        def forward(self, X: Array, train: bool = False) -> Array:
            seen.append("network")
            return super().forward(X, train)

    for loss in (Own(), SoftmaxCrossEntropy(focal=1e-12)):
        network.loss = loss
        assert network.gradient(X, y, w) == pytest.approx(usual, rel=1e-5)
    network.loss = SoftmaxCrossEntropy()
    network.loss.gradient = lambda *given: seen.append("object") or 1.0  # type: ignore[method-assign,func-returns-value]
    assert network.gradient(X, y, w) == 1.0
    del network.loss.gradient
    with monkeypatch.context() as patch:
        patch.setattr(SoftmaxCrossEntropy, "gradient", lambda *given: seen.append("changed") or 2.0)
        assert network.gradient(X, y, w) == 2.0
    shares = np.eye(2, dtype=np.float32)[y]
    for targets, weights in ((shares, w), (y.astype(np.int32), w), (y, np.ones(1))):
        assert network.gradient(X, targets, weights, 1 / 8) == pytest.approx(usual, rel=1e-5)
    watched = Watched([Dense(5, "relu"), Dense(2)], 6, seed=1)
    assert watched.gradient(X, y, w) == pytest.approx(usual, rel=1e-5)
    assert seen == ["class", "object", "changed", "network"]
    plain = _network((6, 5, 2))
    plain.backward = lambda dZ: seen.append("own backward")  # type: ignore[method-assign,func-returns-value,assignment]
    plain.gradient(X, y, w)
    with monkeypatch.context() as patch:
        patch.setattr(Network, "backward", lambda self, dZ: seen.append("their backward"))
        _network((6, 5, 2)).gradient(X, y, w)
    assert seen[4:] == ["own backward", "their backward"]
    assert in_one_call == [8]


def test_nothing_outside_of_the_arrays_is_touched() -> None:
    """Of the last vector of a row only the columns that exist count, and are written."""
    network = _network((9, 13, 3))
    X = np.full((7, 9 + 30), np.nan, np.float32)[:, :9]  # NaN beside each row
    X[:] = 1
    network.reserve(16)
    for layer in network.layers:
        for scratch in layer._full.values():
            scratch[:] = 77  # rows beyond the batch
    network.gradient(X, np.zeros(7, np.int64))
    assert _went_through(network, X)
    assert np.isfinite(network.grad).all()
    for layer in network.layers:
        for scratch in layer._full.values():
            assert (scratch[7:] == 77).all()


@pytest.mark.parametrize(
    ("layers", "n_inputs", "rows"),
    [
        ([Dense(8, "gelu"), Dense(2)], 6, 8),
        ([Dense(8, "relu", ntk=True), Dense(2)], 6, 8),
        ([Dense(8, "relu"), Dropout(0.5), Dense(2)], 6, 8),
        ([Dense(8, "relu", bias=False), Dense(2)], 6, 8),
        ([Dense(8, "relu"), Dense(2)], 3, 8),  # fewer inputs than a tile has rows
        ([Dense(1, "relu"), Dense(2)], 6, 8),
    ],
)
def test_other_networks_have_no_chain(layers: list[Any], n_inputs: int, rows: int) -> None:
    network = Network(layers, n_inputs)
    network.forward(np.zeros((rows, n_inputs), np.float32))
    assert network.chain is None


@pytest.mark.parametrize("rows", [1, 3, 3000])
def test_few_and_many_rows_are_left_to_the_layers(rows: int) -> None:
    network = _network((64, 100, 10))
    network.reserve(4000)
    X = np.random.default_rng(0).normal(size=(rows, 64)).astype(np.float32)
    apart = _passes(_one_by_one(network), X)
    for name, value in _passes(network, X).items():
        np.testing.assert_array_equal(value, apart[name], err_msg=name)
    assert network.chain is not None
    assert network.chain.X is None


def _tripled(self: Dense, X: Array, train: bool) -> Array:
    self.A[:] = 3
    return self.A


def test_whoever_looks_or_changes_something_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    network = _network((6, 5, 2))
    usual = network.forward(X).copy()
    first, last = network.layers
    assert _went_through(network, X)
    assert isinstance(first, Dense)
    assert isinstance(last, Dense)

    seen: list[Array] = []
    first.watch = lambda Z: seen.append(Z.copy())
    network.forward(X)
    first.watch = None
    np.testing.assert_allclose(seen[0], X @ first.W, rtol=1e-4, atol=1e-5)

    last.forward = _tripled.__get__(last)  # type: ignore[method-assign]
    assert (network.forward(X) == 3).all()
    del last.forward  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(Dense, "forward", _tripled)
        assert (network.forward(X) == 3).all()
    np.testing.assert_array_equal(network.forward(X), usual)
    assert _went_through(network, X)

    calls: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(Dense, "backward", lambda self, dA: calls.append(self) or dA)
        network.forward(X)
        network.backward(np.ones((8, 2), np.float32))
    assert calls == [last, first]

    last.W = np.zeros_like(last.W)  # no longer what the table points at
    assert (network.forward(X) == last.b).all()


def test_a_backward_pass_belongs_to_its_forward_pass() -> None:
    """After rows that only the layers can take, the gradient is of those."""
    network = _network((64, 100, 10))
    few, some = np.ones((2, 64), np.float32), np.full((8, 64), 5, np.float32)
    for X in (some, few, some):
        network.forward(X)
        network.backward(np.ones((len(X), 10), np.float32))
        assert _went_through(network, X) == (len(X) > 2)
        twin = _one_by_one(network)
        twin.forward(X)
        twin.backward(np.ones((len(X), 10), np.float32))
        np.testing.assert_allclose(network.grad, twin.grad, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_chain_are_right() -> None:
    """By differences of the loss, as `gradient_check` does it for the layers one by one."""
    network = _network((6, 9, 5, 3), "tanh", "float64")
    X, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 3
    network.gradient(X, y)
    claimed, h = network.grad.copy(), 1e-5
    assert network.chain is not None
    assert network.chain.X is X
    for i in range(network.n_parameters):
        losses = []
        for step in (h, -2 * h):
            network.theta[i] += step
            losses.append(network.gradient(X, y))
        network.theta[i] += h
        assert (losses[0] - losses[1]) / (2 * h) == pytest.approx(claimed[i], rel=1e-5, abs=1e-9)


def test_layers_can_go_back_after_the_chain_went_forward() -> None:
    network = _network((6, 9, 5, 3), "tanh", "float64")
    X, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 3
    assert max(found.error for found in gradient_check(network, X, y)) < 1e-6


def test_what_is_not_finite_is_found_and_named() -> None:
    X = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    network = _network((8, 6, 2))
    history = fit(network, Feed(network, X, np.arange(64) % 2), optimizer=SGD(1e30), epochs=3, batch_size=8)
    assert isinstance(network.chain, Chain)
    assert history.diverged is not None
    assert "layer" in history.diverged
    with np.errstate(all="ignore"):
        X[3, 3] = np.nan
        assert np.isnan(_network((8, 6, 2)).forward(X[:8])).any()


def test_a_copy_has_a_chain_of_its_own() -> None:
    network = _network((6, 5, 2))
    X = np.ones((8, 6), np.float32)
    network.forward(X)
    assert _went_through(network, X)
    other = copy.deepcopy(network)
    assert other.chain is None
    other.theta[:] = 0
    assert (other.forward(X) == 0).all()
    assert not (network.forward(X) == 0).all()


@pytest.mark.parametrize("shape", [(8, 5), (8, 7), (8,), (8, 6, 1)])
def test_rows_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """The compiled loops would read what is not there."""
    network = _network((6, 5, 2))
    network.forward(np.zeros((8, 6), np.float32))
    with pytest.raises(ValueError, match=r"shape|match|unpack|dimension"):
        network.forward(np.zeros(shape, np.float32))
    network.forward(np.zeros((8, 6), np.float32))
    for wrong in ((8, 3), (7, 2), (9, 2)):
        with pytest.raises(ValueError, match="does not match"):
            network.backward(np.zeros(wrong, np.float32))


def test_other_numbers_go_through_the_layers() -> None:
    """Rows of float64, and gradients with gaps, through a network of float32."""
    network = _network((6, 5, 2))
    X = np.random.default_rng(0).normal(size=(8, 6))
    outputs = network.forward(X.astype(np.float32)).copy()
    np.testing.assert_allclose(network.forward(X), outputs, rtol=1e-4, atol=1e-5)
    network.forward(X.astype(np.float32))
    dZ = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
    network.backward(dZ.copy())
    grad = network.grad.copy()
    network.backward(np.repeat(dZ, 2, axis=1)[:, ::2])
    np.testing.assert_allclose(network.grad, grad, rtol=1e-4, atol=1e-5)


def test_layers_in_other_memory_are_called_one_by_one() -> None:
    """A shallow copy has the same layers, and gives them more scratch memory."""
    network = _network((6, 5, 2))
    X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    few = network.forward(X[:8]).copy()
    copy.copy(network).forward(X)
    for layer in network.layers:
        layer.use(8)
    np.testing.assert_allclose(network.forward(X[:8]), few, rtol=1e-4, atol=1e-5)


def test_rows_in_the_layers_own_memory_and_gradients_nobody_may_write() -> None:
    square = Network([Dense(30, "relu")], 30, "squared", seed=1)
    X = np.random.default_rng(0).normal(size=(7, 30)).astype(np.float32)
    first = square.forward(X)
    second = _one_by_one(square).forward(first.copy())
    np.testing.assert_allclose(square.forward(first), second, rtol=1e-4, atol=1e-5)

    network = _network((6, 5, 2))
    network.forward(X[:, :6])
    dZ = np.ones((7, 2), np.float32)
    dZ.flags.writeable = False
    with pytest.raises(NumbaError, match="readonly"):
        network.backward(dZ)
    assert (dZ == 1).all()


def test_other_layers_of_the_network_are_seen() -> None:
    network = _network((6, 5, 4, 2))
    X = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    network.forward(X)
    assert _went_through(network, X)
    features = network.layers[1].A.copy()  # type: ignore[attr-defined]
    network.layers.pop()
    np.testing.assert_allclose(network.forward(X), features, rtol=1e-4, atol=1e-5)
    assert not _went_through(network, X)


def test_a_layer_called_by_hand_goes_back_by_itself() -> None:
    """The gradient is of the rows that its layers have seen last."""
    network, twin = _network((6, 5, 2)), _one_by_one(_network((6, 5, 2)))
    old, new = np.random.default_rng(0).normal(size=(2, 7, 6)).astype(np.float32)
    for net in (network, twin):
        net.forward(old)
        A = new
        for layer in net.layers:
            A = layer.forward(A, True)
        net.backward(np.ones((7, 2), np.float32))
    np.testing.assert_allclose(network.grad, twin.grad, rtol=1e-4, atol=1e-4)
