"""What the coursework itself reported, and why correct software on the same data says something else."""

from __future__ import annotations

from dataclasses import dataclass

from glassnet.lab.results import Reference

__all__ = ["CIFAR10", "PART_4", "LastEpoch", "part_4_references"]

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
    why: str


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


def part_4_references(label: str, val_loss: float, val_accuracy: float) -> tuple[Reference, ...]:
    """Our last epoch of one setting beside theirs."""
    theirs = PART_4[label]
    return (
        Reference(f"{label}: validation accuracy", val_accuracy, theirs.val_accuracy, theirs.why),
        Reference(f"{label}: validation loss", val_loss, theirs.val_loss, theirs.why),
    )
