"""Which quantities should rise and which should fall, by their names."""

from __future__ import annotations

from collections.abc import Iterator

from glassnet.errors import InputError, did_you_mean

__all__ = ["checked_sign", "higher_is_better"]

FALLS = {
    "loss", "error", "mae", "mse", "rmse", "msle", "rmsle", "mape", "smape", "medae", "deviance",
    "perplexity", "brier", "brier_score", "nll", "bce", "crps", "cross_entropy",
    "negative_log_likelihood", "negative_likelihood_ratio", "divergence", "ece", "error_rate", "distance",
    "seconds", "time",
}  # fmt: skip
RISES = {
    "accuracy", "acc", "score", "auc", "auroc", "auprc", "ap", "map", "f1", "f2", "fbeta", "dice", "iou",
    "jaccard", "precision", "recall", "sensitivity", "specificity", "r2", "d2", "kappa", "mcc",
    "matthews_corrcoef", "correlation", "explained_variance", "likelihood", "log_likelihood",
    "positive_likelihood_ratio", "gain", "reward", "ndcg",
}  # fmt: skip
AVERAGES = ("macro", "micro", "weighted", "samples", "ovr", "ovo")  # how a score of many classes is meant


def higher_is_better(quantity: str, otherwise: bool | None = None) -> bool:
    """Whether a recorded quantity should rise: accuracies and scores do, losses and errors do not.

    What counts is the whole name or its end, without "val_" in front and "_macro" and the like behind. What
    scikit-learn calls "neg_..." is an error with its sign turned, so it should rise.

    Parameters
    ----------
    otherwise : the answer for a name that says nothing; None for an error

    Raises
    ------
    InputError : the name says nothing

    Examples
    --------
    >>> higher_is_better("val_accuracy"), higher_is_better("val_loss"), higher_is_better("val_neg_log_loss")
    (True, False, True)
    >>> higher_is_better("val_rmse"), higher_is_better("brier_score"), higher_is_better("roc_auc_ovr")
    (False, False, True)
    """
    name = quantity.lower().removeprefix("val_")
    if name.startswith(("neg_", "d2_")):  # d2: the share of a deviance that is explained
        return True
    for end in _ends(name):
        if end in FALLS or end in RISES:
            return end in RISES
    if otherwise is None:
        raise InputError(
            f"the name {quantity!r} does not say whether it should fall or rise; give mode='min' or 'max'"
            f"{did_you_mean(name, [*FALLS, *RISES])}"
        )
    return otherwise


def _ends(name: str) -> Iterator[str]:
    """The name, then ever shorter ends of it; without the kind of average."""
    parts = name.split("_")
    while len(parts) > 1 and parts[-1] in AVERAGES:
        parts.pop()
    yield from ("_".join(parts[i:]) for i in range(len(parts)))


def checked_sign(monitor: str, mode: str | None) -> float:
    """The factor that makes a quantity one that should fall; `mode` None follows its name."""
    if mode not in (None, "min", "max"):
        raise InputError(f"mode must be 'min', 'max' or None, which follows the name, not {mode!r}")
    if not isinstance(monitor, str):
        raise InputError(f"monitor must be the name of a recorded quantity, e.g. 'val_loss', not {monitor!r}")
    rises = higher_is_better(monitor) if mode is None else mode == "max"
    return -1.0 if rises else 1.0
