"""Memory: a warm step allocates nothing that grows with the data, scratch is written before it is read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from glassnet.nn import (
    LOSSES,
    SGD,
    Activate,
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Loss,
    Network,
    Noise,
    ParametricActivation,
    PReLU,
    Residual,
    RMSNorm,
    Scale,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from glassnet.nn.crew import twin
from glassnet.train import L1, L2, ClipNorm, ClipValue, Feed, fit
from glassnet.train.gradient import batch_gradient
from glassnet.train.treatments import Treatment

Array = np.ndarray[Any, Any]
WIDTH = 64
LAYERS: list[list[Layer]] = [
    [Dense(WIDTH, "relu")],
    [Dense(WIDTH, "gelu"), Dense(WIDTH, "tanh", bias=False), Dense(WIDTH, "sigmoid", ntk=True)],
    [BatchNorm(), Activate("silu"), LayerNorm(), RMSNorm()],
    [Dropout(0.5), Noise(0.1), Dense(WIDTH, "relu")],
    [Scale(), ParametricActivation("mish"), PReLU()],
    [Residual(LayerNorm(), Dense(2 * WIDTH, "gelu"), Dense(WIDTH)), Residual(Dropout(0.1), Dense(WIDTH))],
]
names = ["-".join(type(layer).__name__ for layer in layers) for layers in LAYERS]
every_kind = pytest.mark.parametrize("layers", LAYERS, ids=names)


def setup(layers: list[Layer], rows: int, loss: str = "softmax_cross_entropy") -> tuple[Network, Feed]:
    rng = np.random.default_rng(0)
    network = Network([*layers, Dense(2)], WIDTH, loss)
    return network, Feed(
        network, rng.integers(0, 255, (rows, WIDTH)).astype(np.uint8), rng.integers(2, size=rows)
    )


def peak_of_a_step(layers: list[Layer], rows: int) -> int:
    """Bytes at the peak of one step of `rows` rows, after two to warm up."""
    network, feed = setup(layers, rows)
    adam = Adam()
    adam.start(network)

    def step() -> None:
        batch_gradient(network, feed, feed.rows)
        adam.step()

    return peak_when_warm(step)


def peak_when_warm(step: Callable[[], object]) -> int:
    """Bytes at the peak of one call, after two to warm up."""
    step()
    step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


MANY_OUTPUTS: list[Loss] = [
    *(make() for make in LOSSES.values()), SoftmaxCrossEntropy(0.1), SoftmaxCrossEntropy(focal=2.0),
    SigmoidCrossEntropy(0.1), SigmoidCrossEntropy(focal=2.0),
]  # fmt: skip


@pytest.mark.parametrize("loss", MANY_OUTPUTS, ids=repr)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_no_loss_allocates_what_grows_with_the_batch(loss: Loss, weighted: bool) -> None:
    """With 64 outputs an array of all of them would be 256 bytes for each row; a weight is 4."""

    def peak(rows: int) -> int:
        rng = np.random.default_rng(0)
        network = Network([Dense(WIDTH)], WIDTH, loss)
        X = rng.normal(size=(rows, WIDTH)).astype(np.float32)
        y = rng.integers(WIDTH, size=rows)
        Y = y if isinstance(loss, SoftmaxCrossEntropy) else np.eye(WIDTH)[y]
        targets = loss.targets(Y, WIDTH, network.dtype)
        w = rng.uniform(size=rows if weighted else 1).astype(np.float32)
        return peak_when_warm(lambda: network.gradient(X, targets, w))

    few, many = 1024, 4096
    assert peak(many) - peak(few) < (many - few)  # less than a byte


@pytest.mark.parametrize("treatment", [L1(0.1), L2(0.1), ClipNorm(1e-3), ClipValue(1e-3)], ids=repr)
def test_no_treatment_allocates_what_grows_with_the_network(treatment: Treatment) -> None:
    def peak(units: int) -> int:
        network = Network([Dense(units)], 100, "squared")
        network.grad[:] = 1
        return peak_when_warm(lambda: treatment(network, 1.0))

    assert peak(1000) - peak(100) < 90_000 / 100  # parameters: of a byte for each, a hundredth


@every_kind
def test_a_warm_step_allocates_nothing_that_grows_with_the_batch(layers: list[Layer]) -> None:
    few, many = 1024, 3072  # of few enough bytes to become floats, there would be less memory
    small, large = peak_of_a_step(layers, few), peak_of_a_step(layers, many)
    # a row's target travels along (8 bytes), its 64 features and activations (256 bytes each) must not
    assert large - small < (many - few) * 16


@every_kind
def test_scratch_memory_is_written_before_it_is_read(
    layers: list[Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks whose scratch memory begins as NaN learn the same numbers."""

    def learned() -> tuple[bytes, bytes, bytes]:
        network, feed = setup(layers, 50)
        fit(network, feed, validation=feed, optimizer=SGD(1e-3), epochs=2, batch_size=16)
        return network.theta.tobytes(), network.state.tobytes(), network.predict(feed.X).tobytes()

    expected, real = learned(), np.empty

    def poisoned(*args: Any, **settings: Any) -> Array:
        array = real(*args, **settings)
        if array.dtype.kind == "f" or array.dtype == np.uint8:  # bytes are what `aligned` makes floats of
            array.reshape(-1).view(np.uint8).fill(255)  # a NaN in every type of floats
        return array

    monkeypatch.setattr(np, "empty", poisoned)
    assert learned() == expected


def test_what_steps_work_on_begins_with_cache_lines() -> None:
    """Parameters, gradient, moments and scratch memory, whatever their lengths; also of a crew's twins."""
    network = Network([Dense(33, "relu"), Dense(5)], 1000)
    optimizer = Adam()
    optimizer.start(network)
    network.reserve(1000)
    scratch = [array for layer in network.layers for array in layer._full.values()]
    for array in (network.theta, network.grad, *optimizer.state.values(), twin(network).grad, *scratch):
        assert array.ctypes.data % 64 == 0
    assert all(moment.shape == network.theta.shape for moment in optimizer.state.values())


def test_memory_is_bounded_by_the_widest_layer() -> None:
    """Two inputs and a thousand units: a chunk of rows is cut by the units."""
    network = Network([Dense(200, "relu"), Residual(Dense(5000), Dense(200)), Dense(2)], 2)
    with threadpool_limits(1):
        network.logits(np.zeros((1000, 2)))
    assert network.capacity * 5000 <= 2**21
    assert network.capacity < 1000


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_memory_does_not_grow_with_a_memory_map(tmp_path: Path, dtype: str) -> None:
    """Training on a map of 82 MB allocates what one of 4 MB does, and some 50 bytes for each further row."""
    path, width = tmp_path / "rows.npy", 1024 // np.dtype(dtype).itemsize
    np.lib.format.open_memmap(path, "w+", dtype, (80_000, width)).flush()  # a file of holes

    def peak(rows: int) -> int:
        X = np.load(path, mmap_mode="r")[:rows]
        network = Network([Dense(32, "relu"), Dense(2)], width)
        tracemalloc.start()
        try:
            feed = Feed(network, X, np.zeros(rows, np.int64))
            fit(network, feed, validation=feed, epochs=1, batch_size=1000)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(80_000)  # imports and compiles, also for the short last piece
    assert peak(80_000) - peak(4_000) < 76_000 * 60
