"""What scores of two settings over the same seeds allow one to say: arrays in, numbers out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALPHA", "LEAST_SEEDS", "MEANINGFUL", "Paired", "best_of_k", "bootstrap_interval", "compare_paired",
    "detectable", "holm", "mcnemar", "paired_test", "row_interval", "sign_flip_test", "smallest_p",
    "student_test", "time_to_target", "win_interval", "win_probability",
]  # fmt: skip

Array = npt.NDArray[np.floating[Any]]
ALPHA = 0.05
LEAST_SEEDS = 6  # five seeds cannot give a p below 0.05: see smallest_p
MEANINGFUL = 0.75  # P(A > B) from which a difference is worth speaking of (Bouthillier et al. 2021)
# How far below and above the sign-flip test's p Student's counts; what it gives, by simulation: docs/lab.md.
_LEAST_SHARE, _MOST_SHARE = 0.9, 1.4
_EXACT_UP_TO = 16  # 65,536 patterns of signs
_SAMPLED = 100_000
_RESAMPLES = 4000


@dataclass(frozen=True)
class Paired:
    """A against B over the same seeds; positive differences mean that A is better.

    Parameters
    ----------
    low, high : 95 % bootstrap interval of the mean difference, by `method`
    p, p_holm : of the two-sided `paired_test`, as it is and corrected for all comparisons of the plan
    wins, win_low, win_high : P(A > B), share of seeds (ties half), with its 95 % interval
    detectable : the smallest true difference that this design would find in 80 % of repetitions
    """

    a: str
    b: str
    n: int
    mean: float
    spread: float
    low: float
    high: float
    method: str
    p: float
    p_holm: float
    wins: float
    win_low: float
    win_high: float
    detectable: float

    @property
    def shown(self) -> bool:
        """Whether a difference may be claimed: by the paired test, if it is worth speaking of.

        The bootstrap interval says how large the difference is; at ten seeds its level is only near 95 %, and
        asking for it as well cost power and prevented nothing.

        Bouthillier et al. (2021) ask that the upper bound of P(A > B) reaches 0.75. Asking it of the estimate
        would cost ten seeds seven points of power, because 8 of 10 is the first count above it.
        """
        wins, high = (self.wins, self.win_high) if self.mean > 0 else (1 - self.wins, 1 - self.win_low)
        meaningful = high >= MEANINGFUL and wins > 0.5
        return self.n >= LEAST_SEEDS and self.p_holm < ALPHA and meaningful


def paired_test(d: Array) -> float:
    """Two-sided p that decides: Student's, kept between 0.9 and 1.4 times the sign-flip test's.

    The sign-flip test is exact for any scores that are exchangeable within a seed, but its p has steps: of
    ten seeds' 1,024 patterns 50 make p < 0.05, 4.88 %, and with that a true difference of one standard
    deviation is found in 79.6 of 100 comparisons. Student's t-test uses all of its 5 % and is the most
    powerful one for normal scores (80.3), but its 5 % rest on them. So Student's decides where the two are
    close: a sign-flip p up to 0.05 / 1.4 = 0.036 is always below 0.05, one from 0.05 / 0.9 = 0.056 on never.
    With ten seeds identical arms are told apart in 5.0 % of comparisons if scores are normal, in no more than
    56 / 1,024 = 5.5 % whatever they are (for any number of seeds: 0.05 / 0.9), and a difference of one
    standard deviation is found in 80.1 % (docs/lab.md).

    Parameters
    ----------
    d : (n,) paired differences

    Examples
    --------
    >>> d = np.array([1.0, 2.0, 1.5, 1.2, 0.8, 1.1, -0.2, 0.9])
    >>> sign_flip_test(d), round(student_test(d), 4), round(paired_test(d), 4)  # 0.9 * 2 * 2 / 2^8
    (0.015625, 0.0023, 0.0141)
    """
    flip = sign_flip_test(d)
    return min(max(student_test(d), _LEAST_SHARE * flip), _MOST_SHARE * flip, 1.0)


def smallest_p(n: int) -> float:
    """The smallest p that `paired_test` can give for n differences: 0.9 times the sign-flip test's.

    >>> smallest_p(5), smallest_p(6), round(smallest_p(30), 7)
    (0.05625, 0.028125, 9e-06)
    """
    flip = math.ldexp(2.0, -n) if n <= _EXACT_UP_TO else 1 / (_SAMPLED + 1)
    return min(1.0, _LEAST_SHARE * flip)


def student_test(d: Array) -> float:
    """Two-sided p of the paired t-test (Student 1908): t = mean / (spread / sqrt(n)), n - 1 degrees.

    Differences that are all alike have no spread: p is 0, or 1 if they are 0. One alone, and numbers that are
    not finite, say nothing: 1.

    Parameters
    ----------
    d : (n,) paired differences

    Examples
    --------
    >>> round(student_test(np.array([1.0, 2.0, 1.5, 1.2, 0.8, 1.1])), 5)
    0.00077
    """
    from scipy.special import stdtr

    n = len(d)
    if n < 2 or not np.isfinite(d).all() or not np.sum(d):
        return 1.0
    mean = abs(float(np.mean(d)))
    error = float(np.std(d, ddof=1)) / math.sqrt(n)
    return float(2 * stdtr(n - 1, -mean / error)) if error > 1e-12 * mean else 0.0


def sign_flip_test(d: Array, *, seed: int = 0) -> float:
    """Two-sided p of the hypothesis that differences are as likely to be -d as d (Fisher 1935).

    Exact for up to 16 differences: the share of all 2^n sign patterns whose |mean| is at least the observed
    one. Beyond that 100,000 random patterns, p = (k + 1) / (m + 1) (Phipson & Smyth 2010).

    Parameters
    ----------
    d : (n,) paired differences

    Examples
    --------
    >>> sign_flip_test(np.array([1.0, 2.0, 1.5, 1.2, 0.8, 1.1]))  # 2 / 2^6
    0.03125
    """
    n = len(d)
    if not np.any(d) or not np.isfinite(d).all():
        return 1.0
    observed = abs(d.sum()) * (1 - 1e-12)  # equal sums may differ in their last bits
    if n <= _EXACT_UP_TO:
        sums = _signs(n - 1) @ d[1:] + d[0]  # the mirror half adds nothing
        return float(np.mean(np.abs(sums) >= observed))
    rng = np.random.default_rng(seed)
    k = 0
    for _ in range(10):
        signs = rng.integers(0, 2, (_SAMPLED // 10, n)) * 2.0 - 1.0
        k += int(np.count_nonzero(np.abs(signs @ d) >= observed))
    return (k + 1) / (_SAMPLED + 1)


@cache
def _signs(n: int) -> Array:
    """All 2^n patterns of n signs."""
    return np.array(list(itertools.product((1.0, -1.0), repeat=n))).reshape(2**n, n)


def bootstrap_interval(d: Array, *, level: float = 0.95, seed: int = 0) -> tuple[float, float, str]:
    """Interval of the mean of d: bias-corrected and accelerated (Efron 1987), else percentile.

    Examples
    --------
    >>> low, high, method = bootstrap_interval(np.array([0.5, 1.0, 1.5, 2.0, 1.0, 0.9]))
    >>> round(low, 2), round(high, 2), method
    (0.8..., 1.5..., 'BCa')
    """
    if len(d) < 2:
        return math.nan, math.nan, "none"
    if np.ptp(d) == 0:
        return float(d[0]), float(d[0]), "all alike"
    import warnings

    from scipy.stats import bootstrap

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa's warning is its NaN, which is looked at
            found = bootstrap(
                (d,), np.mean, confidence_level=level, n_resamples=_RESAMPLES, method=method,
                rng=np.random.default_rng(seed), vectorized=True,
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    # scores of whole rows differ by whole rows: what is left below 1e-12 is rounding
    return round(float(found.low), 12), round(float(found.high), 12), method


def win_probability(d: Array) -> float:
    """P(A > B): share of seeds in which A is better, ties half.

    >>> win_probability(np.array([1.0, 0.0, -1.0, 2.0]))
    0.625
    """
    return float(np.mean(np.sign(d) + 1) / 2)


def win_interval(wins: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval (1927) of a share of n.

    >>> low, high = win_interval(0.8, 10)
    >>> round(low, 2), round(high, 2)
    (0.49, 0.94)
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    centre = (wins + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(wins * (1 - wins) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): the family-wise error stays below alpha.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected, running = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = running
    return corrected


def detectable(spread: float, n: int, *, comparisons: int = 1, power: float = 0.8) -> float:
    """The smallest true mean difference that n pairs find with this power, in the unit of `spread`.

    By the power of Student's t-test at alpha / comparisons (Holm's first step). Infinite where n pairs cannot
    show anything at all: the smallest p they can give is not below that level.

    Parameters
    ----------
    spread : standard deviation of the paired differences

    Examples
    --------
    >>> round(detectable(1.0, 10), 2), detectable(1.0, 5)
    (1.0, inf)
    """
    level = ALPHA / comparisons
    if smallest_p(n) >= level or not math.isfinite(spread):
        return math.inf
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    edge = float(t.ppf(1 - level / 2, n - 1))

    def lacking(effect: float) -> float:
        return float(nct.sf(edge, n - 1, effect * math.sqrt(n))) - power

    return float(brentq(lacking, 1e-3, 20.0)) * spread


def compare_paired(
    scores: Mapping[str, Array], pairs: Sequence[tuple[str, str]], *, higher_is_better: bool = True
) -> list[Paired]:
    """Each pair of arms over their common seeds, corrected by Holm for the number of pairs.

    Parameters
    ----------
    scores : arm -> (n,) scores, seed by seed in the same order
    pairs : (A, B); positive differences say that A is better

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(0.9, 0.01, 10), rng.normal(0.8, 0.01, 10)
    >>> found = compare_paired({"a": a, "b": b}, [("a", "b")])[0]
    >>> found.shown, round(found.mean, 2), round(found.p, 5)
    (True, 0.11, 0.00176)
    """
    sign = 1.0 if higher_is_better else -1.0
    differences = [sign * (np.asarray(scores[a], float) - np.asarray(scores[b], float)) for a, b in pairs]
    raw = [paired_test(d) for d in differences]
    found = []
    for (a, b), d, p, corrected in zip(pairs, differences, raw, holm(raw), strict=True):
        low, high, method = bootstrap_interval(d)
        wins = win_probability(d)
        spread = float(d.std(ddof=1)) if len(d) > 1 else math.nan
        found.append(Paired(
            a, b, len(d), float(d.mean()), spread, low, high, method, p, corrected, wins,
            *win_interval(wins, len(d)), detectable(spread, len(d), comparisons=len(pairs)),
        ))  # fmt: skip
    return found


def mcnemar(right_a: npt.NDArray[np.bool_], right_b: npt.NDArray[np.bool_]) -> float:
    """Exact two-sided p that two fixed models are right equally often on the same rows (McNemar 1947).

    >>> mcnemar(np.array([True] * 9 + [False]), np.array([False] * 9 + [True]))
    0.021484375
    """
    from scipy.stats import binomtest

    only_a = int(np.count_nonzero(right_a & ~right_b))
    only_b = int(np.count_nonzero(~right_a & right_b))
    if not only_a + only_b:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)


def row_interval(right: npt.NDArray[np.bool_], *, level: float = 0.95) -> tuple[float, float]:
    """Interval of one model's accuracy if other test rows had been drawn (Wilson): noise of the test set."""
    return win_interval(float(np.mean(right)), len(right), level)


def best_of_k(values: Array) -> list[float]:
    """Expected best of k = 1 ... n trials drawn from these (Dodge et al. 2019), higher is better.

    E[max of k] = sum over sorted v_i of v_i (F(i)^k - F(i - 1)^k) with F(i) = i / n.

    >>> [round(v, 3) for v in best_of_k(np.array([0.0, 1.0]))]
    [0.5, 0.75]
    """
    ordered, n = np.sort(np.asarray(values, float)), len(values)
    share = np.arange(n + 1) / max(n, 1)
    return [float(ordered @ np.diff(share**k)) for k in range(1, n + 1)]


def time_to_target(
    history: Mapping[str, Sequence[float]], quantity: str, target: float, *, higher_is_better: bool = True
) -> tuple[float, float]:
    """Epochs and seconds until a quantity first reached a target; infinite if it never did.

    >>> time_to_target({"val_accuracy": [0.5, 0.8, 0.9], "seconds": [1.0, 1.0, 1.0]}, "val_accuracy", 0.75)
    (2.0, 2.0)
    """
    values = np.asarray(history[quantity], float)
    hit = np.flatnonzero(values >= target if higher_is_better else values <= target)
    if not len(hit):
        return math.inf, math.inf
    return float(hit[0] + 1), float(np.sum(history["seconds"][: hit[0] + 1]))
