"""What the coursework itself reported, and why correct software on the same data says something else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from glassnet.evaluate import BinaryScores, ClassScores
from glassnet.lab.results import Reference

__all__ = [
    "CIFAR10", "PART_4", "LastEpoch", "after_other_epochs", "binary_references", "part_3_references",
    "part_4_references",
]  # fmt: skip

#: the classes of CIFAR-10 in the order of their codes
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


@dataclass(frozen=True)
class LastEpoch:
    """One row of the coursework's table of part 4."""

    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    why: str = ""


#: TP, FP, FN, TN of the coursework's parts 1 and 2
COUNTS = ((135, 124, 838, 8903), (130, 51, 843, 8976))
PART_4: dict[str, LastEpoch] = {
    "ReLU + SGD": LastEpoch(
        1.1285, 0.5992, 1.4934, 0.4943,
        "Theirs never shuffled its batches and did not stratify its split.",
    ),
    "sigmoid + SGD": LastEpoch(
        1.4177, 0.5040, 1.5018, 0.4745,
        "Theirs drew sigmoid layers by He's rule, made for ReLU; ours uses Xavier's, and shuffles.",
    ),
    "ReLU + momentum": LastEpoch(
        1.5691, 0.4544, 1.8614, 0.3956,
        "Momentum 0.9 multiplies the effective step by ten, so 0.01 is too high a rate for it: the "
        "comparison is of learning rates, not of optimizers. Ours also shuffles.",
    ),
    "ReLU + Adam": LastEpoch(
        2.3016, 0.1007, 2.3070, 0.0995,
        "At 0.01 Adam's steps kill the ReLUs and the loss stays near ln 10 = 2.303: the rate is too high, "
        "not the gradients too small; theirs also never advanced Adam's step counter.",
    ),
    "sigmoid + Adam": LastEpoch(
        1.8710, 0.3295, 1.8866, 0.3252,
        "Adam's counter stood at 1 in theirs, so that its bias correction was wrong for the whole run.",
    ),
    "ReLU + Adam, lr 0.001": LastEpoch(
        1.4879, 0.4724, 1.8194, 0.4026,
        "Theirs ran at 'a smaller rate' that it does not state, with Adam's counter at 1; ours takes 0.001.",
    ),
    "sigmoid + Adam, lr 0.001": LastEpoch(
        1.1445, 0.5996, 1.6680, 0.4739,
        "Theirs ran at 'a smaller rate' that it does not state, with Adam's counter at 1; ours takes 0.001.",
    ),
}  # fmt: skip


def binary_references(part: int, scores: BinaryScores) -> tuple[Reference, ...]:
    """Part 1 or 2: the decision at 0.5 beside theirs, and what another threshold makes of it."""
    tp, fp, fn, tn = COUNTS[part - 1]
    ours, chosen = (decision.scores for decision in scores.decisions)
    n_positive, n_rows = int(ours.support[1]), int(ours.support.sum())
    same = (
        f"The same rule on another draw of rows: theirs has {tp + fn:,} airplanes among "
        f"{tp + fp + fn + tn:,} rows, not stratified; ours {n_positive:,} among {n_rows:,}."
    )
    other = (
        "One row in ten is an airplane, so few probabilities pass 0.5. Theirs stayed there; ours takes the "
        "threshold with the best F1 on validation rows."
    )
    f1 = (0.219, 0.2253)[part - 1]
    return (
        Reference("precision at 0.5", float(ours.precision[1]), tp / (tp + fp), same),
        Reference("recall at 0.5", float(ours.recall[1]), tp / (tp + fn), same),
        Reference("F1 at 0.5", float(ours.f1[1]), f1, same),
        Reference("accuracy at 0.5", ours.accuracy, (tp + tn) / (tp + fp + fn + tn), same),
        Reference("recall at the chosen threshold", float(chosen.recall[1]), tp / (tp + fn), other),
        Reference("F1 at the chosen threshold", float(chosen.f1[1]), f1, other),
    )


def part_3_references(
    scores: ClassScores, under_their_rule: ClassScores, first_loss: float, last_loss: float
) -> tuple[Reference, ...]:
    """Part 3: our decisions, the same network under their rule, and the training loss, beside theirs."""
    rule = (
        "Theirs set probabilities above 0.5 to 1, the others to 0, and took the first largest: every row "
        "without a probability above 0.5 became class 0, the airplane."
    )
    same = "The same network of ours, decided by their rule, falls to their figure: it is the rule."
    others = scores.recall[1:]
    return (
        Reference("accuracy", scores.accuracy, 0.20, rule),
        Reference("macro F1", scores.macro[2], 0.20, rule),
        Reference("recall of airplane", float(scores.recall[0]), 0.91, rule),
        Reference("lowest recall of the other classes", float(others.min()), 0.00, rule),
        Reference("highest recall of the other classes", float(others.max()), 0.29, rule),
        Reference("accuracy of our network under their rule", under_their_rule.accuracy, 0.20, same),
        Reference("recall of airplane under their rule", float(under_their_rule.recall[0]), 0.91, same),
        Reference("training loss at the start", first_loss, 2.51, "Other first weights and another split."),
        Reference("training loss at the end", last_loss, 1.64, "Other first weights and another split."),
    )


def part_4_references(label: str, ends: LastEpoch) -> tuple[Reference, ...]:
    """The last epoch of one of our settings beside theirs."""
    theirs = PART_4[label]
    return (
        Reference(f"{label}: training loss", ends.loss, theirs.loss, theirs.why),
        Reference(f"{label}: training accuracy", ends.accuracy, theirs.accuracy, theirs.why),
        Reference(f"{label}: validation loss", ends.val_loss, theirs.val_loss, theirs.why),
        Reference(f"{label}: validation accuracy", ends.val_accuracy, theirs.val_accuracy, theirs.why),
    )


def after_other_epochs(
    references: tuple[Reference, ...], n_epochs: int, planned: int
) -> tuple[Reference, ...]:
    """The same, where training had other epochs than the coursework's: that is then the first reason."""
    first = f"{n_epochs:,} epochs were trained here instead of its {planned:,}."
    return tuple(replace(r, why=f"{first} {r.why}") for r in references)
