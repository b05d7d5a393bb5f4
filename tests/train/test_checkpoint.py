"""A resumed training ends with the very bits of one that was never interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import (
    OPTIMIZERS,
    SGD,
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    Network,
    Noise,
    Residual,
    optimizer,
    schedule,
)
from glassnet.train import (
    L2,
    Average,
    Callback,
    Checkpoint,
    Feed,
    History,
    KeepBest,
    ReduceOnPlateau,
    Run,
    TimeLimit,
    fit,
    load_checkpoint,
)
from glassnet.train.checkpoint import save_checkpoint

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
EPOCHS = 6


def shaken(rows: Array, rng: np.random.Generator) -> Array:
    return rows + rng.normal(0, 0.1, rows.shape).astype(rows.dtype)


class Training:
    """A training with everything in it that has a state; can be made again as it was, in another process."""

    def __init__(self, name: str = "adam", seed: int = 0, **keep: Any) -> None:
        layers = [
            Dense(8, "relu"),
            BatchNorm(),
            Dropout(0.3),
            Residual(Noise(0.1), Dense(8, "gelu")),
            Dense(2),
        ]
        self.network = Network(layers, 4, seed=seed)
        self.optimizer = optimizer(name, lr=0.02, weight_decay=0.01)
        self.train = Feed(self.network, X, Y, rows=np.arange(35), augment=shaken)
        self.validation = Feed(self.network, X, Y, rows=np.arange(35, 50))
        self.average = Average(0.9)
        self.best = KeepBest("val_loss", **keep)
        self.plateau = ReduceOnPlateau("loss", patience=1, min_delta=0.05)

    @property
    def keep(self) -> list[Callback]:
        return [self.plateau, self.average, self.best]

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "validation": self.validation, "optimizer": self.optimizer, "schedule": "cosine",
            "epochs": EPOCHS, "batch_size": 8, "treatments": [L2(0.001)], "seed": 5,
        }  # fmt: skip

    def fit(self, *more: Callback, resume: Run | None = None) -> History:
        return fit(self.network, self.train, callbacks=[*self.keep, *more], resume=resume, **self.settings)

    def load(self, path: Path) -> Run:
        return load_checkpoint(path, self.network, self.optimizer, EPOCHS, self.keep)

    def bits(self, history: History) -> dict[str, Any]:
        numbers = {k: np.array(v).tobytes() for k, v in history.values.items() if k != "seconds"}
        moments = {k: v.tobytes() for k, v in self.optimizer.state.items()}
        return numbers | moments | {
            "theta": self.network.theta.tobytes(), "state": self.network.state.tobytes(),
            "t": self.optimizer.t, "average": self.average.theta.tobytes(), "best": self.best.best_epoch,
            "lr": self.plateau.lr_factor,
        }  # fmt: skip


class Killed(Exception):
    pass


class Dies(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Run) -> None:
        if run.step == self.step:
            raise Killed


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path, name: str) -> None:
    whole = Training(name)
    expected = whole.bits(whole.fit())
    first = Training(name)
    path = tmp_path / "run.npz"
    with pytest.raises(Killed):  # in the middle of the fourth epoch
        first.fit(Checkpoint(path, first.keep), Dies(17))
    second = Training(name, seed=99)  # other first weights: the checkpoint has them all
    run = second.load(path)
    assert (run.epoch, len(run.history)) == (3, 3)
    history = second.fit(resume=run)
    assert second.bits(history) == expected


def test_every_epoch_is_a_place_to_go_on_from(tmp_path: Path) -> None:
    whole = Training()
    expected = whole.bits(whole.fit())
    path, resumed = tmp_path / "run.npz", 0
    for epoch in range(1, EPOCHS):
        training = Training()
        run = training.load(path) if path.exists() else None
        resumed += run is not None
        with pytest.raises(Killed):  # in the first of the next epoch's five steps
            training.fit(Checkpoint(path, training.keep), Dies(5 * epoch + 1), resume=run)
    last = Training()
    assert last.bits(last.fit(resume=last.load(path))) == expected
    assert resumed == EPOCHS - 2


def test_a_finished_training_is_not_continued(tmp_path: Path) -> None:
    path, first = tmp_path / "run.npz", Training()
    first.fit(Checkpoint(path, first.keep))
    second = Training()
    history = second.fit(resume=second.load(path))
    assert len(history) == EPOCHS
    assert np.array_equal(second.network.theta, first.network.theta)


def test_early_stopping_stays_stopped_and_a_time_limit_does_not(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    first = Training(patience=1, min_delta=10.0)
    stopped = first.fit(Checkpoint(path, first.keep))
    assert len(stopped) == 2
    second = Training(patience=1, min_delta=10.0)
    history = second.fit(resume=second.load(path))
    assert len(history) == 2
    assert history.stopped == stopped.stopped
    assert np.array_equal(second.network.theta, first.network.theta)

    limited = Training()
    assert len(limited.fit(TimeLimit(1e-9), Checkpoint(path, limited.keep))) == 1
    again = Training()
    assert len(again.fit(resume=again.load(path))) == EPOCHS


def test_a_diverged_training_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def one() -> tuple[Network, Feed, SGD]:
        network = Network([Dense(3, "relu"), Dense(2)], 4, "squared")
        return network, Feed(network, X, X[:, :2]), SGD(1e30)

    network, feed, sgd = one()
    history = fit(network, feed, optimizer=sgd, epochs=4, callbacks=[Checkpoint(path)])
    network, feed, sgd = one()
    again = fit(network, feed, optimizer=sgd, epochs=4, resume=load_checkpoint(path, network, sgd, 4))
    assert again.diverged == history.diverged
    assert len(again) == len(history)


CHILD = """
import sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("checkpoint_tests", sys.argv[1])
tests = importlib.util.module_from_spec(spec); spec.loader.exec_module(tests)
training = tests.Training()
path = Path(sys.argv[2])
class Tell(tests.Callback):
    def on_step(self, run):  # the checkpoint of an epoch is there when the next one begins
        print(run.epoch, flush=True)
training.fit(tests.Checkpoint(path, training.keep), Tell())
"""


def test_a_killed_process_is_resumed_by_another(tmp_path: Path) -> None:
    whole = Training()
    expected = whole.bits(whole.fit())
    path = tmp_path / "run.npz"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, __file__, str(path)], stdout=subprocess.PIPE, text=True
    ) as p:
        assert p.stdout is not None
        while p.stdout.readline().strip() != "2":
            assert p.poll() is None
        p.kill()
    training = Training()
    run = training.load(path)
    assert 2 <= run.epoch <= EPOCHS
    assert training.bits(training.fit(resume=run)) == expected


@pytest.mark.parametrize("at", ["write", "replace"])
def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: Any, at: str) -> None:
    path, training = tmp_path / "run.npz", Training()
    run = Run(training.network, training.optimizer, History(), EPOCHS, epoch=2)
    training.optimizer.start(training.network)
    save_checkpoint(run, path)
    old = path.read_bytes()

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    if at == "replace":
        monkeypatch.setattr(os, "replace", fails)
    else:
        real = Path.write_bytes
        monkeypatch.setattr(Path, "write_bytes", lambda self, b: (real(self, b[:100]), fails()))
    run.epoch = 3
    with pytest.raises(InputError, match="No space left on device"):
        save_checkpoint(run, path)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["run.npz"]
    assert load_checkpoint(path, training.network, training.optimizer, EPOCHS).epoch == 2


def test_a_checkpoint_now_and_then(tmp_path: Path) -> None:
    path, training = tmp_path / "run.npz", Training()
    training.fit(Checkpoint(path, training.keep, every=4))
    assert Training().load(path).epoch == 4


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path, training = tmp_path / "run.npz", Training()
    training.fit(Checkpoint(path, training.keep))
    with pytest.raises(InputError, match="there is no checkpoint"):
        training.load(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"folder .* does not exist"):
        Checkpoint(tmp_path / "nowhere" / "run.npz")
    with pytest.raises(InputError, match="every 1 or more"):
        Checkpoint(path, every=0)
    with pytest.raises(InputError, match=r"was made with Adam\(.*, not Adam\(.*lr=0.5"):
        load_checkpoint(path, training.network, Adam(lr=0.5), EPOCHS, training.keep)
    with pytest.raises(InputError, match="give the same ones"):
        load_checkpoint(path, training.network, training.optimizer, EPOCHS, training.keep[:1])
    other = Network([Dense(2)], 4)
    with pytest.raises(
        InputError, match=r"was made with Network\(\[Dense\(units=8.* not Network\(\[Dense\(units=2"
    ):
        load_checkpoint(path, other, training.optimizer, EPOCHS, training.keep)
    double = Network(training.network.layers, 4, dtype="float64")
    with pytest.raises(InputError, match=r"in float32, not .* in float64"):
        load_checkpoint(path, double, training.optimizer, EPOCHS, training.keep)
    with pytest.raises(InputError, match="belongs to another network"):
        fit(other, Feed(other, X, Y), resume=training.load(path))
    whole = path.read_bytes()
    for cut in range(0, len(whole), len(whole) // 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="damaged"):
            training.load(path)
    for text in ("{}", "[]", "3", '{"network": "Network"}'):
        np.savez(path, json=np.array(text), theta=np.zeros(3), state=np.zeros(0))
        with pytest.raises(InputError, match="is no checkpoint of glassnet, or it is damaged"):
            training.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(InputError, match="damaged"):
        training.load(tmp_path / "array.npy")


def test_networks_with_functions_of_ones_own_are_known_again(tmp_path: Path) -> None:
    """Descriptions name functions, not their addresses, which differ in every process."""

    def made() -> tuple[Network, SGD]:
        def ones(rng: np.random.Generator, i: int, o: int) -> Array:
            return np.ones((i, o))

        return Network([Dense(2, lambda Z: Z + Z**3, init=ones), Dense(2)], 4), SGD()

    network, sgd = made()
    path = tmp_path / "run.npz"
    fit(network, Feed(network, X, Y), optimizer=sgd, epochs=1, callbacks=[Checkpoint(path)])
    other, sgd = made()
    load_checkpoint(path, other, sgd, 2)
    assert np.array_equal(other.theta, network.theta)


def saved(path: Path, *callbacks: Any, **settings: Any) -> Callable[..., History]:
    """Train for 3 of 6 epochs and leave a checkpoint; gives how to go on with it."""
    settings = {"batch_size": 8, "schedule": "linear", "seed": 5, "epochs": EPOCHS} | settings

    def network() -> tuple[Network, Feed]:
        made = Network([Dense(6, "relu"), Dense(2)], 4)
        return made, Feed(made, X, Y, rows=np.arange(35))

    first, feed = network()
    with pytest.raises(Killed):
        fit(first, feed, callbacks=[Checkpoint(path), *callbacks, Dies(16)], optimizer=SGD(0.1), **settings)

    def go_on(
        end: int = EPOCHS,
        kept: Sequence[Any] = (),
        rows: int = 35,
        augment: Any = None,
        optimizer: Any = None,
        **other: Any,
    ) -> History:
        second, _ = network()
        run = load_checkpoint(path, second, SGD(0.1), end, kept)
        assert run.epoch == 3
        feed = Feed(second, X, Y, rows=np.arange(rows), augment=augment)
        return fit(second, feed, resume=run, optimizer=optimizer, **settings | {"epochs": None} | other)

    return go_on


class Never(Callback):
    def on_start(self, run: Run) -> None:
        raise AssertionError("training began")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"batch_size": 16}, "with rows per step 8, not 16: give the same, to go on bit for bit"),
        ({"rows": 30}, "with training rows 35, not 30:"),
        ({"drop_last": True, "seed": 6}, "with drop_last False, not True; seed 5, not 6:"),
        ({"shuffle": False}, "with shuffle True, not False:"),
        ({"schedule": "cosine"}, "with schedule linear, not cosine:"),
        ({"schedule": schedule("linear", final=0.1)}, r"schedule linear, not linear\(final=0.1\):"),
        ({"treatments": [L2(0.1)]}, r"treatments \[\], not \[L2\(strength=0.1, per_batch=False\)\]"),
        ({"augment": shaken}, "with augmentation None, not shaken:"),
        ({"end": 12}, "with epochs 6, not 12:"),
        ({"epochs": 12}, "is to end after 6 epochs, not 12: leave epochs out, or load the checkpoint for 12"),
        ({"optimizer": "adam"}, "has its own optimizer, with its moments: leave optimizer out"),
        ({"optimizer": SGD(0.1)}, "leave optimizer out"),
    ],
    ids=str,
)
def test_what_is_resumed_in_another_way_is_refused(
    tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    go_on = saved(tmp_path / "run.npz")
    with pytest.raises(InputError, match=message):
        go_on(callbacks=[Never()], **other)


class Nothing:
    def __call__(self, network: Network, weight: float) -> float:
        return 0.0


def test_what_is_the_same_in_other_words_is_not_refused(tmp_path: Path) -> None:
    """Also functions of one's own, which have another address in every process."""

    def slowly() -> Callable[[float], float]:
        return lambda p: 1 - p / 2

    path = tmp_path / "run.npz"
    assert len(saved(path)(schedule=schedule("linear"), batch_size=np.int64(8), seed=np.int64(5))) == EPOCHS

    def treatments() -> list[Any]:
        return [L2(0.1), lambda network, weight: 0.0, Nothing()]

    treated = saved(path, schedule=slowly(), treatments=treatments())
    assert len(treated(schedule=slowly(), treatments=treatments())) == EPOCHS
    assert len(saved(path, schedule="constant")(12)) == 12  # the end makes no difference to any step


def test_no_schedule_is_asked_for_more_than_the_whole_way(tmp_path: Path) -> None:
    """Of a run made by hand nothing is known, e.g. that it had smaller batches before."""
    network, asked = Network([Dense(2)], 4), [0.0]
    run = Run(network, SGD(), History(), 2, epoch=1, step=50)
    run.optimizer.start(network)
    fit(network, Feed(network, X, Y), batch_size=50, resume=run, schedule=lambda p: asked.append(p) or 1 - p)  # type: ignore[func-returns-value]
    assert max(asked) == 1.0


def test_the_callbacks_of_the_run_are_kept_wherever_the_checkpoint_stands(tmp_path: Path) -> None:
    whole = Training()
    expected = whole.bits(whole.fit())
    path = tmp_path / "run.npz"
    first, notes = Training(), TimeLimit(99.0)
    with pytest.raises(Killed):
        fit(
            first.network, first.train, callbacks=[Checkpoint(path), notes, *first.keep, Dies(17)],
            **first.settings,
        )  # fmt: skip
    second = Training(seed=99)
    run = load_checkpoint(
        path, second.network, second.optimizer, EPOCHS, [Checkpoint(path), *second.keep, TimeLimit(99.0)]
    )
    assert second.bits(second.fit(resume=run)) == expected


def test_a_state_that_would_be_lost_is_an_error(tmp_path: Path) -> None:
    path, best, average = tmp_path / "run.npz", KeepBest("loss"), Average(0.9)
    with pytest.raises(InputError, match="the state of Average would be lost: leave out keep, or put it in"):
        saved(path, best, average, Checkpoint(path, [best]))
    go_on = saved(path, best, average)
    with pytest.raises(InputError, match=r"made with the callbacks \['KeepBest', 'Average'\], not \[\]"):
        go_on()
    kept = [KeepBest("loss"), Average(0.9)]
    with pytest.raises(
        InputError, match="KeepBest has no state of the earlier epochs: give this very object"
    ):
        go_on(kept=kept, callbacks=[KeepBest("loss"), kept[1]])
    assert len(go_on(kept=kept, callbacks=kept)) == EPOCHS


def test_an_average_cannot_begin_in_the_middle() -> None:
    network = Network([Dense(2)], 4)
    run = Run(network, SGD(), History(), 2, epoch=1)
    with pytest.raises(InputError, match="Average cannot begin in the middle of a training"):
        fit(network, Feed(network, X, Y), resume=run, callbacks=[Average()])


class Counts:
    """Somebody's own: no Callback, and with NumPy's numbers in its state and in the history."""

    def __init__(self) -> None:
        self.n = np.int64(0)

    def on_epoch(self, run: Run) -> None:
        self.n += 1
        run.history.add("n", self.n)
        run.history.values["half"] = [np.float32(0.5)] * len(run.history)  # type: ignore[list-item]

    def state(self) -> dict[str, Any]:
        return {"n": self.n, "seen": [np.float32(1.5), np.bool_(True)]}

    def restore(self, state: dict[str, Any]) -> None:
        self.n = state["n"]
        assert state["seen"] == [1.5, True]


def test_numpys_numbers_are_kept_and_what_cannot_be_kept_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    counts = Counts()
    history = saved(path, Counts())(kept=[counts], callbacks=[counts])
    assert history["n"] == [1, 2, 3, 4, 5, 6]
    odd = Counts()
    odd.state = lambda: {"n": {1, 2}}  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"a checkpoint cannot keep \{1, 2\}: of a callback only numbers"):
        saved(path, odd)


class Halves(Callback):
    def on_epoch(self, run: Run) -> None:
        run.optimizer.lr /= 2


def test_a_learning_rate_that_a_callback_has_changed_is_kept(tmp_path: Path) -> None:
    go_on = saved(tmp_path / "run.npz", Halves(), schedule="constant")
    assert go_on(callbacks=[Halves()])["lr"] == [0.1 / 2**k for k in range(EPOCHS)]
    network = Network([Dense(6, "relu"), Dense(2)], 4)
    with pytest.raises(InputError, match=r"was made with SGD\(lr=0.1, .*, not SGD\(lr=0.0125"):
        load_checkpoint(tmp_path / "run.npz", network, SGD(0.0125), EPOCHS)


def test_a_file_of_an_earlier_glassnet_can_be_loaded(tmp_path: Path) -> None:
    """It knows no settings and no present lr, lists callbacks without a state, and averages weights only."""
    whole, first, second = Training(), Training(), Training(seed=99)
    whole.fit()
    path = tmp_path / "run.npz"
    with pytest.raises(Killed):
        first.fit(Checkpoint(path), Dies(17))
    with np.load(path) as file:
        arrays = dict(file)
    numbers = json.loads(str(arrays.pop("json")))
    del numbers["settings"], numbers["lr"], arrays["callback 1 statistics"]
    numbers["callbacks"].append({"type": "TimeLimit", "state": {}})
    np.savez(path, json=np.array(json.dumps(numbers)), **arrays)
    history = second.fit(resume=second.load(path))
    assert len(history) == EPOCHS
    assert np.array_equal(second.best.theta, whole.best.theta)
    assert np.array_equal(second.average.theta, whole.average.theta)


def test_an_object_that_cannot_be_restored_has_no_state_to_keep(tmp_path: Path) -> None:
    class Traffic:
        def state(self) -> str:
            return "green"

        def on_epoch(self, run: Run) -> None:
            assert self.state() == "green"

    network = Network([Dense(2)], 4)
    fit(network, Feed(network, X, Y), epochs=2, callbacks=[Traffic(), Checkpoint(tmp_path / "run.npz")])
    assert load_checkpoint(tmp_path / "run.npz", network, Adam(), 3, callbacks=[Traffic()]).epoch == 2


def test_a_file_without_a_moment_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    first, second = Training(), Training(seed=99)
    path = tmp_path / "run.npz"
    with pytest.raises(Killed):
        first.fit(Checkpoint(path), Dies(17))
    with np.load(path) as file:
        arrays = dict(file)
    del arrays[next(name for name in arrays if name.startswith("moment "))]
    np.savez(path, **arrays)
    before = second.network.theta.copy()
    with pytest.raises(InputError, match="is damaged: it lacks 'moment "):
        second.load(path)
    assert np.array_equal(second.network.theta, before)
