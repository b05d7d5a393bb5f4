"""What the report says about each part of the coursework, for people."""

from __future__ import annotations

from collections.abc import Sequence

from glassnet.data.dataset import Dataset
from glassnet.data.split import Split
from glassnet.lab.parallel import Job
from glassnet.lab.results import Part
from glassnet.nn import Dense, Optimizer

__all__ = ["LIMITS", "STORIES", "TITLES", "settings_words", "summary_words"]

TITLES = {
    1: "Part 1 · {positive} or not, without a hidden layer",
    2: "Part 2 · {positive} or not, with one hidden layer",
    3: "Part 3 · all classes, softmax",
    4: "Part 4 · a modular network: activations and optimizers compared",
}
STORIES = {
    1: "One sigmoid unit reads all pixels: a linear separation, trained with full-batch gradient descent "
    "on the cross-entropy. Few rows are positive, so accuracy alone says little: look at average precision "
    "against its baseline, and at what the choice of the threshold changes.",
    2: "The same question with one layer of sigmoid units in between. What the hidden layer buys shows in "
    "the average precision; the threshold is again chosen on validation rows.",
    3: "One output per class, softmax and cross-entropy. The decision is the most probable class (argmax) "
    "and nothing else: a threshold before the argmax would turn every unsure row into class 0.",
    4: "One network, any activation, initialisation and optimizer, mini-batches in a new order every epoch. "
    "Adam runs at two learning rates, because at one rate a comparison of optimizers is one of rates.",
}
LIMITS = (
    "One seed and one learning rate for each setting: differences of a point or two are within what another "
    "seed would change, and an optimizer at a bad rate says nothing about the optimizer."
)

#: the coursework's initialisers by their distribution, the link that each loss puts after the last layer
_FIRST_WEIGHTS = {"coursework_hidden": "N(0, √(2/inputs))", "coursework_output": "N(0, √(1/inputs))"}
_LINKS = {"softmax_cross_entropy": "softmax", "sigmoid_cross_entropy": "sigmoid"}


def settings_words(job: Job, n_features: int, n_rows: int) -> dict[str, str | int | float]:
    """What a network was and how it was trained, in the terms of the field."""
    dense = [layer for layer in job.layers if isinstance(layer, Dense)]
    units = [f"{layer.units} {layer.f.name}" for layer in dense[:-1]]
    return {
        "layers": " → ".join([str(n_features), *units, f"{dense[-1].units} {_LINKS[job.loss]}"]),
        "first weights": ", ".join(
            _FIRST_WEIGHTS.get(str(layer.init), str(layer.init).replace("_", " ")) for layer in dense
        ),
        "loss": "cross-entropy", "optimizer": _optimizer_words(job.optimizer),
        "learning rate": job.optimizer.lr,
        "batch size": f"{n_rows:,} (all)" if job.batch_size == "full" else job.batch_size,
        "epochs": job.epochs,
    }  # fmt: skip


def _optimizer_words(optimizer: Optimizer) -> str:
    """The name, and what is set besides the learning rate.

    >>> from glassnet.nn import Momentum
    >>> _optimizer_words(Momentum(0.01, 0.9))
    'Momentum (momentum 0.9)'
    """
    left_out = {"lr"} if optimizer.weight_decay else {"lr", "weight_decay"}
    told = {name: value for name, value in optimizer.settings().items() if name not in left_out}
    rest = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in told.items())
    return type(optimizer).__name__ + (f" ({rest})" if rest else "")


def summary_words(dataset: Dataset, rows: Split, parts: Sequence[Part], interrupted: bool) -> str:
    """One paragraph for someone who reads nothing else."""
    told = [
        f"{len(dataset):,} rows of {dataset.name}: {len(rows.train):,} to train, "
        f"{len(rows.validation):,} to watch and to choose thresholds, {len(rows.test):,} scored once."
    ]
    binary = [(part, part.binary) for part in parts if part.binary is not None]
    if binary:
        found = [
            f"{_place(part)}: average precision {b.average_precision:.3f}, "
            f"F1 {b.decisions[-1].scores.f1[1]:.3f}"
            for part, b in binary
        ]
        told.append(
            f"Telling {binary[0][1].decisions[0].scores.class_names[1]} from the rest, {'; '.join(found)}; "
            f"guessing: average precision {binary[0][1].prevalence:.3f}."
        )
    scored = [(part, part.scores) for part in parts if part.scores is not None]
    if scored:
        found = [
            f"{_place(part)}, {part.scores_of.split(', on ')[0]}: {scores.accuracy:.1%} right"
            for part, scores in scored
        ]
        support = scored[0][1].support
        told.append(
            f"Telling all {len(support)} classes apart, {'; '.join(found)}; always saying the largest "
            f"class: {support.max() / support.sum():.1%}."
        )
    if interrupted:
        told.append("The work was interrupted: the report shows what was done until then.")
    return " ".join(told)


def _place(part: Part) -> str:
    return part.key.replace("-", " ")
