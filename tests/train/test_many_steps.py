"""Many steps in one compiled call leave what the loop leaves; it takes them itself where one could notice."""

from __future__ import annotations

import functools
import pickle
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.estimators.solvers import ScikitAdam, ScikitSGD
from glassnet.nn import OPTIMIZERS, SGD, Adam, Dense, Dropout, NAdam, Network, Optimizer, optimizer
from glassnet.nn.losses import SoftmaxCrossEntropy
from glassnet.train import (
    L2,
    METRICS,
    Callback,
    ClipNorm,
    Feed,
    History,
    ReduceOnPlateau,
    Run,
    evaluate,
    fit,
    load_checkpoint,
    many_steps,
)
from glassnet.train.checkpoint import save_checkpoint

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.skipif(
    not kernels.rows_of_chain([8, 4], ["relu"], np.dtype("float32")),
    reason="needs compiled kernels and a processor with AVX2 or AVX-512",
)
N, I, C = 109, 9, 3  # noqa: E741
RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 255, (N, I)).astype(np.uint8), RNG.integers(0, C, N)


class _Half:
    scale, shift = np.full(I, 0.5), np.arange(I) / 10


class Looking(Callback):
    """Wants to see every step, so the loop takes them one by one."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_step(self, run: Run) -> None:
        self.steps.append(run.step)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of steps that each compiled call took."""
    taken: list[int] = []

    def counted(kernel: Any) -> Any:
        def call(*args: Any) -> Any:
            found = kernel(*args)
            taken.append(int(args[-1][0]))
            return found

        return call

    monkeypatch.setattr(kernels, "STEPS", {name: counted(kernel) for name, kernel in kernels.STEPS.items()})
    return taken


def _network(dtype: str = "float32", loss: Any = "softmax_cross_entropy", **dense: Any) -> Network:
    return Network([Dense(12, "relu", **dense), Dense(C)], I, loss, dtype=dtype, seed=1)


class Training:
    """One training, in one call or step by step."""

    def __init__(self, dtype: str = "float32", smoothing: float = 0.0, **feed: Any) -> None:
        self.network = _network(dtype, SoftmaxCrossEntropy(smoothing), weight_lr=0.5)
        scaled = X / np.array(255, dtype)
        self.feed = Feed(self.network, scaled.astype(dtype), Y, **feed)

    def fit(self, opt: Optimizer, *callbacks: Callback, **settings: Any) -> History:
        self.optimizer = opt
        return fit(
            self.network, self.feed, optimizer=opt, callbacks=callbacks,
            **{"epochs": 3, "batch_size": 8, "seed": 5} | settings,
        )  # fmt: skip


def _compare(make: Callable[[], Training], opt: Callable[[], Optimizer], **settings: Any) -> None:
    together, apart = make(), make()
    looking = Looking()
    histories = together.fit(opt(), **settings), apart.fit(opt(), looking, **settings)
    for name in ("theta", "grad", "outputs"):
        np.testing.assert_array_equal(getattr(together.network, name), getattr(apart.network, name), name)
    assert together.optimizer.t == apart.optimizer.t == looking.steps[-1] == len(looking.steps)
    for name, moments in apart.optimizer.state.items():
        np.testing.assert_array_equal(together.optimizer.state[name], moments, name)
    assert histories[0].values.keys() == histories[1].values.keys()
    for name, values in histories[1].values.items():
        if name != "seconds":
            np.testing.assert_allclose(histories[0][name], values, rtol=1e-12, err_msg=name)


SOLVERS: list[Callable[[], Optimizer]] = [
    *(lambda name=name: optimizer(name, lr=0.01, weight_decay=0.1) for name in OPTIMIZERS),  # type: ignore[misc]
    lambda: ScikitAdam(0.01),
    lambda: ScikitSGD(0.01, 0.9, True),
]


@pytest.mark.parametrize("opt", SOLVERS, ids=lambda opt: repr(opt()).partition("(")[0])
def test_every_optimizer_does_as_in_the_loop(at_once: list[int], opt: Callable[[], Optimizer]) -> None:
    _compare(Training, opt, schedule="cosine")
    assert at_once == [13, 1] * 3  # of 8 rows, and the last one of 5, in each epoch


def test_double_precision_and_smoothing(at_once: list[int]) -> None:
    _compare(lambda: Training("float64", smoothing=0.1), lambda: Adam(0.01), treatments=[L2(0.01)])
    assert sum(at_once) == 3 * 14


@pytest.mark.parametrize("strength", [0.0, 0.3])
@pytest.mark.parametrize("per_batch", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_penalties_and_weights(at_once: list[int], weighted: bool, per_batch: bool, strength: float) -> None:
    w = np.where(np.arange(N) % 5, RNG.random(N), 0.0)
    w[:40] = 0.0  # in some batches nobody counts
    _compare(
        lambda: Training(sample_weight=w if weighted else None), lambda: SGD(0.1),
        treatments=[L2(strength, per_batch)], shuffle=False,
    )  # fmt: skip
    assert sum(at_once) == 3 * 14


@pytest.mark.parametrize(
    "settings",
    [
        {"drop_last": True},
        {"shuffle": False, "metrics": ()},
        {"shuffle": lambda rows: rows[::-1]},
        {"batch_size": "full"},
        {"batch_size": 4, "schedule": "one_cycle"},
    ],
)
def test_any_order_of_rows(at_once: list[int], settings: dict[str, Any]) -> None:
    _compare(lambda: Training(rows=np.arange(3, N - 2)), lambda: Adam(0.01), **settings)
    assert at_once


def test_long_epochs_take_several_calls(at_once: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_steps, "_VALUES", 5 * 8 * I)
    _compare(Training, lambda: Adam(0.01))
    assert at_once == [5, 5, 3, 1] * 3


def test_bytes_are_scaled_as_in_the_loop(at_once: list[int]) -> None:
    def make() -> Training:
        made = Training()
        made.feed = Feed(made.network, X, Y, scaling=_Half())
        return made

    _compare(make, lambda: SGD(1e-4))
    assert sum(at_once) == 3 * 14


def test_a_lower_rate_after_an_epoch_is_followed(at_once: list[int]) -> None:
    plateaus = [ReduceOnPlateau("loss", patience=1, min_delta=1.0) for _ in range(2)]
    together, apart = Training(), Training()
    one = together.fit(Adam(0.01), plateaus[0])
    two = apart.fit(Adam(0.01), plateaus[1], Looking())
    assert one["lr"] == two["lr"]
    assert one["lr"][-1] < one["lr"][0]
    assert sum(at_once) == 3 * 14


def test_a_resumed_training_has_the_same_bits(at_once: list[int], tmp_path: Path) -> None:
    class Save(Callback):
        def on_epoch(self, run: Run) -> None:
            if run.epoch == 2:
                save_checkpoint(run, tmp_path / "c")

    whole, resumed = Training(), Training()
    whole.fit(NAdam(0.01), Save(), epochs=4, schedule="cosine")
    opt = NAdam(0.01)
    run = load_checkpoint(tmp_path / "c", resumed.network, opt, 4, [])
    resumed.fit(opt, epochs=4, schedule="cosine", resume=run)
    np.testing.assert_array_equal(resumed.network.theta, whole.network.theta)
    assert sum(at_once) == 4 * 14 + 2 * 14


# Who could notice is served.


class _Watched(Network):
    def gradient(self, *given: Any, **more: Any) -> float:
        seen.append("gradient")
        return super().gradient(*given, **more)


class _Taken(Feed):
    def take(self, *given: Any, **more: Any) -> Any:
        seen.append("take")
        return super().take(*given, **more)


class _OwnStep(SGD):
    def step(self, factor: float = 1.0) -> None:
        seen.append("step")
        super().step(factor)


class _Weighed(Feed):
    def total_weight(self, rows: Array) -> float:
        seen.append("weight")
        return super().total_weight(rows)


class _Wrapped(Network):
    @functools.wraps(Network.forward)
    def forward(self, *given: Any, **more: Any) -> Array:
        seen.append("forward")
        return Network.forward(self, *given, **more)


class _Scheduled(L2):
    __repr__ = object.__repr__  # only whoever takes a step asks for the strength

    def __post_init__(self) -> None:
        pass

    @property
    def strength(self) -> float:  # type: ignore[override]
        seen.append("strength")
        return 0.1

    def __init__(self) -> None:
        pass


class _OwnUpdate(SGD):
    def update(self, *given: Any) -> None:
        seen.append("update")
        super().update(*given)


class _OwnKernel(SGD):
    kernel = "none of ours"

    def update(self, theta: Array, grad: Array, moments: list[Array], lr: float, decay: float) -> None:
        seen.append("own kernel")
        theta -= lr * grad


seen: list[str] = []


def _noted(name: str, result: float) -> Callable[..., float]:
    def note(*_: Any) -> float:
        seen.append(name)
        return result

    return note


def _fit(network: Network, opt: Optimizer, *, feed: type[Feed] = Feed, **settings: Any) -> None:
    data = feed(network, (X / 255).astype(network.dtype), Y)
    fit(network, data, optimizer=opt, epochs=1, batch_size=8, **settings)


@pytest.mark.parametrize(
    ("name", "train"),
    [
        ("gradient", lambda: _fit(_Watched([Dense(5, "relu"), Dense(C)], I), SGD(0.1))),
        ("take", lambda: _fit(_network(), SGD(0.1), feed=_Taken)),
        ("forward", lambda: _fit(_Wrapped([Dense(5, "relu"), Dense(C)], I), SGD(0.1))),
        ("strength", lambda: _fit(_network(), SGD(0.1), treatments=[_Scheduled()])),
        ("step", lambda: _fit(_network(), _OwnStep(0.1))),
        ("update", lambda: _fit(_network(), _OwnUpdate(0.1))),
        ("own kernel", lambda: _fit(_network(), _OwnKernel(0.1))),
        ("treatment", lambda: _fit(_network(), SGD(0.1), treatments=[_noted("treatment", 0.0)])),
    ],
)
def test_whoever_wants_to_be_called_is(at_once: list[int], name: str, train: Callable[[], None]) -> None:
    seen.clear()
    train()
    assert seen == [name] * 14
    assert at_once == []


def test_what_somebody_has_put_in_its_place_is_called(at_once: list[int]) -> None:
    seen.clear()
    network, opt = _network(), SGD(0.1)
    network.gradient = _noted("gradient", 1.0)  # type: ignore[method-assign]
    _fit(network, opt, metrics=())
    opt.step = _noted("step", 0.0)  # type: ignore[method-assign,assignment]
    _fit(_network(), opt)
    assert seen == ["gradient"] * 14 + ["step"] * 14
    feed = Feed(network, X / np.float32(255), Y)
    feed.total_weight = lambda rows: seen.append("weight") or 1.0  # type: ignore[method-assign,func-returns-value]
    fit(_network(), feed, epochs=1, batch_size=8)
    assert seen[28:] == ["weight"] * 14
    watching = _network()
    shown: list[int] = []
    assert isinstance(watching.layers[0], Dense)
    watching.layers[0].watch = lambda Z: shown.append(len(Z))
    _fit(watching, SGD(0.1))
    assert shown == [8] * 13 + [5]
    callback = Callback()
    callback.on_step = lambda run: shown.append(run.step)  # type: ignore[method-assign]
    _fit(_network(), SGD(0.1), callbacks=[callback])
    assert shown[14:] == list(range(1, 15))
    assert at_once == []


def test_other_trainings_are_left_to_the_loop(at_once: list[int]) -> None:
    _fit(_network(), SGD(0.1), treatments=[L2(0.1), ClipNorm(1.0)])
    _fit(_network(), SGD(0.1), treatments=[L2(0.1), L2(0.1)])
    _fit(_network(), SGD(0.1), metrics=["accuracy", "accuracy"])
    _fit(Network([Dense(8, "relu"), Dense(1)], I, "squared"), SGD(0.1))
    _fit(_network(loss=SoftmaxCrossEntropy(focal=1.0)), SGD(0.1))
    _fit(Network([Dense(8, "gelu"), Dense(C)], I), SGD(0.1))
    _fit(Network([Dense(8), Dropout(0.2), Dense(C)], I), SGD(0.1))
    network = _network()
    shaken = Feed(network, X / np.float32(255), Y, augment=lambda rows, rng: rows + rng.random())
    fit(network, shaken, epochs=1, batch_size=8)
    assert at_once == []


def test_another_accuracy_is_asked(at_once: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "accuracy", lambda Z, y: 7.0 * len(y))
    assert Training().fit(SGD(0.1))["accuracy"] == [7.0] * 3
    assert at_once == []


def test_another_optimizer_in_its_place_takes_the_steps(at_once: list[int]) -> None:
    class Replace(Callback):
        def on_start(self, run: Run) -> None:
            run.optimizer = SGD(0.0001)
            run.optimizer.start(run.network)

    together, apart = Training(), Training()
    together.fit(SGD(10.0), Replace())
    apart.fit(SGD(10.0), Replace(), Looking())
    np.testing.assert_array_equal(together.network.theta, apart.network.theta)
    assert sum(at_once) == 3 * 14


def test_large_batches_are_not_gathered_for_nothing(at_once: list[int]) -> None:
    wide = Network([Dense(12, "relu"), Dense(C)], 784)
    data = np.random.default_rng(0).random((3 * wide.chunk_rows, 784), np.float32)
    fit(wide, Feed(wide, data, np.arange(len(data)) % C), epochs=2, batch_size="full")
    assert wide.capacity <= wide.chunk_rows
    assert at_once == []


def test_an_optimizer_that_does_not_fit_its_kernel_is_refused_by_the_loop(at_once: list[int]) -> None:
    class Few(Adam):
        moments = ("mean",)

    class Short(Adam):
        def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
            return lr, decay

    for wrong in (Few, Short):
        with pytest.raises(TypeError, match="argument"):
            _fit(_network(), wrong(0.1))
    assert at_once == []


def test_a_schedule_may_use_the_network_and_the_feed(at_once: list[int]) -> None:
    def make() -> tuple[Training, Callable[[float], float]]:
        made = Training()
        made.feed = Feed(made.network, X, Y, scaling=_Half())

        def pace(progress: float) -> float:
            evaluate(made.network, made.feed)
            made.network.predict(np.zeros((3 * N, I), np.float32))
            return 1.0 - progress

        return made, pace

    (one, pace), (two, same) = make(), make()
    one.fit(SGD(1e-4), schedule=pace)
    two.fit(SGD(1e-4), Looking(), schedule=same)
    np.testing.assert_array_equal(one.network.theta, two.network.theta)
    assert sum(at_once) == 3 * 14


def test_what_the_compiled_call_works_in_stays_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    training, real, alive = Training(), kernels.STEPS["sgd"], []

    def call(*args: Any) -> Any:
        chain = weakref.ref(training.network.chain)  # type: ignore[arg-type]
        training.network.reserve(training.network.capacity + 1)  # as predictions in another thread do
        alive.append(chain() is not None)
        return real(*args)

    monkeypatch.setattr(kernels, "STEPS", {"sgd": call})
    training.fit(SGD(0.1), epochs=1)
    assert alive
    assert all(alive)


def test_copies_and_pickles_of_an_optimizer_are_as_small_as_its_state() -> None:
    opt = Adam(0.1)
    opt.start(_network())
    kept = vars(pickle.loads(pickle.dumps(opt)))
    assert kept.keys() == {"lr", "weight_decay", "t", "state", "beta1", "beta2", "eps"}


# What goes wrong is done again by the loop.


@pytest.mark.parametrize("lr", [1e25, 1e38])
def test_what_is_not_finite_is_named_as_in_the_loop(at_once: list[int], lr: float) -> None:
    together, apart = Training(), Training()
    one, two = together.fit(SGD(lr)), apart.fit(SGD(lr), Looking())
    assert one.diverged == two.diverged
    assert one.diverged is not None
    assert "step" in one.diverged
    assert len(one) == len(two) == 1
    assert at_once == [together.optimizer.t]


@pytest.mark.parametrize("in_a_call", [3, 14])
def test_a_penalty_that_is_not_finite_is_found_as_in_the_loop(
    at_once: list[int], monkeypatch: pytest.MonkeyPatch, in_a_call: int
) -> None:
    """Its weights grow by 99 in a step: after ten or so, their squares are too large for float32."""
    monkeypatch.setattr(many_steps, "_VALUES", in_a_call * 8 * I)
    together, apart = Training(), Training()
    for training in (together, apart):
        training.network = _network(weight_lr=0.0)  # nor do the outputs grow too large
        training.feed = Feed(training.network, X / np.float32(255), Y)
    one = together.fit(SGD(0.1), treatments=[L2(1e3)])
    two = apart.fit(SGD(0.1), Looking(), treatments=[L2(1e3)])
    assert re.match(r"treatment L2\(.*\), step \d+: it added inf", one.diverged)
    assert one.diverged == two.diverged
    assert together.optimizer.t == apart.optimizer.t > 3
    assert sum(at_once) == together.optimizer.t
    np.testing.assert_array_equal(together.network.theta, apart.network.theta)
    assert np.isfinite(together.network.theta).all()


def test_steps_that_were_planned_and_not_done_change_nothing() -> None:
    opts = NAdam(0.01), NAdam(0.01)
    for opt in opts:
        opt.start(_network())
        opt.t = 3
    opts[0].plan([1.0] * 5)
    assert opts[0].t == 3
    assert opts[0].numbers(4, 0.1, 0.0) == opts[1].numbers(4, 0.1, 0.0)


def test_no_rows_at_all_are_refused(at_once: list[int]) -> None:
    with pytest.raises(InputError, match="shuffle left 3 rows, less than a batch of 8"):
        Training().fit(SGD(0.1), shuffle=lambda rows: rows[:3], drop_last=True)
    assert at_once == []


def test_interrupted_in_a_call_it_has_counted_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    real = kernels.STEPS["sgd"]

    def call(*args: Any) -> Any:
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "STEPS", {"sgd": call})
    training, alone = Training(), Training()
    runs: list[Run] = []

    class Keep(Callback):
        def on_end(self, run: Run) -> None:
            runs.append(run)

    history = training.fit(SGD(0.1), Keep(), epochs=1)
    alone.fit(SGD(0.1), Looking(), epochs=1, drop_last=True)
    assert history.interrupted
    assert training.optimizer.t == runs[0].step == 13
    np.testing.assert_array_equal(training.network.theta, alone.network.theta)


def test_interrupted_between_two_calls_it_keeps_what_was_done(
    at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_steps, "_VALUES", 4 * 8 * I)

    def pace(progress: float) -> float:
        if at_once and progress * 3 * 14 > 6.5:  # of the second call, not looked at before the first
            raise KeyboardInterrupt
        return 1.0

    training = Training()
    history = training.fit(SGD(0.1), schedule=pace)
    assert history.interrupted
    assert at_once == [4]
    assert training.optimizer.t == 4
    assert np.isfinite(training.network.theta).all()
