"""Does the lab say "better" too often, or too seldom? Simulation on synthetic scores and on real runs.

    python benchmarks/honesty.py synthetic      a minute or two
    python benchmarks/honesty.py digits         trains 6,600 small networks, one to five minutes

Synthetic: scores of two arms over n seeds, correlated because both see the same split. Digits: A against A,
the same network with other first weights and order on the same split of each seed; 330 comparisons of 10
seeds, each with seeds of its own, so that all are independent. Beside the lab's verdict stands the naive one:
one run each, and the higher score is "better".
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from glassnet.data.dataset import Dataset
from glassnet.lab.compare import read_data
from glassnet.lab.plan import parse_experiment
from glassnet.lab.spec import RunSpec
from glassnet.lab.statistics import compare_paired, sign_flip_test, win_interval
from glassnet.lab.train_one import train_one

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


def rates(name: str, hits: list[bool], naive: list[bool] | None = None) -> dict[str, object]:
    share = float(np.mean(hits))
    low, high = win_interval(share, len(hits))
    row = {"case": name, "comparisons": len(hits), "said better": round(share, 4),
           "95 % interval": [round(max(0.0, low), 4), round(high, 4)]}  # fmt: skip
    if naive is not None:
        row["naive single run"] = round(float(np.mean(naive)), 4)
    return row


def synthetic(comparisons: int) -> list[dict[str, object]]:
    """`effect` in standard deviations of the paired differences; `correlation` of two arms on one seed."""
    rng, table = np.random.default_rng(0), []
    for label, n, effect, correlation, heavy in (
        ("A against A, normal", SEEDS, 0.0, 0.5, False),
        ("A against A, 6 seeds", 6, 0.0, 0.5, False),
        ("A against A, 20 seeds", 20, 0.0, 0.5, False),
        ("A against A, heavy tails (t3)", SEEDS, 0.0, 0.5, True),
        ("true difference of 1 SD", SEEDS, 1.0, 0.5, False),
        ("true difference of 1.25 SD", SEEDS, 1.25, 0.5, False),
        ("true difference of 1.5 SD", SEEDS, 1.5, 0.5, False),
        ("true difference of 1 SD, 11 seeds", 11, 1.0, 0.5, False),
        ("true difference of 1 SD of one arm, correlation 0.8", SEEDS, 1.0 / np.sqrt(0.4), 0.8, False),
    ):
        hits, naive, alone = [], [], []
        unit = np.sqrt(2 * (1 - correlation))  # SD of the paired difference if an arm's is 1
        for _ in range(comparisons):
            shared = rng.normal(0, np.sqrt(correlation), n)
            own = rng.standard_t(3, (2, n)) / np.sqrt(3) if heavy else rng.normal(size=(2, n))
            a, b = shared + np.sqrt(1 - correlation) * own
            a = a + effect * unit
            found = compare_paired({"A": a, "B": b}, [("A", "B")])[0]
            hits.append(found.shown and (found.mean > 0 or effect == 0))
            alone.append(sign_flip_test(a - b) < 0.05)
            naive.append(bool(a[0] > b[0] if effect else a[0] != b[0]))
        table.append(rates(label, hits, naive) | {"sign-flip test alone": round(float(np.mean(alone)), 4)})
    return table


def many_arms(comparisons: int, arms: int = 5) -> dict[str, object]:
    """Five identical arms: how often is any of the ten pairs said to differ?"""
    rng, hits, naive = np.random.default_rng(1), [], []
    names = [str(i) for i in range(arms)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    for _ in range(comparisons):
        scores = dict(zip(names, rng.normal(size=(arms, 12)), strict=True))
        hits.append(any(pair.shown for pair in compare_paired(scores, pairs)))
        naive.append(True)  # of five numbers one is always the highest
    return rates(f"{arms} identical arms, any pair, 12 seeds", hits, naive)


def one_score(spec: RunSpec, dataset: Dataset) -> float:
    with threadpool_limits(1):
        return train_one(spec, dataset).scores["test"]["accuracy"]


def digits(comparisons: int, jobs: int) -> list[dict[str, object]]:
    """Two replicates of one setting on each of `comparisons` x 10 seeds: no seed serves twice."""
    plan = parse_experiment(PLAN.format(seeds=comparisons * SEEDS))
    dataset = read_data(plan)
    specs = [plan.run(arm, seed) for seed in plan.seed_list() for arm in ("replicate 0", "replicate 1")]
    scores = np.array(Parallel(jobs, batch_size=50)(delayed(one_score)(spec, dataset) for spec in specs))
    a, b = scores.reshape(comparisons, SEEDS, 2).transpose(2, 0, 1)  # (comparisons, SEEDS) each
    spread = float((a - b).std(ddof=1))
    table = []
    for label, shift in (("A against A on digits", 0.0), ("the same runs, A shifted by 1 SD", spread)):
        found = [compare_paired({"A": x + shift, "B": y}, [("A", "B")])[0] for x, y in zip(a, b, strict=True)]
        hits = [pair.shown and (not shift or pair.mean > 0) for pair in found]
        naive = (a[:, 0] + shift > b[:, 0]) if shift else (a[:, 0] != b[:, 0])
        table.append(rates(label, hits, naive.tolist()))
    facts = {
        "case": "facts", "runs": len(specs), "mean accuracy": round(float(scores.mean()), 4),
        "SD of an arm": round(float(a.std(ddof=1)), 5), "SD of the paired differences": round(spread, 5),
        "correlation": round(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]), 3),
    }  # fmt: skip
    return [*table, facts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("synthetic", "digits"))
    parser.add_argument("--comparisons", type=int, help="default: 2000 synthetic, 330 on digits")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.what == "synthetic":
        n = args.comparisons or 2000
        table = [*synthetic(n), many_arms(max(300, n // 5))]
    else:
        table = digits(args.comparisons or 330, args.jobs)
    json.dump(table, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
