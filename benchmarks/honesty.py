"""Does the lab say "better" too often, or too seldom? Simulation on synthetic scores and on real runs.

    python benchmarks/honesty.py synthetic      about 270,000 comparisons, ten minutes
    python benchmarks/honesty.py precise        the tests alone, a million times each, a few minutes
    python benchmarks/honesty.py digits         trains 6,600 small networks, one to five minutes
    ... --write docs/lab.md                     puts the table into the page

Synthetic: scores of two arms over n seeds, correlated because both see the same split. Digits: A against A,
the same network with other first weights and order on the same split of each seed; 330 comparisons of 10
seeds, each with seeds of its own. Beside the lab's verdict stand the tests it is made of, Student's, which
assumes normal scores and is the most powerful for them, and the sign-flip test, which assumes nothing; and
the naive comparison: one run each, the higher is "better". Seeds are 0, 1, 2 ... and were never exchanged.
How far the lab's p may leave the sign-flip test's was chosen on other draws: see docs/lab.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

if not __package__:  # started as a file: the folder above is where `benchmarks` is found
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.document import put
from glassnet.data.dataset import Dataset
from glassnet.lab.compare import read_data
from glassnet.lab.plan import parse_experiment
from glassnet.lab.spec import RunSpec
from glassnet.lab.statistics import (
    ALPHA,
    compare_paired,
    paired_test,
    sign_flip_test,
    student_test,
    win_interval,
)
from glassnet.lab.train_one import train_one

Array = npt.NDArray[np.floating[Any]]
SEEDS = 10
PLAN = """
title = "A against A"
seeds = {seeds}
[data]
source = "digits"
rows = 600
[model]
hidden = [16]
[training]
lr = 0.01
epochs = 5
batch_size = 64
[vary]
"replicate" = [0, 1]
"""


@dataclass(frozen=True)
class Case:
    """`effect` in standard deviations of the paired differences; 0 is A against A."""

    label: str
    comparisons: int
    seeds: int = SEEDS
    effect: float = 0.0
    draw: str = "normal"


CASES = (
    Case("A against A, normal", 100_000),
    Case("A against A, normal", 20_000, seeds=6),
    Case("A against A, normal", 4_000, seeds=20),
    Case("A against A, heavy tails (Student's t, 3 degrees)", 20_000, draw="heavy"),
    Case("A against A, scores spread evenly", 20_000, draw="even"),
    Case("A against A, 360 test rows", 20_000, draw="rows"),
    Case("true difference 1 SD", 100_000, effect=1.0),
    Case("true difference 1 SD", 10_000, seeds=11, effect=1.0),
    Case("true difference 1.25 SD", 10_000, effect=1.25),
    Case("true difference 1.5 SD", 4_000, effect=1.5),
)


_SPREADS = {"normal": "normal", "even": "scores spread evenly"}


def rate(hits: Array) -> str:
    """A share with its 95 % Monte-Carlo interval, in percent."""
    share = float(np.mean(hits))
    low, high = win_interval(share, len(hits))
    digits = 2 if len(hits) >= 50_000 else 1
    shown = (f"{100 * max(0.0, value):.{digits}f}" for value in (share, low, high))
    return "{} % ({} to {})".format(*shown)


def claims(a: Array, b: Array, effect: float) -> Array:
    """Which comparisons (rows) end in "better"; with a true difference only the right direction counts."""
    said = []
    for x, y in zip(a, b, strict=True):
        if paired_test(x - y) >= ALPHA:  # the verdict cannot be "better": leave out its bootstrap
            said.append(False)
            continue
        found = compare_paired({"A": x, "B": y}, [("A", "B")])[0]
        said.append(found.shown and (found.mean > 0 or not effect))
    return np.array(said)


def found_by(test: Callable[[Array], float], differences: Array, effect: float) -> str:
    """How often one test alone claims a difference, or the right one where there is one."""
    right = (differences.mean(axis=1) > 0) | (not effect)
    return rate(right & np.array([test(d) < ALPHA for d in differences]))


def table_row(label: str, a: Array, b: Array, effect: float) -> list[str]:
    """One line of the table for scores of shape (comparisons, seeds)."""
    naive = a[:, 0] > b[:, 0] if effect else a[:, 0] != b[:, 0]
    alone = [found_by(test, a - b, effect) for test in (sign_flip_test, student_test)]
    return [label, str(a.shape[1]), f"{len(a):,}", rate(claims(a, b, effect)), *alone,
            f"{100 * float(np.mean(naive)):.1f} %"]  # fmt: skip


def own_part(rng: np.random.Generator, draw: str, shape: tuple[int, ...]) -> Array:
    """What is an arm's own in its scores, with a standard deviation of one."""
    if draw == "heavy":
        return rng.standard_t(3, shape) / np.sqrt(3)
    if draw == "even":
        return rng.uniform(-np.sqrt(3), np.sqrt(3), shape)
    if draw == "rows":  # accuracies near 0.9: whole rows right or wrong, with ties
        return (rng.binomial(360, 0.9, shape) - 324) / np.sqrt(360 * 0.9 * 0.1)
    return rng.normal(size=shape)


def synthetic() -> list[list[str]]:
    """Two arms whose scores have a correlation of one half: the paired difference has an arm's own spread.

    Of whole test rows the two arms are independent, so that ties are not lost to rounding.
    """
    rng, table = np.random.default_rng(0), []
    for case in CASES:
        shape = (case.comparisons, case.seeds)
        own = own_part(rng, case.draw, (2, *shape))
        shared = 0.0 if case.draw == "rows" else rng.normal(size=shape)
        a, b = np.sqrt(0.5) * (shared + own)
        table.append(table_row(case.label, a + case.effect, b, case.effect))
        print(" | ".join(table[-1]), file=sys.stderr, flush=True)
    return [*table, many_arms(2_000)]


def precise(comparisons: int) -> list[list[str]]:
    """The tests alone at the points that matter, for ten differences, many times."""
    table = []
    for draw, effect in (("normal", 0.0), ("even", 0.0), ("normal", 1.0)):
        rng = np.random.default_rng(0)
        first, second = (own_part(rng, draw, (comparisons, SEEDS)) for _ in range(2))
        differences = np.sqrt(0.5) * (first - second) + effect
        label = f"true difference {effect:g} SD" if effect else "A against A"
        tests = (paired_test, sign_flip_test, student_test)
        rates = [found_by(test, differences, effect) for test in tests]
        table.append([f"{label}, {_SPREADS[draw]}", str(SEEDS), f"{comparisons:,}", *rates, "–"])
        print(" | ".join(table[-1]), file=sys.stderr, flush=True)
    by_lot = found_by(lambda d: sign_flip_by_lot(d, rng), differences, effect)
    table.append([f"{table[-1][0]}, the rest of 5 % by lot", *table[-1][1:3], "–", by_lot, "–", "–"])
    return table


def sign_flip_by_lot(d: Array, rng: np.random.Generator) -> float:
    """The sign-flip test with all of its 5 %: the next pattern counts as often as is needed for that.

    Nobody would decide so, but no test whose 5 % hold for any scores finds more of normal differences.
    """
    p, step = sign_flip_test(d), 2 / 2 ** len(d)
    left = ALPHA / step % 1  # of one pattern and its mirror
    return 0.0 if ALPHA <= p < ALPHA + step * (1 - left) + 1e-9 and rng.random() < left else p


def many_arms(comparisons: int, arms: int = 5, seeds: int = 12) -> list[str]:
    """Identical arms: how often is any of the pairs said to differ?"""
    rng, hits = np.random.default_rng(1), []
    names = [str(i) for i in range(arms)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    for _ in range(comparisons):
        scores = dict(zip(names, rng.normal(size=(arms, seeds)), strict=True))
        least = min(paired_test(scores[a] - scores[b]) for a, b in pairs)
        hits.append(
            least * len(pairs) < ALPHA  # Holm's first step: otherwise nothing is shown
            and any(pair.shown for pair in compare_paired(scores, pairs))
        )
    label = f"{arms} identical arms, any of {len(pairs)} pairs"
    return [label, str(seeds), f"{comparisons:,}", rate(np.array(hits)), "–", "–", "100.0 %"]


def one_score(spec: RunSpec, dataset: Dataset) -> float:
    with threadpool_limits(1):
        return train_one(spec, dataset).scores["test"]["accuracy"]


def digits(comparisons: int, jobs: int) -> list[list[str]]:
    """Two replicates of one setting on each of `comparisons` x 10 seeds: no seed serves twice."""
    plan = parse_experiment(PLAN.format(seeds=comparisons * SEEDS))
    dataset = read_data(plan)
    specs = [plan.run(arm, seed) for seed in plan.seed_list() for arm in ("replicate 0", "replicate 1")]
    scores = np.array(Parallel(jobs, batch_size=50)(delayed(one_score)(spec, dataset) for spec in specs))
    a, b = scores.reshape(comparisons, SEEDS, 2).transpose(2, 0, 1)  # (comparisons, SEEDS) each
    spread = float((a - b).std(ddof=1))
    told = f"{len(specs):,} runs, mean accuracy {scores.mean():.4f}, SD of an arm {scores.std(ddof=1):.4f}"
    correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    print(f"{told}, of the differences {spread:.4f}, correlation {correlation:.2f}", file=sys.stderr)
    return [
        table_row("digits, A against A", a, b, 0.0),
        table_row("digits, the same runs, A shifted by 1 SD", a + spread, b, spread),
    ]


def markdown(table: list[list[str]]) -> str:
    lab = 'lab says "better" (95 %)'
    head = ["case", "seeds", "comparisons", lab, "sign-flip test alone", "Student's alone", "naive"]
    rows = [head, ["---"] * len(head), *table]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("synthetic", "precise", "digits"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    args = parser.parse_args()
    if args.what == "digits":
        text = markdown(digits(330, args.jobs))
    else:
        text = markdown(synthetic() if args.what == "synthetic" else precise(1_000_000))
    print(text)
    if args.write is not None:
        put(args.write, f"honesty {args.what}", text)


if __name__ == "__main__":
    main()
