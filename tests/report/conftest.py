"""Studies made by code: the size and the shape of real ones, from simulated networks and a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from glassnet.evaluate import best_f1_threshold, binary_scores, class_scores
from glassnet.findings import Finding, Severity
from glassnet.lab.results import Comparison, DataSummary, Part, Reference, Run, Study

ANIMALS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def simulated_run(
    rng: np.random.Generator, label: str, epochs: int, start: float, end: float, gap: float = 0.2, **changes
) -> Run:
    """A run whose loss falls from `start` towards `end`, with the noise of mini-batches and over-fitting."""
    t = np.linspace(0, 1, epochs)
    fall = (start - end) * np.exp(-5 * t)
    noise = min(1.0, 50 / epochs)  # a full batch makes less of it
    loss = end + fall + rng.normal(0, 0.012 * noise, epochs)
    val = end + fall + gap * t + rng.normal(0, 0.02 * noise, epochs)
    history = {
        "epoch": list(map(float, range(1, epochs + 1))),
        "loss": loss.tolist(),
        "accuracy": np.exp(-loss * 0.5).tolist(),
        "val_loss": val.tolist(),
        "val_accuracy": np.exp(-val * 0.5).tolist(),
        "seconds": rng.normal(0.5, 0.02, epochs).tolist(),
    }
    settings = {
        "layers": "3072-128-10",
        "activation": "relu",
        "optimizer": "sgd",
        "lr": 0.01,
        "batch": 32,
        "seed": 0,
    }
    return replace(
        Run(label, settings, history, seconds=0.5 * epochs),
        settings=settings | changes.pop("settings", {}), **changes,
    )  # fmt: skip


def simulated_scores(rng: np.random.Generator, names: tuple[str, ...], n: int, absent: int | None = None):
    """Class decisions by the argmax of noisy logits, as a network of about 45 % accuracy makes them."""
    present = np.array([c for c in range(len(names)) if c != absent])
    y = rng.choice(present, n)
    likeness = rng.normal(0, 0.7, (len(names), len(names)))  # some classes look alike
    logits = rng.normal(0, 1, (n, len(names))) + (likeness + likeness.T)[y] + 1.4 * np.eye(len(names))[y]
    return class_scores(y, logits.argmax(axis=1), names)


def simulated_binary(rng: np.random.Generator, n: int = 10_000, names=("not airplane", "airplane")):
    """Probabilities of a weak classifier of a class that one row in ten belongs to."""
    y = (rng.random(n) < 0.1).astype(np.int64)
    p = 1 / (1 + np.exp(-(rng.normal(-2.6, 0.8, n) + 1.2 * y)))
    valid_y, valid_p = y[: n // 2], p[: n // 2]
    chosen = {"fixed at 0.5": 0.5, "best F1 on validation": best_f1_threshold(valid_y, valid_p)}
    return binary_scores(y, p, names, chosen)


def simulated_data(
    rng: np.random.Generator, names: tuple[str, ...] = ANIMALS, side: int = 32, channels: int = 3
):
    """Pictures with a light and a dark direction of their own for each class."""
    n_classes, shape = len(names), (side, side, channels)
    y, x = np.mgrid[0:side, 0:side] / side
    angle = rng.uniform(0, 2 * np.pi, n_classes)
    slope = np.cos(angle)[:, None, None] * (x - 0.5) + np.sin(angle)[:, None, None] * (y - 0.5)
    tint = rng.normal(0, 25, (n_classes, 1, 1, channels))
    mean = np.clip(125 + 90 * slope[..., None] + tint, 0, 255)  # (C, side, side, channels)
    samples = np.clip(mean[:, None] + rng.normal(0, 30, (n_classes, 8, *shape)), 0, 255).astype(np.uint8)
    std = np.clip(150 - 200 * np.abs(slope[..., None]) + 0 * tint, 0, 255)
    edges = np.arange(0.0, 257.0, 4)
    middle = edges[:-1] + 2
    density = {}
    for i, name in enumerate(("red", "green", "blue")[:channels]):
        d = np.exp(-0.5 * ((middle - 120 - 8 * i) / (60 + 4 * i)) ** 2) + 0.3 * np.exp(-(255 - middle) / 6)
        density[name] = d / (d.sum() * 4)
    planar = mean.mean(axis=0).transpose(2, 0, 1).ravel()
    spread = 40 + 15 * np.sin(np.arange(planar.size) / 40)
    quantiles = np.clip([planar - 130, planar - spread, planar, planar + spread, planar + 130], 0, 255)
    findings = (
        Finding("dtype-and-range", Severity.OK, "uint8, from 0 to 255", definition="smallest, largest"),
        Finding("missing-values", Severity.OK, "no value of 153,600,000 is missing", value=0, threshold=0),
        Finding("class-balance", Severity.OK, "the largest class has 1.00 times the rows of the smallest"),
        Finding("groups", Severity.SKIPPED, "the data has no groups"),
        Finding(
            "order-dependence", Severity.WARNING,
            "the rows are sorted by class: 9 changes of class in 50,000 rows",
            value=9, threshold=1000, definition="changes of class between neighbouring rows",
            advice="shuffle the rows each epoch; glassnet does", source="Bottou 2012", n_affected=50_000,
        ),
        Finding(
            "near-duplicates", Severity.ERROR,
            "131 validation rows have a near duplicate among the training rows",
            value=0.0131, threshold=0.001,
            definition="8 × 8 average hash at most 3 bits apart, confirmed by pixels",
            advice="keep duplicates in one part: split by groups",
            refute="train without them: nothing changes",
            examples=tuple(range(17, 17 * 40, 17)), n_affected=131, source="Barz & Denzler 2020",
        ),
        Finding("outliers", Severity.INFO, "1.2 % of the values are beyond 3.29 standard deviations"),
    )  # fmt: skip
    return DataSummary(
        name="CIFAR-10", source="cifar10-train.zip", n_rows=5000 * n_classes,
        n_features=side * side * channels,
        dtype="uint8", class_names=names,
        counts={"train": (4000,) * n_classes, "validation": (1000,) * n_classes},
        scaling="divided by 255", findings=findings, image_shape=shape, samples=samples,
        mean_images=mean.astype(np.uint8), std_images=std.astype(np.uint8),
        distribution={"edges": edges, **density}, quantiles=quantiles,
    )  # fmt: skip


def simulated_study(names: tuple[str, ...] = ANIMALS, seed: int = 0) -> Study:
    """The coursework's four parts, with a run that diverged and a run that was interrupted."""
    rng = np.random.default_rng(seed)
    diagnosis = Finding(
        "learning-rate-too-high", Severity.ERROR, "update/weight ratio 0.14 in layer 1", value=0.14,
        threshold=0.1, definition="median over the first epoch of |update| / |weights|",
        advice="divide the learning rate by 3",
        refute="a third of the rate gives the same curve", source="CS231n",
    )  # fmt: skip
    steady = Finding("vanishing-gradient", Severity.OK, "gradient ratio 0.4 between first and last layer")
    one = Part(
        "part-1", "Part 1: one unit, one class against the rest",
        "One sigmoid unit tells airplanes from the rest. One row in ten is an airplane, so accuracy says "
        "little: look at the precision-recall curve and at what the threshold does.",
        (simulated_run(rng, "logistic", 900, 0.69, 0.28, 0.01, findings=(steady,)),),
        binary=simulated_binary(rng, names=("not airplane", names[0])),
        scores_of="logistic, on the 10,000 validation rows",
        references=(
            Reference("F1 at 0.5", 0.215, 0.219, "The coursework's split was not stratified."),
            Reference("average precision", 0.303, float("nan"), "The coursework did not measure it."),
        ),
    )  # fmt: skip
    three = Part(
        "part-3", "Part 3: ten classes",
        "64 sigmoid units and a softmax output decide among ten classes by the largest probability.",
        (simulated_run(rng, "sigmoid, 64 units", 2000, 2.5, 1.64, 0.05, findings=(steady,)),),
        scores=simulated_scores(rng, names, 10_000),
        scores_of="sigmoid, 64 units, on the 10,000 validation rows",
        references=(
            Reference(
                "accuracy", 0.424, 0.2,
                "The coursework thresholds ten probabilities at 0.5 and then takes the argmax of zeros "
                "and ones, so every unsure image becomes class 0: its 0.20 is its decision rule.",
            ),
        ),
    )  # fmt: skip
    lost = simulated_run(rng, "ReLU + Adam", 6, 2.3, 2.3, settings={"optimizer": "adam"})
    wild = {k: [*v[:4], 8.1e6, float("nan")] for k, v in lost.history.items() if "loss" in k}
    flat = {k: [*([0.1] * 5), float("nan")] for k in ("accuracy", "val_accuracy")}
    runs = (
        simulated_run(rng, "ReLU + SGD", 50, 1.9, 1.13, 0.36),
        simulated_run(rng, "sigmoid + SGD", 50, 2.2, 1.42, 0.1, settings={"activation": "sigmoid"}),
        simulated_run(rng, "ReLU + momentum", 50, 1.8, 1.55, 0.3, settings={"optimizer": "momentum"}),
        replace(
            lost, history=lost.history | wild | flat, findings=(diagnosis, steady),
            diverged="layer 1, step 6,251, matrix product",
        ),
        simulated_run(
            rng, "sigmoid + Adam", 31, 2.0, 1.2, 0.5, interrupted=True,
            note="Stopped by the user in epoch 32.", settings={"optimizer": "adam", "activation": "sigmoid"},
        ),
    )  # fmt: skip
    limits = "One learning rate and one seed: a difference smaller than that of two seeds means nothing."
    four = Part(
        "part-4", "Part 4: a modular network",
        "The same network with two activations and three optimizers, mini-batches of 32, 50 epochs.",
        runs,
        scores=simulated_scores(rng, names, 10_000), scores_of="ReLU + SGD, on the 10,000 validation rows",
        comparisons=(
            Comparison("ReLU or sigmoid, with SGD?", ("ReLU + SGD", "sigmoid + SGD"), limits),
            Comparison("ReLU or sigmoid, with Adam?", ("ReLU + Adam", "sigmoid + Adam"), limits),
            Comparison("SGD, momentum or Adam?", ("ReLU + SGD", "ReLU + momentum", "ReLU + Adam"), limits),
        ),
        references=(Reference("ReLU + SGD, validation accuracy", 0.5012, 0.4943, "Shuffled batches."),),
    )  # fmt: skip
    environment = {
        "command": "glassnet run coursework --data cifar10-train.zip", "seed": "0", "glassnet": "0.1.0",
        "python": "3.11.2", "numpy": "2.4.6", "cpu": "two cores", "BLAS": "OpenBLAS 0.3.30, Haswell",
        "threads": "2",
    }  # fmt: skip
    return Study(
        "The coursework on CIFAR-10",
        "Four networks on 50,000 images. A plain argmax doubles the accuracy of the same "
        "network; a threshold chosen on validation rows raises F1 from 0.22 to 0.35; ReLU with SGD leads at "
        "this one learning rate, and ReLU with Adam diverges at 0.01.",
        simulated_data(rng, names), (one, three, four), environment, seconds=612.4, interrupted=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions above, for tests that change a part of a study."""
    functions: dict[str, Callable] = {f.__name__.removeprefix("simulated_"): f for f in (
        simulated_run, simulated_scores, simulated_binary, simulated_data, simulated_study,
    )}  # fmt: skip
    return SimpleNamespace(**functions)


@pytest.fixture(scope="session")
def study() -> Study:
    return simulated_study()
