"""Batches of stored bytes: what is learned and measured is what converted rows give."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from glassnet.errors import InputError
from glassnet.kernels import stored
from glassnet.nn import SGD, Dense, Network, Scale
from glassnet.train import Feed, fit
from glassnet.train.gradient import batch_gradient
from glassnet.train.measure import evaluate, outputs

by_digits = pytest.mark.skipif(
    not stored.AVAILABLE, reason="this processor cannot multiply bytes with digits (AVX-512 VNNI)"
)
#: one unit multiplies bytes on every processor, several only where there are digits
kinds = pytest.mark.parametrize("kind", ["one unit", pytest.param("units", marks=by_digits)])
RNG = np.random.default_rng(3)
N = 3000
X = RNG.integers(0, 256, (N, 70), dtype=np.uint8)
Y = (X[:, :3].argmax(axis=1)).astype(np.int64)
WEIGHTS = RNG.uniform(0, 2, N)


@pytest.fixture(autouse=True)
def _few_bytes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_WORTH", 2**10)


class Half:
    scale, shift = np.array(1 / 128), np.array(-1.0)


def network(*layers: Any, seed: int = 0, kind: str = "units") -> Network:
    if kind == "one unit":
        net = Network([Dense(1)], 70, "sigmoid_cross_entropy", seed=seed)
    else:
        net = Network(list(layers) or [Dense(20, "tanh"), Dense(3)], 70, seed=seed)
    net.chunk_rows = 64  # so that this little goes in parts
    return net


def feeds(net: Network, weights: Any = None) -> tuple[Feed, Feed]:
    """One that stays bytes, and the same rows as floats."""
    converted = (X * np.float32(1 / 128) - np.float32(1)).astype(np.float32)
    y = Y if net.n_outputs > 1 else (Y == 0).astype(np.int64)
    first = Feed(net, X, y, scaling=Half(), sample_weight=weights)
    assert first.stays_bytes(net, net.chunk_rows)
    return first, Feed(net, converted, y, sample_weight=weights)


@kinds
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_gradient_and_measures_are_those_of_converted_rows(threads: int, weights: Any, kind: str) -> None:
    from glassnet.nn.crew import crewed

    net = network(kind=kind)
    found = []
    with threadpool_limits(threads), crewed(net):
        for feed in feeds(net, weights):
            loss, sums = batch_gradient(net, feed, feed.rows, ("accuracy",))
            found.append((loss, sums, net.grad.copy(), evaluate(net, feed), outputs(net, feed)))
    (loss, sums, grad, measured, Z), expected = found
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert sums == expected[1]
    np.testing.assert_allclose(grad, expected[2], atol=1e-6)
    assert measured == pytest.approx(expected[3], rel=1e-5)
    np.testing.assert_allclose(Z, expected[4], atol=1e-5)


@by_digits
@pytest.mark.parametrize("threads", [1, 2])
def test_weights_are_made_ready_once_for_all_pieces_and_followed(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glassnet.nn.crew import crewed

    ready: list[bool] = []

    def seen(factor: Any, *how: Any, real: Any = stored.as_prepared) -> Any:
        ready.append(real(factor, *how) is not factor)
        return real(factor, *how)

    net = network()
    feed, plain = feeds(net)
    with threadpool_limits(threads), crewed(net):
        for factor in (1, 2):
            net.theta *= factor
            expected = batch_gradient(net, plain, plain.rows)[0], evaluate(net, plain)["loss"]
            with monkeypatch.context() as patched:
                patched.setattr(stored, "as_prepared", seen)
                found = batch_gradient(net, feed, feed.rows)[0], evaluate(net, feed)["loss"]
            assert found == pytest.approx(expected, rel=1e-5)
            batch_gradient(net, feed, feed.rows[:150])  # in one piece
    assert len(ready) >= 4 * N // (3 * 64)
    assert all(ready)


@kinds
def test_a_training_repeats_itself_and_its_network_can_be_copied(kind: str) -> None:
    thetas = []
    for _ in range(2):
        net = network(kind=kind)
        history = fit(net, feeds(net)[0], optimizer=SGD(0.5), epochs=5, batch_size="full")
        thetas.append(net.theta.tobytes())
    assert thetas[0] == thetas[1]
    assert history["loss"][-1] < history["loss"][0]
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(again.theta, net.theta)
        assert not hasattr(again.layers[0], "X")


@by_digits
def test_one_feed_serves_networks_with_other_first_layers() -> None:
    plain, scaled = network(), network(Scale(), Dense(20, "tanh"), Dense(3))
    feed = feeds(plain)[0]
    assert not feed.stays_bytes(scaled, N)
    for net in (plain, scaled):
        assert np.isfinite(evaluate(net, feed)["loss"])
        assert np.isfinite(batch_gradient(net, feed, feed.rows)[0])


@kinds
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_mini_batches_are_those_of_converted_rows(threads: int, weights: Any, kind: str) -> None:
    found = []
    for feed in feeds(network(kind=kind), weights):
        net = network(kind=kind)
        net.chunk_rows = N
        with threadpool_limits(threads):
            history = fit(net, feed, optimizer=SGD(0.1), batch_size=1000, epochs=3, seed=1)
        found.append((net.theta, history["loss"]))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-5)


@kinds
def test_only_who_is_named_gets_bytes_and_only_where_they_pay(kind: str) -> None:
    net = network(kind=kind)
    feed = feeds(net)[0]
    assert isinstance(feed.take(feed.rows)[0], np.ndarray)
    assert isinstance(feed.take(feed.rows[:20], network=net)[0], np.ndarray)
    assert isinstance(feed.take(feed.rows, network=net)[0], stored.StoredRows)


@kinds
def test_changed_rows_stay_bytes_too(kind: str) -> None:
    net = network(kind=kind)
    feed = Feed(net, X, Y % net.n_outputs, scaling=Half(), augment=lambda rows, _: 255 - rows)
    rng = np.random.default_rng(0)
    A, y, w = feed.take(feed.rows, rng, net)
    assert isinstance(A, stored.StoredRows)
    converted = feed.take(feed.rows, rng)[0]
    loss = net.gradient(A, y, w)
    assert loss == pytest.approx(net.gradient(converted, y, w), rel=1e-5)
    as_floats = Feed(net, X, y, scaling=Half(), augment=lambda rows, _: rows.astype(np.float32) / 2)
    assert isinstance(as_floats.take(feed.rows, rng, net)[0], np.ndarray)


@kinds
def test_changed_weights_are_seen(kind: str) -> None:
    net = network(kind=kind)
    feed = feeds(net)[0]
    A, y, w = feed.take(feed.rows, network=net)
    before = net.gradient(A, y, w)
    assert net.gradient(A, y, w) == before
    net.theta *= 2
    assert net.gradient(A, y, w) != before


def test_a_feed_whose_scaling_differs_by_column_is_converted() -> None:
    class Each:
        scale, shift = np.full(70, 1 / 255), np.zeros(70)

    net = network()
    feed = Feed(net, X, Y, scaling=Each())
    assert not feed.stays_bytes(net, N)
    assert np.isfinite(batch_gradient(net, feed, feed.rows)[0])


def test_an_order_with_numbers_of_no_rows_is_refused() -> None:
    net = network(kind="one unit")
    with pytest.raises(InputError, match="rows has numbers from -1"):
        fit(net, feeds(net)[0], epochs=1, batch_size=100, shuffle=lambda rows: rows - 1)
