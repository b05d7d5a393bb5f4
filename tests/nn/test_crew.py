"""A crew: rows shared out to threads give what one thread gives, and nobody is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from glassnet.nn import SGD, Activate, Dense, Dropout, Layer, Network, crew
from glassnet.nn.crew import Crew, crewed, over_rows, twin
from glassnet.train import Feed, evaluate, fit
from glassnet.train.gradient import batch_gradient
from glassnet.train.threads import threads_for

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (500, 20), dtype=np.uint8)
Y = RNG.integers(0, 3, 500)


def small(*layers: Any, loss: str = "softmax_cross_entropy") -> Network:
    network = Network([*layers, Dense(6, "tanh"), Dense(3)], 20, loss, dtype="float64")
    network.chunk_rows = 8
    return network


@pytest.fixture
def network() -> Iterator[Network]:
    """A network with a crew of three."""
    made = small()
    made.crew = Crew(made, 3)
    yield made
    made.crew.dismiss()


def test_a_crew_finds_what_one_thread_finds(network: Network) -> None:
    alone = small()
    weights = RNG.uniform(size=500)
    feed = Feed(network, X, Y, sample_weight=weights)
    loss, hits = batch_gradient(network, feed, feed.rows, ("accuracy",))
    expected, expected_hits = batch_gradient(alone, feed, feed.rows, ("accuracy",))
    assert loss == pytest.approx(expected, rel=1e-12)
    assert hits == expected_hits
    np.testing.assert_allclose(network.grad, alone.grad, rtol=1e-9, atol=1e-15)
    assert evaluate(network, feed, ("accuracy",)) == pytest.approx(evaluate(alone, feed, ("accuracy",)))
    np.testing.assert_array_equal(network.logits(X), alone.logits(X))


def test_who_does_what_changes_no_bit() -> None:
    """Threads held up here and there do other stretches of the rows: the sums are the same."""
    found = []
    for _ in range(5):
        network = small()
        feed = Feed(network, X, Y)
        network.crew = Crew(network, 4)
        take = feed.take

        def late(*args: Any, take: Any = take) -> Any:
            time.sleep(float(np.random.default_rng().uniform(0, 0.001)))
            return take(*args)

        feed.take = late  # type: ignore[method-assign]
        value, _ = batch_gradient(network, feed, feed.rows)
        found.append((value, network.grad.tobytes()))
        network.crew.dismiss()
    assert len(set(found)) == 1


def test_every_row_has_its_turn(network: Network) -> None:
    for n_rows in (0, 1, 7, 8, 9, 96, 97, 500):
        stretches = over_rows(network, n_rows, lambda _, stretch: stretch)
        assert [i for stretch in stretches for i in range(n_rows)[stretch]] == list(range(n_rows))


def test_twins_share_parameters_and_nothing_else() -> None:
    network = small()
    other = twin(network)
    network.theta += 1
    assert other.theta is network.theta
    assert np.shares_memory(other.layers[0].W, network.theta)  # type: ignore[attr-defined]
    assert not np.shares_memory(other.grad, network.grad)
    np.testing.assert_array_equal(other.predict(X), network.predict(X))
    assert other.outputs is not network.outputs
    assert other.chunk_rows == network.chunk_rows


class Project(Layer):
    """Somebody's own layer, which keeps an array for itself."""

    def build(self, n_in: int) -> int:
        self.P = np.eye(n_in)[::-1]
        return super().build(n_in)

    def forward(self, X: np.ndarray, train: bool) -> np.ndarray:
        return X @ self.P

    def backward(self, dA: np.ndarray) -> np.ndarray:
        return dA @ self.P.T


def test_twins_have_what_somebodys_layer_keeps_and_what_somebody_watches() -> None:
    network = small(Dense(4), Project(), Activate("tanh"))
    seen: list[int] = []
    network.layers[0].watch = lambda Z: seen.append(len(Z))  # type: ignore[attr-defined]
    feed = Feed(network, X, Y)
    expected = batch_gradient(network, feed, feed.rows)
    network.crew = Crew(network, 3)
    assert batch_gradient(network, feed, feed.rows)[0] == pytest.approx(expected[0], rel=1e-12)
    network.crew.dismiss()
    assert sum(seen) == 2 * len(X)


def test_two_crews_at_once_are_one_too_many() -> None:
    """Each would put back the number of threads that it found."""
    network, other = small(), small()
    with threadpool_limits(2, user_api="blas"):
        with crewed(network), crewed(other):
            assert (network.crew is not None, other.crew) == (True, None)
        with crewed(other):
            assert other.crew is not None


def test_few_rows_are_few_stretches(network: Network) -> None:
    stretches = over_rows(network, 30, lambda _, stretch: stretch)
    assert len(stretches) == 4  # of 8 rows at most; nobody adds up a gradient of nothing
    assert over_rows(network, 0, lambda _, stretch: stretch) == [slice(0, 0)]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n_rows", [0, 1, 31, 160, 161, 500, 1600, 10_000, 40_000])
def test_stretches_are_whole_chunks_and_the_last_ones_are_short(n_rows: int, threads: int) -> None:
    """So a row's piece has as many rows whoever is at work, but for what is left behind the last chunk."""
    lengths = [s.stop - s.start for s in crew._stretches(n_rows, 160, 8 * threads, threads)]
    assert sum(lengths) == n_rows
    assert all(length % 160 == 0 for length in lengths[:-1])
    assert min(lengths) > 0 or n_rows == 0
    if n_rows >= 160 * 8 * threads:
        assert len(lengths) >= 5 * threads
        assert lengths[0] * threads < n_rows / 3 + 160 * threads
        assert max(lengths[-threads:]) * 8 * threads < n_rows


def test_an_error_of_a_twin_is_the_callers(network: Network) -> None:
    def fail(who: Network, _: slice) -> None:
        time.sleep(0.01)  # so that everybody gets a turn
        if who is not network:
            raise ZeroDivisionError("of a twin")

    with pytest.raises(ZeroDivisionError, match="of a twin"):
        over_rows(network, 500, fail)
    assert over_rows(network, 500, lambda *_: 1) == [1] * 11  # and the crew goes on


def test_an_interrupt_ends_everybodys_work(network: Network) -> None:
    begun = []

    def interrupted(who: Network, stretch: slice) -> None:
        begun.append(stretch)
        if who is network:
            raise KeyboardInterrupt
        time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        over_rows(network, 500, interrupted)
    n = len(begun)
    time.sleep(0.1)
    assert len(begun) == n <= 5


def test_the_blas_gets_its_threads_back_and_the_crew_goes_home() -> None:
    network = small()

    def work_and_fail() -> None:
        with crewed(network):
            assert network.crew is not None
            assert len(network.crew.networks) == 2
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
            over_rows(network, 100, lambda *_: time.sleep(0.01))
            assert threading.active_count() == threads + 1
            raise ZeroDivisionError

    with threadpool_limits(2, user_api="blas"):
        before, threads = [pool["num_threads"] for pool in threadpool_info()], threading.active_count()
        with pytest.raises(ZeroDivisionError):
            work_and_fail()
        assert [pool["num_threads"] for pool in threadpool_info()] == before
        assert threading.active_count() == threads
    assert network.crew is None


def test_one_thread_is_no_crew() -> None:
    network = small()
    with threadpool_limits(1), crewed(network):
        assert network.crew is None


def test_the_crew_is_for_rows_in_any_order() -> None:
    """Not for dropout, nor for augmentation: they draw for one row after the other."""
    with threadpool_limits(2, user_api="blas"):
        for network, in_order, expected in (
            (small(Dense(3000)), False, True), (small(Dense(3000), Dropout(0.5)), False, False),
            (small(Dense(3000)), True, False),
        ):  # fmt: skip
            with threads_for(network, 500, in_order):
                assert (network.crew is not None) == expected
        with threads_for(small(), 500):  # too little work
            assert network.crew is None


def test_what_is_not_finite_is_found_in_a_twins_rows() -> None:
    network = Network([Dense(3000, "relu"), Dense(5, lambda Z: Z + Z**2), Dense(3)], 20)
    network.chunk_rows = 8
    values = X.astype(np.float32)
    values[-1] = 1e30
    with threadpool_limits(2, user_api="blas"):
        history = fit(network, Feed(network, values, Y), epochs=2, batch_size="full", optimizer=SGD(1e-9))
    assert "layer 2 (Dense), step 0: the forward pass gave" in history.diverged


def test_many_rows_are_predicted_by_a_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small()
    expected, seen = network.predict(X), []
    monkeypatch.setattr(crew, "_MANY", 500 * network.n_parameters)
    real = Crew.map
    monkeypatch.setattr(
        Crew, "map", lambda self, *args: (seen.append(len(self.networks)), real(self, *args))[1]
    )
    with threadpool_limits(2, user_api="blas"):
        np.testing.assert_array_equal(network.predict(X), expected)
        network.predict(X[:499])
    assert seen == [2]
