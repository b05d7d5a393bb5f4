"""One RunSpec and its data -> a trained network and its scores. No files, nothing global.

What is done about rare classes (`training.imbalance`):
"class_weight" weighs a row by n / (C n_c); "focal" is the focal loss (Lin et al. 2017); "oversample" repeats
rows of smaller classes up to the largest, "undersample" draws as many rows of each class as the smallest
has; "logit_adjustment" adds the log prior to the logits in training and leaves it out when deciding (Menon
et al. 2021): as the output layer has a bias, that is the same as starting the bias at the log prior and
subtracting it at the end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.data.augment import Augmenter
from glassnet.data.dataset import Dataset
from glassnet.data.prepare import prepare
from glassnet.data.split import Split, split
from glassnet.errors import InputError
from glassnet.evaluate import best_f1_threshold
from glassnet.lab.measures import constant_outputs, measure_all, task_of
from glassnet.lab.spec import DataSpec, ModelSpec, RunSpec
from glassnet.nn import (
    Activate,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Loss,
    Network,
    Optimizer,
    RMSNorm,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Squared,
    optimizer,
    schedule,
)  # fmt: skip
from glassnet.seeds import stream
from glassnet.train import (
    L1,
    L2,
    Average,
    Callback,
    ClipNorm,
    Feed,
    History,
    KeepBest,
    MaxNorm,
    Run,
    fit,
    load_checkpoint,
    outputs,
)  # fmt: skip
from glassnet.train.checkpoint import save_checkpoint

__all__ = ["Trained", "chance_scores", "decide", "divide", "select_rows", "set_up", "train_one"]

Array = npt.NDArray[Any]
_NORMS: dict[str, type[Layer]] = {"batch": BatchNorm, "layer": LayerNorm, "rms": RMSNorm}


@dataclass(frozen=True)
class Trained:
    """What came of one run.

    Parameters
    ----------
    scores, chance : part ("validation", "test") -> measure -> value; `chance` is of a constant prediction
    predictions : arrays for the run folder: rows, targets and predictions of each part that was looked at
    """

    network: Network
    history: History
    scores: dict[str, dict[str, float]]
    chance: dict[str, dict[str, float]]
    predictions: dict[str, Array]
    threshold: float | None
    rows: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class SetUp:
    """A network and its feeds, ready to train."""

    network: Network
    train: Feed
    validation: Feed | None
    rows: Split
    targets: Array
    #: regression: mean and spread of the training targets; the network learns (y - mean) / spread
    mean: Array
    spread: Array
    prior: Array  # what logit adjustment takes off the logits, zeros otherwise
    X: Array
    scaling: Any

    def feed(self, rows: Array) -> Feed:
        return Feed(self.network, self.X, self.targets, scaling=self.scaling, rows=rows)


def select_rows(dataset: Dataset, spec: DataSpec) -> Dataset:
    """The dataset, or as many of its rows as the plan wants: the same for all runs, stratified by class."""
    if spec.rows is None or spec.rows >= len(dataset):
        return dataset
    from sklearn.model_selection import train_test_split

    strata = dataset.y if dataset.task == "classification" else None
    try:
        chosen, _ = train_test_split(
            np.arange(len(dataset)), train_size=spec.rows, stratify=strata, random_state=0
        )
    except ValueError as error:
        raise InputError(f"data.rows = {spec.rows} of {dataset.name}: {error}") from None
    return dataset.take(np.sort(chosen))


def divide(dataset: Dataset, spec: DataSpec, seed: int) -> Split:
    """Training, validation and test rows for one seed.

    With `test_rows = "fixed"` the test rows are the same for every seed, and only the others are drawn anew.
    Test rows that came with the source are always the same.
    """
    given = dataset.part is not None and bool((dataset.part == 2).any())
    if spec.test_rows != "fixed" or given or not spec.test:
        return split(dataset, validation=spec.validation, test=0.0 if given else spec.test, seed=seed)
    held = split(dataset, validation=0.0, test=spec.test, seed=0).test
    part = np.zeros(len(dataset), np.int8) if dataset.part is None else dataset.part.copy()
    part[held] = 2
    share = spec.validation / (1.0 - spec.test)
    return split(replace(dataset, part=part), validation=share, seed=seed)


def set_up(spec: RunSpec, dataset: Dataset, seed: int) -> SetUp:
    """Divide, prepare (on training rows only), and make network and feeds; `seed` is of the first weights."""
    rows = divide(dataset, spec.data, spec.seed)
    recipe = prepare(dataset, spec.data.prepare, rows.train)
    scaling, X = recipe.scaling, dataset.X
    if scaling is None:
        X = recipe.apply(dataset.X)
    y, mean, spread = dataset.y, np.zeros(1), np.ones(1)
    if not dataset.n_classes:
        known = dataset.y[rows.train].astype(np.float64)
        mean, spread = known.mean(axis=0), known.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        y = (dataset.y - mean) / spread
    loss, prior = _loss(spec, dataset, y[rows.train])
    precision = spec.training.matmul_precision
    network = Network(_layers(spec, dataset), X.shape[1], loss, seed=seed, matmul_precision=precision)
    if prior.any():
        network.layers[-1].b[:] = prior  # type: ignore[attr-defined]
    chosen = _resampled(spec, y, rows.train, dataset.n_classes)
    augment = _augmenter(spec, dataset, scaling)
    return SetUp(
        network, Feed(network, X, y, scaling=scaling, augment=augment, rows=chosen),
        Feed(network, X, y, scaling=scaling, rows=rows.validation) if len(rows.validation) else None,
        rows, y, mean, spread, prior, X, scaling,
    )  # fmt: skip


def train_one(
    spec: RunSpec, dataset: Dataset, callbacks: Sequence[Callback] = (), checkpoint: Path | None = None
) -> Trained:  # fmt: skip
    """Train and score the network of a RunSpec; the result depends on nothing but spec and data.

    Parameters
    ----------
    dataset : as read; `select_rows` has been applied
    callbacks : told of every epoch (they cannot change the result)
    checkpoint : where a long training leaves its state once a minute, and goes on bit for bit if there is one

    Examples
    --------
    >>> from glassnet.data.read import read
    >>> spec = RunSpec.model_validate({"data": {"source": "iris", "prepare": "standard"}})
    >>> done = train_one(spec, read("iris"))
    >>> done.scores["test"]["accuracy"] > done.chance["test"]["accuracy"]
    True
    """
    begun = kernels.working_time()
    t = spec.training
    seed = spec.seed
    if spec.replicate:
        seed = int(stream(spec.seed, "replicate", spec.replicate).integers(2**62))
    ready = set_up(spec, dataset, seed)
    network = ready.network
    steering: list[Callback] = []
    if t.max_norm:
        steering.append(MaxNorm(t.max_norm))
    if t.average:
        steering.append(Average(t.average))
    if t.patience:
        steering.append(KeepBest("val_loss", patience=t.patience))
    if spec.stop_hopeless:
        steering.append(_StopHopeless(_guessing_loss(ready, dataset)))
    treatments = [L1(t.l1)] if t.l1 else []
    treatments += [L2(t.l2)] if t.l2 else []  # type: ignore[list-item]
    treatments += [ClipNorm(t.clip_norm)] if t.clip_norm else []  # type: ignore[list-item]
    step = optimizer(t.optimizer, lr=_lr(spec), **t.settings)
    resume = _resumed(checkpoint, network, step, t.epochs, steering)
    if resume is not None:
        begun -= sum(resume.history["seconds"])
    keeping = [] if checkpoint is None else [_Keep(checkpoint, steering)]
    history = fit(
        network, ready.train, validation=ready.validation, optimizer=step, resume=resume,
        schedule=schedule(t.schedule, warm=t.warm_up), epochs=t.epochs, batch_size=t.batch_size,
        treatments=treatments, callbacks=[*steering, *callbacks, *keeping], seed=seed,
    )  # fmt: skip
    return _scored(spec, dataset, ready, history, begun)


def _lr(spec: RunSpec) -> float:
    assert spec.training.lr is not None  # RunSpec fills it in
    return spec.training.lr


def _scored(spec: RunSpec, dataset: Dataset, ready: SetUp, history: History, begun: float) -> Trained:
    """Predictions and scores of the validation rows and, in a final run, of the test rows: once, here."""
    task = task_of(dataset.n_classes)
    scores: dict[str, dict[str, float]] = {}
    kept: dict[str, Array] = {}
    threshold: float | None = None
    for part, of_part in _looked_at(spec, ready.rows).items():
        y = dataset.y[of_part]
        P = predictions(ready, of_part, task)
        kept |= {f"{part}_rows": of_part, f"{part}_y": y, f"{part}_p": P.astype(np.float32)}
        if task == "binary" and threshold is None:
            threshold = 0.5
            if spec.decision.threshold == "best_f1" and np.isfinite(P).all():
                threshold = best_f1_threshold(y, P[:, 1])
        if np.isfinite(P).all():
            scores[part] = measure_all(task, y, P, decide(P, task, threshold))
    return Trained(
        ready.network, history, scores, chance_scores(spec, dataset, ready.rows), kept, threshold,
        {name: len(of_part) for name, of_part in ready.rows.items()}, kernels.working_time() - begun,
    )  # fmt: skip


def _looked_at(spec: RunSpec, rows: Split) -> dict[str, Array]:
    """The parts of the data that a run is scored on, with their rows: the test rows only in a final run."""
    looked_at = {"validation": rows.validation} | ({"test": rows.test} if spec.purpose == "final" else {})
    return {part: of_part for part, of_part in looked_at.items() if len(of_part)}


def chance_scores(spec: RunSpec, dataset: Dataset, rows: Split) -> dict[str, dict[str, float]]:
    """What a constant prediction scores, for each part that a run is scored on."""
    task, found = task_of(dataset.n_classes), {}
    for part, of_part in _looked_at(spec, rows).items():
        y = dataset.y[of_part]
        P = constant_outputs(dataset.y[rows.train], dataset.n_classes, len(y))
        threshold = float(P[0, 1]) / 2 if task == "binary" and spec.decision.threshold == "best_f1" else 0.5
        found[part] = measure_all(task, y, P, decide(P, task, threshold))
    return found


def predictions(ready: SetUp, rows: Array, task: str) -> Array:
    """Probabilities (n, C), or predictions in the target's own unit (n, k) or (n,)."""
    Z = outputs(ready.network, ready.feed(rows)).astype(np.float64) - ready.prior
    with np.errstate(all="ignore"):  # a diverged network: NaN is the answer
        P = ready.network.loss.link(Z)
    if task == "binary":
        return np.column_stack([1.0 - P[:, 0], P[:, 0]])
    if task == "regression":
        P = P * ready.spread + ready.mean
        return P[:, 0] if ready.targets.ndim == 1 else P
    return P


def decide(P: Array, task: str, threshold: float | None) -> Array:
    """Class codes: by the threshold for two classes, by argmax for more; numbers stay as they are."""
    if task == "binary":
        return (P[:, 1] >= threshold).astype(np.int64)
    return P.argmax(axis=1) if task == "classes" else P


def _layers(spec: RunSpec, dataset: Dataset) -> list[Layer]:
    model: ModelSpec = spec.model
    init = None if model.initializer == "auto" else model.initializer
    layers: list[Layer] = []
    for units in model.hidden:
        if model.normalization == "none":
            layers.append(Dense(units, model.activation, init=init))
        else:
            own = Dense(units, model.activation, init=init).init  # suits the activation after the norm
            layers += [Dense(units, init=own), _NORMS[model.normalization](), Activate(model.activation)]
        if model.dropout:
            layers.append(Dropout(model.dropout))
    n_outputs = 1 if dataset.n_classes == 2 else dataset.n_classes
    if not dataset.n_classes:
        n_outputs = 1 if dataset.y.ndim == 1 else int(dataset.y.shape[1])
    return [*layers, Dense(n_outputs, init=init)]


def _loss(spec: RunSpec, dataset: Dataset, y: Array) -> tuple[Loss, Array]:
    """The loss, and the log prior that logit adjustment takes off (zeros for the others)."""
    t, C = spec.training, dataset.n_classes
    prior = np.zeros(1)
    if not C:
        if t.imbalance != "none" or t.label_smoothing:
            raise InputError("imbalance treatments and label smoothing need classes, not a numeric target")
        return Squared(), prior
    shares = np.bincount(y, minlength=C) / len(y)
    weight = None
    if t.imbalance == "class_weight":
        weight = 1.0 / (C * np.maximum(shares, 1.0 / len(y)))
    if t.imbalance == "logit_adjustment":
        log_prior = np.log(np.maximum(shares, 1.0 / len(y)))
        prior = log_prior[1:] - log_prior[:1] if C == 2 else log_prior
    focal = t.focal if t.imbalance == "focal" else 0.0
    kind = SigmoidCrossEntropy if C == 2 else SoftmaxCrossEntropy
    return kind(label_smoothing=t.label_smoothing, focal=focal, class_weight=weight), prior


def _resampled(spec: RunSpec, y: Array, rows: Array, n_classes: int) -> Array:
    """The training rows, some of them repeated or left out so that all classes are equally frequent."""
    how = spec.training.imbalance
    if how not in ("oversample", "undersample"):
        return rows
    rng = stream(spec.seed, "resample", spec.replicate)
    groups = [rows[y[rows] == c] for c in range(n_classes)]
    groups = [group for group in groups if len(group)]
    size = (max if how == "oversample" else min)(len(group) for group in groups)
    if how == "undersample":
        return np.concatenate([rng.choice(group, size, replace=False) for group in groups])
    return np.concatenate([np.r_[group, rng.choice(group, size - len(group))] for group in groups])


def _augmenter(spec: RunSpec, dataset: Dataset, scaling: Any) -> Augmenter | None:
    t = spec.training
    if not (t.flip or t.shift):
        return None
    if dataset.image is None or scaling is None or dataset.X.dtype != np.uint8:
        raise InputError("flip and shift need pictures stored as bytes and a plain scaling (data.prepare)")
    return Augmenter(dataset.image, flip=t.flip, shift=t.shift)


def _guessing_loss(ready: SetUp, dataset: Dataset) -> float:
    """Validation loss of a constant prediction."""
    y = dataset.y[ready.rows.validation]
    if not dataset.n_classes:
        return float(np.square(ready.targets[ready.rows.validation]).mean() / 2)
    P = constant_outputs(dataset.y[ready.rows.train], dataset.n_classes, len(y))
    return float(-np.log(np.maximum(P[np.arange(len(y)), y], 1e-12)).mean())


CHECKPOINT_EVERY = 60.0  # seconds: shorter runs leave none


def _resumed(
    checkpoint: Path | None, network: Network, step: Optimizer, epochs: int, steering: Sequence[Callback]
) -> Run | None:  # fmt: skip
    """The training that a checkpoint holds; None without one, and where a power cut left half of one."""
    if checkpoint is None or not checkpoint.exists():
        return None
    try:
        return load_checkpoint(checkpoint, network, step, epochs, steering)
    except InputError:
        return None


class _Keep(Callback):
    """Leaves a checkpoint once a minute."""

    def __init__(self, path: Path, steering: Sequence[Callback]) -> None:
        self.path, self.steering = path, steering
        self.latest = time.monotonic()

    def on_epoch(self, run: Run) -> None:
        if run.stopped or run.epoch == run.epochs or time.monotonic() - self.latest < CHECKPOINT_EVERY:
            return
        try:
            save_checkpoint(run, self.path, self.steering)
        except InputError as error:  # the disk's trouble, not the setting's
            raise error.__cause__ or error from None
        self.latest = time.monotonic()


class _StopHopeless(Callback):
    """Ends a trial that is no better than guessing after half of its epochs.

    The rule looks at the trial alone, never at others: it is the same for every arm, whatever the order.
    """

    def __init__(self, guessing: float) -> None:
        self.guessing = guessing

    def on_epoch(self, run: Run) -> None:
        if run.epoch >= max(2, run.epochs // 2) and min(run.history["val_loss"]) > self.guessing:
            run.stop("hopeless: no better than guessing after half of the epochs")
