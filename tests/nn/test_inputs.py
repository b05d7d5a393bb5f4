"""Predictions of stored rows: whatever their form, what the scaled floats give."""

from __future__ import annotations

import pickle
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from glassnet import kernels
from glassnet.data.scaling import Scaling
from glassnet.errors import InputError
from glassnet.nn import Dense, Dropout, Inputs, Network, Residual, crew
from glassnet.train import Feed
from glassnet.train.measure import outputs

RNG = np.random.default_rng(0)
N, I, C = 3000, 96, 3  # several pieces  # noqa: E741
X = RNG.integers(0, 256, (N, I), dtype=np.uint8)
SCALING = Scaling(np.array(1 / 255, np.float32), np.array(-0.5, np.float32))
BY_COLUMN = Scaling(RNG.uniform(0.5, 2, I), RNG.normal(size=I))


def network(*layers: Any, dtype: str = "float32", units: int = 24) -> Network:
    made = Network([*layers, Dense(units, "relu"), Dense(C)], I, seed=1, dtype=dtype)
    made.chunk_rows = 700
    return made


def in_column_order(rows: Any) -> Any:
    return np.asfortranarray(rows.astype(np.float32))


def every_second(rows: Any) -> Any:
    return np.repeat(rows.astype(np.float64), 2, axis=0)[::2]


FORMS = {
    "bytes": lambda rows: rows, "int64": lambda rows: rows.astype(np.int64),
    "float32": lambda rows: rows.astype(np.float32), "float64": lambda rows: rows.astype(np.float64),
    "float16": lambda rows: rows.astype(np.float16), "big-endian": lambda rows: rows.astype(">f8"),
    "in column order": in_column_order, "every second": every_second, "a list": lambda rows: rows.tolist(),
    "sparse": sparse.csr_array, "sparse columns": sparse.csc_array,
}  # fmt: skip


@pytest.mark.parametrize("n_rows", [0, 1, 40, N])
@pytest.mark.parametrize("scaling", [None, SCALING, BY_COLUMN], ids=["unscaled", "one number", "by column"])
@pytest.mark.parametrize(
    ("dtype", "form"),
    [*(("float32", form) for form in FORMS), *(("float64", form) for form in ("bytes", "float64", "sparse"))],
)
def test_rows_in_any_form_give_what_scaled_floats_give(
    dtype: str, form: str, scaling: Scaling | None, n_rows: int
) -> None:
    if form == "a list" and not n_rows:
        pytest.skip("an empty list has no columns")
    net, rows = network(dtype=dtype), X[:n_rows]
    scaled = rows.astype(np.float64) if scaling is None else rows * scaling.scale + scaling.shift
    expected = network(dtype="float64").logits(scaled)
    found = net.logits(FORMS[form](rows), scaling)
    assert found.dtype == dtype
    assert found.shape == (n_rows, C)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(initial=1))


@pytest.mark.parametrize("layers", [(), (Dropout(0.5),), (Residual(Dense(I)),)], ids=repr)
def test_a_network_may_begin_with_anything(layers: tuple[Any, ...]) -> None:
    net = network(*layers)
    np.testing.assert_allclose(
        net.predict(X, SCALING), net.predict(SCALING.apply(X).astype(np.float32)), rtol=1e-3, atol=1e-5
    )


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows that stayed bytes."""
    found = []

    class Seen(kernels.StoredRows):
        def times(self, *arguments: Any) -> None:
            found.append(len(self))
            super().times(*arguments)

    monkeypatch.setattr(kernels, "StoredRows", Seen)
    return found


@pytest.mark.skipif(kernels.FORM == "as floats", reason="floats are what this processor multiplies")
def test_many_bytes_stay_bytes(taken: list[int]) -> None:
    net = network()
    net.predict(X, SCALING)
    assert sum(taken) == N
    net.predict(X.astype(np.float32), SCALING)
    assert sum(taken) == N


@pytest.mark.skipif(not kernels.STEPS, reason="the definition multiplies floats")
def test_one_unit_reads_bytes_on_every_processor(taken: list[int]) -> None:
    net = Network([Dense(1)], I, "sigmoid_cross_entropy", seed=0)
    np.testing.assert_allclose(
        net.predict(X, SCALING), net.predict(SCALING.apply(X).astype(np.float32)), rtol=1e-4
    )
    assert sum(taken) == N


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("scaling", [None, SCALING], ids=["unscaled", "scaled"])
def test_a_memory_map_for_reading_is_enough(scaling: Scaling | None, dtype: str, tmp_path: Path) -> None:
    X.astype(dtype).tofile(tmp_path / "rows")
    stored = np.memmap(tmp_path / "rows", dtype, "r", shape=X.shape)
    net = network()
    np.testing.assert_array_equal(net.predict(stored, scaling), net.predict(X.astype(dtype), scaling))


@pytest.mark.parametrize("scaling", [None, SCALING], ids=["unscaled", "scaled"])
def test_threads_convert_rows_beside_each_other(
    scaling: Scaling | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network()
    expected = net.logits(X, scaling)
    monkeypatch.setattr(crew, "_MANY", 0)
    monkeypatch.setattr(crew, "blas_threads", lambda: nullcontext(3))
    for _ in range(5):
        np.testing.assert_allclose(net.logits(X, scaling), expected, rtol=1e-4, atol=1e-3)


def test_inputs_and_feeds_are_pickled_without_their_memory() -> None:
    net = network()
    for rows in (Inputs(net, X, SCALING), Feed(net, X, np.zeros(N, int), scaling=SCALING)):
        first = np.array(rows.piece(net, slice(0, 20)))
        again = pickle.loads(pickle.dumps(rows))
        np.testing.assert_array_equal(again.piece(net, slice(0, 20)), first)


def test_a_feed_of_the_same_rows_gives_the_same() -> None:
    net = network()
    feed = Feed(net, X, np.zeros(N, int), scaling=SCALING)
    np.testing.assert_allclose(outputs(net, feed), net.logits(X, SCALING), rtol=1e-5, atol=1e-5)
    backwards = Feed(net, X, np.zeros(N, int), scaling=SCALING, rows=np.arange(N)[::-1])
    np.testing.assert_allclose(outputs(net, backwards), outputs(net, feed)[::-1], rtol=1e-5, atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    net = network()
    with pytest.raises(InputError, match=r"X has shape \(3000, 95\), but this network takes \(rows, 96\)"):
        net.predict(X[:, 1:], SCALING)
    with pytest.raises(InputError, match=r"X has shape \(96,\)"):
        net.predict(X[0], SCALING)
    with pytest.raises(InputError, match=r"the scaling has shape \(95,\), but X has 96 columns"):
        net.predict(X[:5], Scaling(np.ones(95), np.zeros(95)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([[1.0, 2.0], [3.0]],), "X must be an array, but its rows are of different lengths"),
        ((X, "unit"), "scaling must have a scale and a shift, .* not 'unit'"),
    ],
)
def test_what_is_no_array_and_no_scaling_is_refused_in_words(given: tuple[Any, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        network().predict(*given)
