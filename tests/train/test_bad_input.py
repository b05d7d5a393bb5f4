"""What cannot work is refused before any training, in one line that says what, where and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from glassnet.errors import InputError
from glassnet.nn import (
    SGD,
    BatchNorm,
    Dense,
    Dropout,
    Huber,
    LayerNorm,
    Network,
    Noise,
    ParametricActivation,
    PReLU,
    Quantile,
    Residual,
    Scale,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    activation,
    initializer,
    loss,
    schedule,
    warm_up,
)
from glassnet.nn.activations import Activation
from glassnet.train import (
    L1,
    L2,
    Average,
    Callback,
    ClipNorm,
    ClipValue,
    Feed,
    KeepBest,
    MaxNorm,
    ReduceOnPlateau,
    Run,
    TimeLimit,
    fit,
    fit_lbfgs,
)

X, Y = np.zeros((6, 4), np.float32), np.array([0, 1, 0, 1, 0, 1])
NAN = float("nan")


def net(loss: Any = "softmax_cross_entropy", n_outputs: int = 2) -> Network:
    return Network([Dense(n_outputs)], 4, loss)


def with_bad(value: float, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    bad = X.astype(dtype)
    bad[3, 2] = value
    return bad


FEEDS: list[tuple[str, Callable[[], Any], str]] = [
    ("other width", lambda: Feed(net(), X[:, :3], Y),
     r"X has shape \(6, 3\), but this network takes \(rows, 4\)"),
    ("one row", lambda: Feed(net(), X[0], Y), r"X has shape \(4,\), but this network takes \(rows, 4\)"),
    ("other length", lambda: Feed(net(), X, Y[:5]), r"X has 6 rows but y has shape \(5,\)"),
    ("no rows", lambda: Feed(net(), X[:0], Y[:0]), "no rows to train on: X is empty"),
    ("no row numbers", lambda: Feed(net(), X, Y, rows=np.array([], int)),
     "no rows to train on: rows is empty"),
    ("row numbers", lambda: Feed(net(), X, Y, rows=np.array([0, 6])),
     "rows has numbers from 0 to 6, but X has rows 0 to 5"),
    ("negative row", lambda: Feed(net(), X, Y, rows=np.array([-1])), "rows has numbers from -1 to -1"),
    ("a mask", lambda: Feed(net(), X, Y, rows=Y == 1), "rows must be row numbers, not bool"),
    ("nan", lambda: Feed(net(), with_bad(np.nan), Y), "X has nan in row 3, column 2: fill in or remove"),
    ("inf", lambda: Feed(net(), with_bad(-np.inf, float), Y), "X has -inf in row 3, column 2"),
    ("sparse nan", lambda: Feed(net(), sparse.csc_array(with_bad(np.nan)), Y),
     "X has nan in row 3, column 2"),
    ("half nan", lambda: Feed(net(), with_bad(np.nan, np.float16), Y), "X has nan in row 3, column 2"),
    ("text X", lambda: Feed(net(), X.astype(str), Y), "X must hold numbers, not <U32"),
    ("objects", lambda: Feed(net(), X.astype(object), Y), "X must hold numbers, not object"),
    ("complex", lambda: Feed(net(), X + 1j, Y), "X must hold numbers, not complex64"),
    ("dates", lambda: Feed(net(), X.astype("M8[D]"), Y), r"X must hold numbers, not datetime64\[D\]"),
    ("nan in y", lambda: Feed(net("squared", 1), X, np.where(Y, np.nan, 0)), "y has nan in row 1, column 0"),
    ("text y", lambda: Feed(net(), X, np.where(Y, "cat", "dog")),
     "y must hold numbers, not <U3: number the classes"),
    ("list y", lambda: Feed(net(), X, ["cat"] * 6), "y must hold numbers"),  # type: ignore[arg-type]
    ("too many classes", lambda: Feed(net(), X, Y + 1),
     r"y\[1\] = 2, but the network's 2 outputs stand for classes 0 to 1"),
    ("negative class", lambda: Feed(net(), X, Y - 1), r"y\[0\] = -1"),
    ("fractions", lambda: Feed(net(), X, Y / 2), "whole numbers"),
    ("not one-hot", lambda: Feed(net(), X, np.ones((6, 2))), "exactly one 1 in every row"),
    ("three columns", lambda: Feed(net(), X, np.ones((6, 3))),
     r"class codes of shape \(n,\) or one-hot \(n, 2\), not \(6, 3\)"),
    ("columns", lambda: Feed(net("squared"), X, Y),
     r"y has shape \(6,\), but the network has 2 outputs: give y of shape \(6, 2\)"),
    ("one axis too many", lambda: Feed(net("squared"), X, np.ones((6, 2, 1))), r"y has shape \(6, 2, 1\)"),
    ("not yes or no", lambda: Feed(net("sigmoid_cross_entropy", 1), X, Y * 2),
     r"y\[1, 0\] = 2.0, but yes/no targets lie"),
    ("negative count", lambda: Feed(net("poisson", 1), X, Y - 1), r"y\[0\] is negative"),
    ("negative weight", lambda: Feed(net(), X, Y, sample_weight=Y - 0.5),
     r"sample_weight\[0\] = -0.5: weights must be"),
    ("nan weight", lambda: Feed(net(), X, Y, sample_weight=Y * np.nan), r"sample_weight\[0\] = nan"),
    ("zero weights", lambda: Feed(net(), X, Y, sample_weight=Y * 0), "weights of all rows are zero"),
    ("zero weights of rows", lambda: Feed(net(), X, Y, sample_weight=Y, rows=np.array([0, 2])),
     "weights of all rows are zero"),
    ("too few weights", lambda: Feed(net(), X, Y, sample_weight=Y[:3]),
     r"must have shape \(6,\), one weight for each row, not \(3,\)"),
    ("zero class", lambda: Feed(net(SoftmaxCrossEntropy(class_weight=[0, 1])), X, Y * 0),
     "weights of all rows are zero"),
    ("weights of text", lambda: Feed(net(), X, Y, sample_weight=["a"] * 6),  # type: ignore[arg-type]
     "sample_weight must hold numbers, one weight for each row"),
    ("ragged X", lambda: Feed(net(), [[1, 2, 3, 4], [1]], Y[:2]),  # type: ignore[arg-type]
     "X must be an array, but its rows are of different lengths"),
    ("ragged y", lambda: Feed(net(), X[:2], [[0], [0, 1]]),  # type: ignore[arg-type]
     "y must be an array, but its rows"),
    ("one number for rows", lambda: Feed(net(), X, Y, rows=3),  # type: ignore[arg-type]
     r"rows must be row numbers, not 3: give an array such as np.arange\(3\)"),
    ("slice for rows", lambda: Feed(net(), X, Y, rows=slice(0, 3)),  # type: ignore[arg-type]
     r"not slice\(0, 3, None\)"),
    ("name of a scaling", lambda: Feed(net(), X, Y, scaling="unit"),  # type: ignore[arg-type]
     r"scaling must have a scale and a shift, as fit_scaling\(X, 'unit'\) has, not 'unit'"),
    ("name of an augmenter", lambda: Feed(net(), X, Y, augment="flip"),  # type: ignore[arg-type]
     "augment must be a function of rows and a random generator .* not 'flip'"),
    ("class weights", lambda: Feed(net(SoftmaxCrossEntropy(class_weight=[1, 1, 2])), X, Y),
     "class_weight has 3 factors, but there are 2 classes"),
    ("weights of labels", lambda: Feed(net(SigmoidCrossEntropy(class_weight=[1, 2])), X, np.ones((6, 2))),
     "needs one yes/no output, but the network has 2"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), [pytest.param(m, e, id=i) for i, m, e in FEEDS])
def test_data(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


class WrongScaling:
    scale, shift = np.ones(3), np.zeros(1)


def test_scaling_and_augmentation_of_another_width() -> None:
    with pytest.raises(InputError, match=r"the scaling has shape \(3,\), but X has 4 columns"):
        Feed(net(), X, Y, scaling=WrongScaling())
    network = net()
    feed = Feed(network, X, Y, augment=lambda rows, rng: rows[:, :3])
    with pytest.raises(InputError, match=r"augment must keep the shape \(6, 4\): it gave \(6, 3\)"):
        fit(network, feed)


def falling(p: float) -> float:
    return 1 - 2 * p


class Never(Callback):
    def on_start(self, run: Run) -> None:
        raise AssertionError("training began")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, or 'full', not 0"),
        ({"batch_size": "foo"}, "or 'full', not 'foo'"),
        ({"batch_size": 2.5}, "not 2.5"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": -3}, "not -3"),
        ({"epochs": 1.5}, "not 1.5"),
        ({"epochs": "many"}, "not 'many'"),
        ({"validate_every": 0}, "validate_every must be a whole number of at least 1"),
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm': did you mean 'adam'"),
        ({"optimizer": 0.1}, "unknown optimizer 0.1"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'"),
        ({"metrics": ["acuracy"]}, "unknown metric 'acuracy': did you mean 'accuracy'"),
        ({"metrics": ["squared_error"]}, "'squared_error' does not fit the loss SoftmaxCrossEntropy"),
        ({"metrics": "accuracy"}, r"metrics is a list of names, also of one: metrics=\['accuracy'\]"),
        ({"optimizer": "lbfgs"}, "train with fit_lbfgs"),
        ({"optimizer": SGD}, r"SGD is a class: the optimizer is made with brackets, SGD\(\)"),
        ({"schedule": "reduce_on_plateau"}, r"it is a callback, ReduceOnPlateau\(...\)"),
        ({"schedule": falling}, "the schedule falling gives -0.1.* at progress 0.6: .* at least 0"),
        ({"schedule": lambda p: math.nan if p > 0.6 else 1.0}, "gives nan at progress 0.8: a factor"),
        ({"schedule": lambda p: None}, "gives None at progress 0: a factor"),
        ({"schedule": lambda p: np.full(2, p)}, "must be a number of at least 0"),
        ({"treatments": L2(1e-3)}, r"treatments is a list, also of one: treatments=\[...\], not L2"),
        ({"treatments": "l2"}, "treatments is a list"),
        ({"treatments": ["l2"]}, r"treatments\[0\] is 'l2': give L2"),
        ({"treatments": [L2(0.1), ClipNorm]}, r"treatments\[1\] is the class ClipNorm: give an object"),
        ({"metrics": ["loss"]}, "unknown metric 'loss'"),
        ({"shuffle": "yes"}, "shuffle must be True, False, or a function"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"seed": None}, "seed must be a whole number of at least 0, not None"),
        ({"seed": 1.5}, "not 1.5"),
        ({"seed": "a"}, "not 'a'"),
        ({"resume": "run.npz"}, "resume must be a Run, as load_checkpoint gives one, not 'run.npz'"),
        ({"validation": (X, Y)}, r"validation must be a Feed, not tuple: make one, Feed\(network, X, y\)"),
    ],
)
def test_settings_of_a_training(settings: dict[str, Any], message: str) -> None:
    network = net()
    before = network.theta.copy()
    with pytest.raises(InputError, match=message):
        fit(network, Feed(network, X, Y), callbacks=[Never()], **settings)
    assert np.array_equal(network.theta, before)


def test_rows_come_as_a_feed() -> None:
    network = net()
    with pytest.raises(InputError, match=r"train must be a Feed, not ndarray: make one, Feed\(net"):
        fit(network, X)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, "much"])
@pytest.mark.parametrize("train", [fit, fit_lbfgs])
def test_a_treatment_says_what_it_adds(train: Any, given: Any) -> None:
    def shrink(network: Network, weight: float) -> Any:
        return given

    network = net()
    before = network.theta.copy()
    with pytest.raises(InputError, match="the treatment shrink must return what it adds to the loss"):
        train(network, Feed(network, X, Y), treatments=[shrink])
    assert np.array_equal(network.theta, before)


def test_a_schedule_that_goes_wrong_where_nobody_looked_stops_at_that_step() -> None:
    """6 rows one by one for 5 epochs are 30 steps: the looks before go to every fourth and the last."""
    network = net()
    feed = Feed(network, X, Y)
    with pytest.raises(InputError, match=r"gives -1.0 at progress 0\.3: a factor"):
        fit(network, feed, batch_size=1, epochs=5, schedule=lambda p: -1.0 if p == 0.3 else 1.0)


def test_rows_of_another_network() -> None:
    network = net()
    narrow = Network([Dense(2)], 3)
    other = Feed(narrow, X[:, :3], Y)
    with pytest.raises(
        InputError, match=r"the validation rows .* with 3 inputs, 2 outputs.* not for 4 inputs, 2 outputs"
    ):
        fit(network, Feed(network, X, Y), validation=other, callbacks=[Never()])
    with pytest.raises(InputError, match="the train rows were prepared for a network with 3 inputs"):
        fit(network, other, callbacks=[Never()])
    with pytest.raises(InputError, match="loss Squared"):
        fit(network, Feed(net("squared"), X, np.ones((6, 2))), callbacks=[Never()])
    with pytest.raises(InputError, match=r"X has shape \(6, 3\), but this network takes \(rows, 4\)"):
        network.predict(X[:, :3])


def test_rows_weighted_for_another_loss() -> None:
    """The weights of the classes are in the feed: another loss's would be ignored."""
    weighted = net(SoftmaxCrossEntropy(class_weight=[1, 3]))
    rows = Feed(weighted, X, Y)
    said = r"SoftmaxCrossEntropy\(class_weight=\[1.0, 3.0\]\), not for .*SoftmaxCrossEntropy\("
    for other in (net(), net(SoftmaxCrossEntropy(class_weight=[1, 2]))):
        with pytest.raises(InputError, match=said):
            fit(other, rows, callbacks=[Never()])
    weighted.loss = SoftmaxCrossEntropy()
    with pytest.raises(InputError, match=said):
        fit(weighted, rows, callbacks=[Never()])
    weighted.loss = SoftmaxCrossEntropy(0.1, class_weight=[1, 3])  # of the same targets and weights
    fit(weighted, rows, epochs=1)


MADE: list[tuple[Callable[[], Any], str]] = [
    (lambda: activation("rleu"), "unknown activation 'rleu': did you mean 'relu'"),
    (lambda: activation("softmax"), "leave the last layer linear"),
    (lambda: activation("prelu"), r"it is a layer: Dense\(n\), PReLU\(\)"),
    (lambda: activation(3), "a name, a function or a pair"),  # type: ignore[arg-type]
    (lambda: activation((np.tanh, np.cosh)), "the derivative of activation 'tanh' is wrong: at z = -4.00"),
    (lambda: activation((np.tanh, lambda Z: Z * np.nan)), "derivative of activation 'tanh' is wrong"),
    (lambda: activation(np.sum), "must keep the shape"),
    (lambda: activation((np.tanh, lambda Z: 1.0)), "at z = -4.00 it gives 1, but f changes by"),
    (lambda: activation(lambda Z: Z / Z.max()), "must work on each number alone"),
    (lambda: activation(lambda Z: np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)), "each number alone"),
    (lambda: activation(lambda Z: np.maximum(Z, 0, out=Z)), "must not change the array"),
    (lambda: activation(lambda Z: np.where(np.abs(Z) < 1, np.nan, Z)), "is not finite at z = -1.00"),
    (lambda: activation(lambda Z: Z["a"]), "fails on an array"),
    (lambda: activation(Activation("relu", np.tanh, lambda A: 1 - A * A, True)),
     "there is an activation 'relu' already"),
    (lambda: activation(Activation("mine", np.tanh, lambda A: 1 - A, True)),
     r"f' must be a function of f\(z\)"),
    (lambda: initializer("he_norm"), "unknown initializer 'he_norm': did you mean 'he_normal'"),
    (lambda: loss("huberr"), "unknown loss 'huberr': did you mean 'huber'"),
    (lambda: loss("huber", detla=1), "unknown setting of loss 'huber': 'detla': did you mean 'delta'"),
    (lambda: loss(Huber(), delta=2.0), "already made"),
    (lambda: Huber(0), "delta must be positive"),
    (lambda: Quantile(1.0), "quantile must lie between 0 and 1"),
    (lambda: SoftmaxCrossEntropy(label_smoothing=1.0), r"label_smoothing must be in \[0, 1\)"),
    (lambda: SoftmaxCrossEntropy(focal=-1), "focal must not be negative"),
    (lambda: SigmoidCrossEntropy(focal=NAN), "focal must not be negative, not nan"),
    (lambda: SoftmaxCrossEntropy(label_smoothing="a"),
     "label_smoothing must be a number, not 'a'"),  # type: ignore[arg-type]
    (lambda: SoftmaxCrossEntropy(focal=True), "focal must be a number, not True"),
    (lambda: Huber(NAN), "delta must be positive, not nan"),
    (lambda: Quantile(NAN), "quantile must lie between 0 and 1, not nan"),
    (lambda: Noise(NAN), "must not be negative, not nan"),
    (lambda: Dropout("a"), "dropout rate must be a number, not 'a'"),  # type: ignore[arg-type]
    (lambda: BatchNorm(momentum=5), r"momentum must be in \[0, 1\], not 5"),
    (lambda: BatchNorm(eps=-1), "eps must not be negative, not -1"),
    (lambda: LayerNorm("a"), "eps must be a number, not 'a'"),  # type: ignore[arg-type]
    (lambda: Scale(NAN), "lr_factor must not be negative, not nan"),
    (lambda: PReLU(np.inf), "start must be finite, not inf"),
    (lambda: ParametricActivation(start=NAN), "start must be finite, not nan"),
    (lambda: ParametricActivation(lr_factor=-1), "lr_factor must not be negative, not -1"),
    (lambda: Dense(2, weight_lr=-1), "weight_lr must not be negative, not -1"),
    (lambda: Dense(2, bias_lr="x"), "bias_lr must be a number, not 'x'"),  # type: ignore[arg-type]
    (lambda: Dense(2, bias_init="zeros"), "bias_init must be a number, .* not 'zeros'"),
    (lambda: Dense(2, bias_init=NAN), "bias_init must be finite, not nan"),
    (lambda: Dense(2, bias_init=[1.0, NAN]), "bias_init must be an array of finite numbers"),
    (lambda: Dense(2, init=["a", "b"]), "init must be an array of finite numbers"),
    (lambda: Dense(2, init=np.zeros((2, 4))).build(4),
     r"init of 2 units has shape \(2, 4\), but needs \(4, 2\)"),
    (lambda: Network([Dense(2, bias_init=np.zeros(3))], 4),
     r"bias_init of 2 units has shape \(3,\), but needs \(2,\)"),
    (lambda: L1("a"), "l1 must be a number, not 'a'"),  # type: ignore[arg-type]
    (lambda: L2(NAN), "l2 must not be negative, not nan"),
    (lambda: ClipNorm(NAN), "clip_norm must be positive, not nan"),
    (lambda: Network(Dense(2), 4), r"made of a list of layers, such as \[Dense\(10\)\], not of Dense"),
    (lambda: Network([Dense(2)], 4, seed=None), "seed must be a whole number of at least 0, not None"),
    (lambda: Network([Dense(2)], 4, seed=-1), "seed must be a whole number of at least 0, not -1"),
    (lambda: Network([Dense(2)], 4, dtype="flot32"), "unknown dtype 'flot32': did you mean 'float32'"),
    (lambda: activation((np.tanh, lambda Z: Z["a"])), "derivative of activation 'tanh' fails"),
    (lambda: activation((np.tanh, lambda Z: np.ones(5))), "derivative of activation 'tanh' .* another shape"),
    (lambda: activation((np.square, lambda Z: np.where(Z > 50, 0, 2 * Z))), "wrong: at z = 100.00"),
    (lambda: activation((np.square, lambda Z: np.where(Z < -20, np.nan, 2 * Z))), "wrong: at z = -100.00"),
    (lambda: SoftmaxCrossEntropy(0.1, 2.0), "exclude each other"),
    (lambda: SoftmaxCrossEntropy(class_weight={0: 1.0}),
     "class_weight must be a row of factors"),  # type: ignore[arg-type]
    (lambda: SoftmaxCrossEntropy(class_weight=[1, -1]), "class_weight must be a row of factors"),
    (lambda: schedule("cosine", fnal=0.1),
     "unknown setting of schedule 'cosine': 'fnal': did you mean 'final'"),
    (lambda: schedule("inverse", final=0), "cannot work with the settings {'final': 0}"),
    (lambda: schedule("exponential", final=-1), "cannot work with the settings"),
    (lambda: schedule(lambda p: 1.0, final=0.1), "already made"),
    (lambda: warm_up(lambda p: 1.0, 1.0), r"share of warm-up must be in \[0, 1\)"),
    (lambda: Network([], 4), "at least one layer"),
    (lambda: Network([Dense], 4), "made of layers such as Dense"),  # type: ignore[list-item]
    (lambda: Network([10], 4), "made of layers such as Dense"),  # type: ignore[list-item]
    (lambda: Network([Dense(2)], 0), "n_inputs must be a whole number of at least 1, not 0"),
    (lambda: Network([Dense(2)], 2.5), "not 2.5"),  # type: ignore[arg-type]
    (lambda: Network([Dense(2)], 4, dtype="int32"), "dtype must be float32 or float64, not int32"),
    (lambda: Network([Residual(Dense(3))], 4), "must end as wide as it starts: 4 inputs, 3 outputs"),
    (lambda: Residual(), "at least one layer"),
    (lambda: Dense(0), "at least 1, not 0"),
    (lambda: Dense(2.5), "not 2.5"),  # type: ignore[arg-type]
    (lambda: Dense(3, init="hee_normal"), "did you mean 'he_normal'"),
    (lambda: Dropout(1.0), r"must be in \[0, 1\), not 1"),
    (lambda: Noise(-1), "must not be negative"),
    (lambda: L2(-1), "l2 must not be negative"),
    (lambda: L1(float("nan")), "l1 must not be negative"),
    (lambda: ClipNorm(0), "clip_norm must be positive"),
    (lambda: ClipValue(-1), "clip_value must be positive"),
    (lambda: MaxNorm(0), "max_norm must be positive"),
    (lambda: TimeLimit(0), "time limit must be positive"),
    (lambda: KeepBest(patience=0), "patience must be at least 1"),
    (lambda: Average(1.0), "must lie between 0 and 1"),
    (lambda: ReduceOnPlateau(factor=1.0), "must lie between 0 and 1"),
    (lambda: ReduceOnPlateau(factor=math.nan), "must lie between 0 and 1"),
    (lambda: ReduceOnPlateau(patience=0), "patience must be at least 1 epoch, a whole number, not 0"),
    (lambda: ReduceOnPlateau(min_delta=math.nan), "min_delta must be a number of at least 0, not nan"),
    (lambda: KeepBest(patience=1.5), "patience must be at least 1 epoch, a whole number, not 1.5"),
    (lambda: KeepBest(min_delta=math.nan), "min_delta must be a number of at least 0, not nan"),
    (lambda: KeepBest(min_delta=-0.1), "min_delta must be a number of at least 0, not -0.1"),
    (lambda: MaxNorm(math.nan), "max_norm must be positive, not nan"),
    (lambda: TimeLimit(math.nan), "time limit must be positive, not nan"),
    (lambda: Average(math.nan), "must lie between 0 and 1"),
    (lambda: MaxNorm("a"), "max_norm must be a number, not 'a'"),  # type: ignore[arg-type]
    (lambda: TimeLimit("5"), "time limit must be a number, not '5'"),  # type: ignore[arg-type]
    (lambda: Average(None), "average must be a number, not None"),  # type: ignore[arg-type]
    (lambda: ReduceOnPlateau(factor="a"), "must be a number, not 'a'"),  # type: ignore[arg-type]
    (lambda: KeepBest(3),  # type: ignore[arg-type]
     "monitor must be the name of a recorded quantity, .* not 3"),
    (lambda: ReduceOnPlateau(None, mode="min"), "monitor must be the name"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("make", "message"), MADE)
def test_descriptions(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_good_things_are_not_refused() -> None:
    """The borders of what is allowed."""
    network = Network(
        [BatchNorm(), Dense(np.int64(3), "hard_swish"), Dense(1)], np.int64(4), "sigmoid_cross_entropy"
    )
    feed = Feed(network, X, Y.astype(bool), sample_weight=np.r_[np.zeros(5), 1])
    assert len(fit(network, feed, batch_size=np.int64(1), epochs=np.int64(2))) == 2
    fit(network, Feed(network, X[:1], Y[:1]), batch_size=999, epochs=1)
    assert network.predict(np.zeros((0, 4))).shape == (0, 1)
    assert network.predict([[1, 2, 3, 4]]).shape == (1, 1)
