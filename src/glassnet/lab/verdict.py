"""From numbers to sentences that a person can quote, and no further than what was tested."""

from __future__ import annotations

import math

from glassnet import kernels
from glassnet.findings import counted
from glassnet.lab.measures import MEASURES
from glassnet.lab.outcome import ArmOutcome, Family
from glassnet.lab.spec import Experiment
from glassnet.lab.statistics import ALPHA, LEAST_SEEDS, Paired, smallest_p

__all__ = ["compare_words", "family_words", "limits", "power_words"]


def power_words(n: int, comparisons: int = 1) -> str:
    """What n seeds cannot show; empty if they are enough.

    >>> print(power_words(5))
    With 5 seeds nothing can be claimed: the smallest p of the paired test is 0.9 * 2/2^5 = 0.05625,
    not below 0.05. At least 6 seeds are needed.
    """
    least = LEAST_SEEDS
    while smallest_p(least) * comparisons >= ALPHA:
        least += 1
    if n >= least:
        return ""
    level = f"{ALPHA:g}"
    if smallest_p(n) < ALPHA:
        level += f" when {comparisons} comparisons share it"
    return (
        f"With {counted(n, 'seed', 'seeds')} nothing can be claimed: "
        f"the smallest p of the paired test is 0.9 * 2/2^{n} = "
        f"{smallest_p(n):.4g}, not below {level}. At least {least} seeds are needed."
    )


def number(value: float) -> str:
    """Four significant digits, so that small differences stay visible; rounding errors are zero."""
    return "none" if math.isnan(value) else f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def p_words(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def compare_words(pair: Paired, experiment: Experiment, comparisons: int) -> str:
    """One comparison in one or two sentences.

    >>> from glassnet.lab.plan import load_experiment
    >>> from glassnet.lab.statistics import compare_paired
    >>> import numpy as np
    >>> scores = {"relu": np.linspace(0.92, 0.93, 10), "sigmoid": np.linspace(0.90, 0.91, 10)}
    >>> pair = compare_paired(scores, [("relu", "sigmoid")])[0]
    >>> print(compare_words(pair, load_experiment("activations"), 1))
    relu is better than sigmoid: accuracy higher by 0.02 on average over 10 seeds
    (95 % interval 0.02 to 0.02; paired test p = 0.0018), better in 10 of 10.
    That is more than the margin of 0.005.
    """
    measure = MEASURES[experiment.metric]
    d = abs(pair.mean)
    a, b = (pair.a, pair.b) if pair.mean >= 0 else (pair.b, pair.a)
    low, high = (pair.low, pair.high) if pair.mean >= 0 else (-pair.high, -pair.low)
    interval = f"95 % interval {number(low)} to {number(high)}"
    corrected = f" after Holm's correction for {comparisons} comparisons" if comparisons > 1 else ""
    if pair.shown and experiment.claim:
        wins = pair.wins if pair.mean >= 0 else 1 - pair.wins
        direction = "higher" if measure.higher_is_better else "lower"
        said = (
            f"{a} is better than {b}: {measure.words} {direction} by {number(d)} on average over {pair.n} "
            f"seeds ({interval}; paired test {p_words(pair.p_holm)}{corrected}), better in {wins * pair.n:g} "
            f"of {pair.n}."
        )
        if experiment.margin:
            if low >= experiment.margin:
                said += f" That is more than the margin of {number(experiment.margin)}."
            else:
                said += f" It may be less than the margin of {number(experiment.margin)} that matters."
        return said
    said = (
        f"No difference shown between {pair.a} and {pair.b}: {measure.words} differs by {number(d)} on "
        f"average over {pair.n} seeds ({interval}; paired test {p_words(pair.p_holm)}{corrected})."
    )
    if experiment.margin and -experiment.margin < low and high < experiment.margin and pair.n >= LEAST_SEEDS:
        said += f" The whole interval lies within the margin of {number(experiment.margin)}."
    if low > 0 or high < 0:
        alone = " it is of this comparison alone, and p, which counts all," if comparisons > 1 else " p"
        said += f" The interval lies on one side of 0, but{alone} decides."
    if math.isfinite(pair.detectable):
        said += f" This design would have shown a difference of about {number(pair.detectable)} (power 80 %)."
    return said


def family_words(family: Family, experiment: Experiment) -> tuple[str, ...]:
    """All that may be said of one family, the most important first."""
    n, said = len(family.seeds), []
    if not n:
        return ("No seed has a run of every arm yet: nothing can be compared.",)
    too_few = power_words(n, len(family.comparisons)) if experiment.claim else ""
    if too_few:
        said.append(too_few)
    elif not experiment.claim:
        said.append("The plan makes no claim (claim = false): the figures are for looking at.")
    elif family.best:
        said.append(_best_words(family, experiment))
    else:
        k = len(family.arms)
        lacking = power_words(n, k * (k - 1) // 2)  # the best was found in the same scores: all pairs count
        said.append(f"Which arms are among the best cannot be told. {lacking}")
    if n > 1:
        said += [compare_words(pair, experiment, len(family.comparisons)) for pair in family.comparisons]
    said += [_failure_words(arm) for arm in family.arms if arm.failed]
    for arm in family.arms:
        if arm.at_edge:
            said.append(
                f"{arm.name} is not tuned: its best {', '.join(arm.at_edge)} is at the edge of what was "
                "tried, so a better one may lie beyond."
            )
    if family.noise is not None:
        noise = family.noise
        said.append(
            f"The test rows alone: with {noise.n_rows:,} other rows the accuracy of {noise.a} (one run) "
            f"would lie between {number(noise.low)} and {number(noise.high)}; for these two fixed networks, "
            f"{noise.a} and {noise.b}, McNemar's exact test gives {p_words(noise.p)}."
        )
    return tuple(said)


def _best_words(family: Family, experiment: Experiment) -> str:
    measure = MEASURES[experiment.metric].words
    first = family.arm(family.best[0])
    interval = f"95 % interval over seeds {number(first.low)} to {number(first.high)}"
    told = f"{measure} {number(first.mean)} ({interval})"
    if len(family.best) == 1:
        return f"{first.name} is best, {told}: every other arm was shown to be worse."
    if len(family.best) == len(family.arms):
        return f"No arm was shown to be best: {first.name} has the best mean, {told}, but none is set apart."
    rest = ", ".join(family.best[1:])
    return f"{first.name} has the best mean, {told}; not distinguishable from it: {rest}."


def _failure_words(arm: ArmOutcome) -> str:
    return (
        f"{arm.failed} of {len(arm.results)} runs of {arm.name} diverged or failed; they count as a constant "
        f"prediction ({arm.results[0].spec.training.optimizer}, lr {arm.results[0].spec.training.lr:g})."
    )


def limits(experiment: Experiment, data: str, n_parameters: int) -> tuple[str, ...]:
    """What the verdicts are limited to."""
    model, training = experiment.model, experiment.training
    shape = "-".join(map(str, model.hidden)) or "no hidden layer"
    size = training.batch_size
    batch = "all rows" if size == "full" else f"{size} rows"
    said = [
        f"Said of {data}, networks with hidden layers {shape} (about {n_parameters:,} parameters), "
        f"{training.epochs} epochs, batches of {batch}: where an arm sets one of these itself, of its own. "
        "Other data, networks or budgets may answer otherwise."
    ]
    if experiment.data.test_rows == "resampled":
        said.append("Every seed draws its own test rows, first weights and order of the rows.")
    else:
        said.append("All seeds share one set of test rows; training rows, first weights and order change.")
    varied = {path for _, values in experiment.arms() for path in values}
    if "training.matmul_precision" in varied and kernels.ROUNDED != "all large products":
        said.append(
            f"Where rounding is allowed, factors of {kernels.ROUNDED} are rounded on this machine (others "
            "would take AVX-512 BF16 or AMX, and the compiled kernels): arms that differ in "
            "training.matmul_precision alone are the same network but for these."
        )
    if experiment.tune is None and "training.lr" not in varied:
        said.append(
            "No learning rate was tuned: a difference may be one of how well the given rate suits each arm."
        )
    if experiment.tune is not None and experiment.tune.trials < 7:
        said.append(f"Only {experiment.tune.trials} trials per arm: at least 7 learning rates are advised.")
    lr = experiment.tune.space.get("training.lr") if experiment.tune else None
    if lr is not None and lr.log and lr.high / lr.low < 999:
        said.append("The learning rates span less than three decades.")
    return tuple(said)
