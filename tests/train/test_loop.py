"""The training loop: what it computes, what it records, and that only the seed decides."""

from __future__ import annotations

import math
import re
from itertools import chain
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from glassnet.errors import InputError
from glassnet.nn import (
    OPTIMIZERS,
    SGD,
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Network,
    Noise,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Squared,
    optimizer,
)
from glassnet.train import (
    L1,
    L2,
    METRICS,
    Callback,
    ClipNorm,
    ClipValue,
    Feed,
    History,
    MaxNorm,
    Report,
    Run,
    evaluate,
    fit,
    outputs,
)

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def net(*layers: Layer, loss: Any = "softmax_cross_entropy", n_outputs: int = 2, **settings: Any) -> Network:
    return Network([*layers, Dense(n_outputs)], 4, loss, **settings)


def trained(
    *layers: Layer, X: Any = X, y: Array = Y, feed: dict[str, Any] | None = None, **settings: Any
) -> Network:
    network = net(*layers, dtype=settings.pop("dtype", "float32"))
    settings = {"epochs": 3, "batch_size": 16, "optimizer": Adam(0.01)} | settings
    fit(network, Feed(network, X, y, **(feed or {})), **settings)
    return network


class Batches(Callback):
    """Remembers which rows each step saw, through a feature that is the row's number."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def on_step(self, run: Run) -> None:
        self.seen.append(run.network.layers[-1].X[:, 0].astype(int).tolist())


def batches(*layers: Layer, n: int = 10, **settings: Any) -> list[list[int]]:
    numbers = np.arange(n, dtype=np.float32)[:, None].repeat(4, axis=1)
    network = net(*layers)
    watch = Batches()
    settings = {"epochs": 2, "batch_size": 4, "optimizer": SGD(1e-30)} | settings
    fit(network, Feed(network, numbers, np.zeros(n, int)), callbacks=[watch], **settings)
    return watch.seen


def test_same_seed_same_bits() -> None:
    layers = [Dense(8, "relu"), BatchNorm(), Dropout(0.3), Noise(0.1)]
    a, b, c = trained(*layers), trained(*layers), trained(*layers, seed=1)
    assert a.theta.tobytes() == b.theta.tobytes()
    assert a.state.tobytes() == b.state.tobytes()
    assert a.theta.tobytes() != c.theta.tobytes()


def test_numpys_global_generator_plays_no_part_and_is_left_alone() -> None:
    np.random.seed(1)  # noqa: NPY002
    a = trained(Dropout(0.3))
    after = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert after == np.random.random()  # noqa: NPY002
    assert a.theta.tobytes() == trained(Dropout(0.3)).theta.tobytes()


def test_layers_that_draw_change_neither_the_order_nor_the_first_weights() -> None:
    class Nothing(Noise):  # draws as many numbers as it likes
        def forward(self, X: Array, train: bool) -> Array:
            self.rng.random(1000)
            return X

    assert batches() == batches(Nothing(1.0))
    plain, with_dropout = net(Dense(5)), net(Dropout(0.5), Dense(5), Dropout(0.5))
    assert np.array_equal(plain.theta, with_dropout.theta)


def test_augmentation_does_not_disturb_the_order() -> None:
    def shifted(rows: Array, rng: np.random.Generator) -> Array:
        return rows + rng.integers(0, 1, rows.shape).astype(rows.dtype)  # adds 0, after drawing

    assert trained().theta.tobytes() == trained(feed={"augment": shifted}).theta.tobytes()


def test_what_runs_between_has_no_effect() -> None:
    first = trained(Dropout(0.2)).theta.tobytes()
    trained(Dense(7, "tanh"), BatchNorm(), epochs=1)
    assert trained(Dropout(0.2)).theta.tobytes() == first


def test_every_row_once_in_each_epoch_in_a_new_order() -> None:
    seen = batches()
    assert [len(rows) for rows in seen] == [4, 4, 2, 4, 4, 2]
    first, second = [*chain(*seen[:3])], [*chain(*seen[3:])]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != sorted(first)


def test_drop_last_and_no_shuffling_and_an_order_of_ones_own() -> None:
    assert [len(rows) for rows in batches(drop_last=True)] == [4, 4, 4, 4]
    assert batches(shuffle=False)[:3] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches(shuffle=lambda rows: rows[::-1])[:3] == [[9, 8, 7, 6], [5, 4, 3, 2], [1, 0]]
    assert [len(rows) for rows in batches(batch_size="full")] == [10, 10]
    assert [len(rows) for rows in batches(batch_size=64, drop_last=True)] == [10, 10]  # never nothing at all


def test_a_short_last_batch_is_a_mean_over_its_own_rows() -> None:
    """Two rows after a batch of four: their step is that of a batch of two."""
    whole = trained(
        epochs=1, batch_size=4, shuffle=False, optimizer=SGD(0.1), X=X[:6], y=Y[:6], dtype="float64"
    )
    parts = net(dtype="float64")
    for rows in (slice(0, 4), slice(4, 6)):
        fit(parts, Feed(parts, X[rows], Y[rows]), optimizer=SGD(0.1), epochs=1, batch_size=4, shuffle=False)
    np.testing.assert_allclose(whole.theta, parts.theta, rtol=1e-14)


def test_weights_count_rows() -> None:
    """A weight of 2 is a row that is there twice; a weight of 0 one that is not."""
    weights = RNG.integers(0, 3, size=len(X)).astype(float)
    settings = {"optimizer": SGD(0.5), "batch_size": "full", "epochs": 5, "dtype": "float64"}
    weighted = trained(Dense(5, "tanh"), feed={"sample_weight": weights}, **settings)
    repeated = np.repeat(np.arange(len(X)), weights.astype(int))
    np.testing.assert_allclose(
        weighted.theta, trained(Dense(5, "tanh"), X=X[repeated], y=Y[repeated], **settings).theta, rtol=1e-9
    )


def test_a_batch_whose_weights_are_all_zero_teaches_nothing() -> None:
    weights = np.r_[np.zeros(40), np.ones(10)]
    a = trained(feed={"sample_weight": weights}, batch_size=10, shuffle=False, epochs=1, optimizer=SGD(0.1))
    b = trained(X=X[40:], y=Y[40:], batch_size=10, shuffle=False, epochs=1, optimizer=SGD(0.1))
    np.testing.assert_allclose(a.theta, b.theta, rtol=1e-6)


def test_class_weights_are_sample_weights() -> None:
    factors = np.array([0.5, 3.0])
    by_class = net(loss=SoftmaxCrossEntropy(class_weight=factors))
    by_row = net()
    fit(by_class, Feed(by_class, X, Y), epochs=2)
    fit(by_row, Feed(by_row, X, Y, sample_weight=factors[Y]), epochs=2)
    assert np.array_equal(by_class.theta, by_row.theta)
    one_output = net(loss=SigmoidCrossEntropy(class_weight=factors), n_outputs=1)
    assert Feed(one_output, X, Y).w.tolist() == factors[Y].tolist()


def test_one_hot_targets_are_class_codes() -> None:
    assert trained(y=np.eye(2)[Y]).theta.tobytes() == trained().theta.tobytes()


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_are_dense_rows(form: Any) -> None:
    thin = np.where(np.abs(X) > 1, X, 0)
    a, b = trained(X=thin), trained(X=form(thin))
    assert a.theta.tobytes() == b.theta.tobytes()
    assert a.predict(thin).tobytes() == a.predict(form(thin)).tobytes()


class Scaling:
    scale, shift = np.float32(1 / 255), np.float32(-0.5)


@pytest.mark.parametrize(
    "dtype",
    [
        "uint8",
        "int8",
        "uint16",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
        ">f4",
        ">i2",
        "longdouble",
    ],
)
def test_stored_numbers_of_any_type_are_scaled_batch_by_batch(dtype: str) -> None:
    stored = RNG.integers(0, 127, size=(50, 4))
    scaled = stored.astype(np.float32) * Scaling.scale + Scaling.shift
    a = trained(X=stored.astype(dtype), feed={"scaling": Scaling()})
    np.testing.assert_allclose(a.theta, trained(X=scaled).theta, rtol=1e-4, atol=1e-6)


def test_only_who_multiplies_gets_rows_with_gaps_between_them() -> None:
    dense = net()
    normed = net(LayerNorm())
    feed = Feed(dense, X, Y)
    rows, own = np.array([5, 1, 1]), feed.X[[5, 1, 1]].astype(np.float32)
    for network, gaps in ((dense, True), (normed, False), (None, False)):
        taken = feed.take(rows, network=network)[0]
        assert (not taken.flags.c_contiguous) == gaps
        np.testing.assert_array_equal(taken, own)


def test_rows_that_take_part() -> None:
    rows = np.array([3, 1, 8, 40, 2, 5])
    a = trained(feed={"rows": rows}, shuffle=False)
    assert a.theta.tobytes() == trained(X=X[rows], y=Y[rows], shuffle=False).theta.tobytes()
    network = net()
    np.testing.assert_array_equal(outputs(network, Feed(network, X, Y, rows=rows)), network.logits(X[rows]))


@pytest.mark.parametrize("layers", [[Dense(6, "gelu")], [Dense(6, "tanh"), Dropout(0.0)]])
def test_a_batch_in_parts_is_one_batch(layers: list[Layer]) -> None:
    weights = RNG.uniform(size=len(X))
    thetas = []
    for rows_at_a_time in (1000, 7):
        network = net(*layers, dtype="float64")
        network.chunk_rows = rows_at_a_time
        feed = Feed(network, X, Y, sample_weight=weights)
        history = fit(network, feed, validation=feed, batch_size="full", epochs=5, optimizer=SGD(0.5))
        thetas.append((network.theta, history["loss"], history["val_loss"], history["accuracy"]))
    for whole, parts in zip(*thetas, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-15)


def test_batch_norm_sees_its_whole_batch() -> None:
    network, parts = net(BatchNorm(), dtype="float64"), net(BatchNorm(), dtype="float64")
    parts.chunk_rows = 7
    for one in (network, parts):
        fit(one, Feed(one, X, Y), batch_size="full", epochs=2, optimizer=SGD(0.5))
    assert np.array_equal(network.theta, parts.theta)


def test_the_history_tells_what_was_met() -> None:
    """With steps of nothing the loss of an epoch is the loss of the network, weights and all."""
    network = net(Dense(5, "tanh"), dtype="float64")
    feed = Feed(network, X, Y)
    history = fit(network, feed, validation=feed, optimizer=SGD(1e-30), epochs=2, batch_size=7)
    expected = evaluate(network, feed, ("accuracy",))
    assert list(history.values) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"
    ]  # fmt: skip
    assert history["epoch"] == [1, 2]
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-12)
    np.testing.assert_allclose(history["val_loss"], expected["loss"], rtol=1e-12)
    assert history["accuracy"] == history["val_accuracy"] == pytest.approx([expected["accuracy"]] * 2)
    assert all(s > 0 for s in history["seconds"])


def test_lists_are_equally_long_however_often_validation_is_measured() -> None:
    network = net()
    feed = Feed(network, X, Y)
    history = fit(network, feed, validation=feed, validate_every=3, epochs=7)
    assert {len(column) for column in history.values.values()} == {7}
    assert [not math.isnan(v) for v in history["val_loss"]] == [False, False, True, False, False, True, True]


def test_metrics_of_values_are_of_predictions() -> None:
    network = net(loss="poisson", n_outputs=1, dtype="float64")
    counts = RNG.poisson(2.0, size=len(X))
    feed = Feed(network, X, counts)
    history = fit(
        network, feed, validation=feed, metrics=["squared_error", "absolute_error"], optimizer=SGD(1e-30)
    )
    apart = network.predict(X.astype(float))[:, 0] - counts
    assert history["val_squared_error"][-1] == pytest.approx(np.mean(apart**2))
    assert history["absolute_error"][-1] == pytest.approx(np.mean(np.abs(apart)))


def test_a_metric_of_ones_own_is_recorded_of_classes_and_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def outputs_above_zero(Z: Array, y: Array) -> float:
        return float((Z > 0).sum())

    monkeypatch.setitem(METRICS, "above_zero", outputs_above_zero)
    for loss, targets in (("softmax_cross_entropy", RNG.integers(0, 2, len(X))), ("squared", X[:, :2])):
        network = net(loss=loss, n_outputs=2, dtype="float64")
        feed = Feed(network, X, targets)
        history = fit(network, feed, validation=feed, metrics=["above_zero"], optimizer=SGD(1e-30), epochs=2)
        expected = (network.logits(X) > 0).sum() / len(X)
        assert history["above_zero"] == pytest.approx([expected, expected])
        assert history["val_above_zero"] == pytest.approx([expected, expected])


@pytest.mark.parametrize("name", ["loss", "lr", "val_loss"])
def test_a_metric_of_ones_own_cannot_take_the_place_of_something_else(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(METRICS, name, lambda Z, y: 0.0)
    network = net(loss="squared", n_outputs=1)
    with pytest.raises(InputError, match=f"a metric cannot be called '{name}'"):
        fit(network, Feed(network, X, X[:, 0]), metrics=[name])


def test_several_labels_at_once() -> None:
    labels = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 0] + X[:, 2] > 0], axis=1)
    network = net(Dense(16, "tanh"), loss="sigmoid_cross_entropy", n_outputs=3)
    history = fit(network, Feed(network, X, labels), epochs=100, optimizer=Adam(0.02))
    assert history["accuracy"][-1] > 0.95  # rows with all three labels right
    P = network.predict(X)
    assert (((P > 0.5) == labels).mean(axis=0) > 0.95).all()


@pytest.mark.parametrize(
    ("loss", "statistic"),
    [("squared", np.mean), ("absolute", np.median), ("poisson", np.mean)],
)
def test_a_bias_alone_learns_the_statistic_of_its_loss(loss: str, statistic: Any) -> None:
    y = RNG.gamma(2.0, size=501)
    network = Network([Dense(1, init="zeros", weight_lr=1e-9)], 1, loss, dtype="float64")
    fit(network, Feed(network, np.zeros((501, 1)), y), optimizer=Adam(0.1), batch_size="full", epochs=800,
        schedule="cosine")  # fmt: skip
    assert network.predict(np.zeros((1, 1)))[0, 0] == pytest.approx(statistic(y), rel=0.01)


def test_a_quantile_is_learned() -> None:
    from glassnet.nn import Quantile

    y = RNG.gamma(2.0, size=501)
    network = Network([Dense(1, init="zeros")], 1, Quantile(0.9), dtype="float64")
    fit(network, Feed(network, np.zeros((501, 1)), y), optimizer=Adam(0.1), batch_size="full", epochs=800,
        schedule="cosine")  # fmt: skip
    assert network.predict(np.zeros((1, 1)))[0, 0] == pytest.approx(np.quantile(y, 0.9), rel=0.02)


def test_schedules_multiply_the_learning_rate() -> None:
    network = net()
    factors: list[float] = []

    class Watch(Callback):
        def on_step(self, run: Run) -> None:
            factors.append(run.factor)

    history = fit(
        network, Feed(network, X, Y), schedule="linear", optimizer=SGD(0.5), batch_size=25, epochs=2,
        callbacks=[Watch()],
    )  # fmt: skip
    assert factors == [1.0, 0.75, 0.5, 0.25]  # progress 0/4, 1/4, 2/4, 3/4
    assert history["lr"] == [0.375, 0.125]


def one_step(*treatments: Any) -> tuple[Array, Array, float]:
    """Weights of the output layer before and after one step, with the loss of the epoch."""
    network = net(dtype="float64")
    W = network.layers[0].W.copy()
    history = fit(
        network, Feed(network, X, Y), optimizer=SGD(1.0), treatments=treatments, epochs=1, batch_size="full"
    )
    return W, network.layers[0].W, history["loss"][0]


def test_penalties_and_clipping() -> None:
    W, plain, loss = one_step()
    step = W - plain
    _, shrunk, with_l2 = one_step(L2(0.1))
    np.testing.assert_allclose(shrunk, plain - 0.1 * W)
    assert with_l2 == pytest.approx(loss + 0.05 * (W**2).sum())
    _, shrunk, with_l1 = one_step(L1(0.1))
    np.testing.assert_allclose(shrunk, plain - 0.1 * np.sign(W))
    assert with_l1 == pytest.approx(loss + 0.1 * np.abs(W).sum())
    _, shrunk, _ = one_step(L2(5.0, per_batch=True))
    np.testing.assert_allclose(shrunk, plain - 0.1 * W)  # 5 / 50 rows

    network = net(dtype="float64")
    network.gradient(X.astype(float), Y)
    norm, largest = float(np.linalg.norm(network.grad)), float(np.abs(network.grad).max())
    _, clipped, _ = one_step(ClipNorm(norm / 4))
    np.testing.assert_allclose(W - clipped, step / 4)
    _, clipped, _ = one_step(ClipNorm(norm * 1.01), ClipValue(largest * 1.01))
    np.testing.assert_array_equal(clipped, plain)
    _, clipped, _ = one_step(ClipValue(largest / 2))
    np.testing.assert_allclose(W - clipped, np.clip(step, -largest / 2, largest / 2))


def test_max_norm_shrinks_what_is_too_long() -> None:
    network = trained(Dense(6, "relu", init="standard_normal"), callbacks=[MaxNorm(0.5)])
    for layer in network.layers:
        assert (np.linalg.norm(layer.W, axis=0) <= 0.5 * (1 + 1e-6)).all()
    free = trained(Dense(6, "relu", init="standard_normal"))
    assert np.linalg.norm(free.layers[0].W, axis=0).max() > 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(name: str) -> None:
    lr = {"sgd": 0.5, "adagrad": 0.1, "momentum": 0.05, "nesterov": 0.05, "lion": 0.002}.get(name, 0.01)
    network = net(Dense(16, "relu"))
    history = fit(network, Feed(network, X, Y), optimizer=optimizer(name, lr=lr), epochs=60, batch_size=10)
    assert history["accuracy"][-1] > 0.95
    assert history["loss"][-1] < 0.3 * history["loss"][0]


def test_callbacks_are_told_in_order() -> None:
    told: list[str] = []

    class Log(Callback):
        def on_start(self, run: Run) -> None:
            told.append(f"start {run.epoch}")

        def on_step(self, run: Run) -> None:
            told.append(f"step {run.step}")

        def on_epoch(self, run: Run) -> None:
            told.append(f"epoch {run.epoch} of {len(run.history)}")

        def on_end(self, run: Run) -> None:
            told.append("end")

    network = net()
    fit(network, Feed(network, X, Y), batch_size=25, epochs=2, callbacks=[Log()])
    assert told == ["start 0", "step 1", "step 2", "epoch 1 of 1", "step 3", "step 4", "epoch 2 of 2", "end"]


def test_a_report_is_told_of_every_epoch() -> None:
    from glassnet.progress import Progress

    told: list[str] = []

    class Log(Progress):
        def begin(self, task: str, total: int | None = None) -> None:
            told.append(f"{task} of {total}")

        def advance(self, steps: int = 1, note: str = "") -> None:
            told.append(re.sub(r"\d\.\d{3}", "#", f"{steps}: {note}"))

        def end(self) -> None:
            told.append("end")

    network = net()
    feed = Feed(network, X, Y)
    fit(network, feed, validation=feed, epochs=2, callbacks=[Report(Log(), "training")])
    note = "1: loss #  accuracy #  val loss #  val accuracy #"
    assert told == ["training of 2", note, note, "end"]


def test_a_stratified_validation_set_split_off() -> None:
    from glassnet.data.dataset import Dataset
    from glassnet.data.split import split

    data = Dataset(X, Y, class_names=("no", "yes"))
    parts = split(data, validation=0.2, seed=3)
    network = net(Dense(8, "relu"))
    history = fit(
        network, Feed(network, data.X, data.y, rows=parts.train),
        validation=Feed(network, data.X, data.y, rows=parts.validation), epochs=40, optimizer=Adam(0.01),
    )  # fmt: skip
    assert history["val_accuracy"][-1] >= 0.8
    assert abs(Y[parts.validation].mean() - Y.mean()) < 0.06


def test_deep_and_different_activations_in_each_layer() -> None:
    network = net(Dense(8, "selu"), Dense(8, "hard_tanh"), Dense(8, "mish"), Dense(8, np.arctan))
    history = fit(network, Feed(network, X, Y), epochs=60, optimizer=Adam(0.01))
    assert history["accuracy"][-1] > 0.95


def test_history_can_be_extended_by_callbacks() -> None:
    class Extra(Callback):
        def on_epoch(self, run: Run) -> None:
            if run.epoch == 2:
                run.history.add("norm", 1.5)

    network = net()
    history = fit(network, Feed(network, X, Y), epochs=3, callbacks=[Extra()])
    assert history["norm"][1] == 1.5
    assert math.isnan(history["norm"][0])
    assert math.isnan(history["norm"][2])
    assert isinstance(history, History)


def test_regression_with_several_outputs() -> None:
    targets = np.stack([X[:, 0] - X[:, 1], X[:, 2] * 2], axis=1)
    network = net(loss=Squared())
    fit(network, Feed(network, X, targets), optimizer=Adam(0.05), epochs=200, batch_size="full")
    np.testing.assert_allclose(network.predict(X), targets, atol=0.01)


def test_the_norm_to_clip_is_of_what_is_trained() -> None:
    norms = []
    for factor in (1.0, 0.0):
        network = Network([Dense(6, weight_lr=factor, bias_lr=factor), Dense(3)], 4)
        network.grad[:] = 3.0
        ClipNorm(1.0)(network, 1.0)
        norms.append([np.linalg.norm(layer.dW) for layer in network.layers])  # type: ignore[attr-defined]
        assert np.linalg.norm(network.grad) == pytest.approx(1.0)
    assert norms[1][0] == 0 < norms[0][1] < norms[1][1]
