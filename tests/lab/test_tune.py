"""Tuning: the same trials for every arm, ranges that grow for all alike, test rows out of reach."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glassnet.lab.plan import parse_experiment
from glassnet.lab.spec import Space, TuneSpec
from glassnet.lab.tune import first_points, tune_arms

LR = {"training.lr": Space(low=0.001, high=1.0)}


class Landscape:
    """Stands for training: accuracy is a hill over the learning rate, each arm's at another place."""

    def __init__(self, tops: dict[str, float]) -> None:
        self.tops, self.specs = tops, []

    def __call__(self, specs, task):
        self.specs += specs
        return [Fake(s, -((math.log10(s.training.lr) - self.tops[s.model.activation]) ** 2)) for s in specs]


class Fake:
    def __init__(self, spec, height: float) -> None:
        self.spec, self.height, self.seconds = spec, height, 1.0

    def score(self, metric: str, part: str) -> float:
        assert part == "validation"
        return self.height


@pytest.fixture
def tuned_plan(plan_text):
    return parse_experiment(
        plan_text + '[tune]\ntrials = 7\n[tune.space]\n"training.lr" = {low = 0.001, high = 1.0}\n'
    )


def test_every_arm_gets_the_same_trials_on_validation_rows_with_seeds_of_their_own(tuned_plan) -> None:
    execute = Landscape({"relu": -1.0, "sigmoid": -2.0})
    found = {t.arm: t for t in tune_arms(tuned_plan, execute)}
    assert found["relu"].best == {"training.lr": 0.1}
    assert found["sigmoid"].best == {"training.lr": 0.01}
    lrs = {arm: [trial.values for trial in t.trials] for arm, t in found.items()}
    assert lrs["relu"] == lrs["sigmoid"]
    assert len(lrs["relu"]) == 7
    assert {s.purpose for s in execute.specs} == {"tune"}
    assert not {s.seed for s in execute.specs} & set(tuned_plan.seed_list())
    assert all(not t.at_edge for t in found.values())


def test_an_optimum_beyond_the_edge_extends_the_range_of_all_arms(tuned_plan) -> None:
    found = {t.arm: t for t in tune_arms(tuned_plan, Landscape({"relu": 0.5, "sigmoid": -2.0}))}
    assert found["relu"].best["training.lr"] == pytest.approx(10**0.5, rel=1e-4)
    assert len(found["relu"].trials) == len(found["sigmoid"].trials) == 9
    assert found["relu"].at_edge == ()


def test_an_optimum_out_of_reach_is_marked_as_not_tuned(tuned_plan) -> None:
    found = {t.arm: t for t in tune_arms(tuned_plan, Landscape({"relu": 9.0, "sigmoid": -2.0}))}
    assert found["relu"].at_edge == ("training.lr",)
    assert found["sigmoid"].at_edge == ()
    assert len(found["sigmoid"].trials) == 11


def test_an_arm_s_own_range_is_read_at_the_same_points(plan_text) -> None:
    plan = parse_experiment(
        plan_text + '[tune]\n[tune.space]\n"training.lr" = {low = 0.001, high = 1.0}\n'
        '[tune.space_of.sigmoid]\n"training.lr" = {low = 0.01, high = 10.0}\n'
    )
    found = {t.arm: t for t in tune_arms(plan, Landscape({"relu": -1.0, "sigmoid": 0.0}))}
    assert found["relu"].best == {"training.lr": 0.1}
    assert found["sigmoid"].best == {"training.lr": 1.0}


def test_quasi_random_points_fill_the_square_and_two_settings_make_a_grid() -> None:
    both = {**LR, "training.l2": Space(low=1e-6, high=1e-2)}
    points = first_points(TuneSpec(trials=16, method="quasi-random", space=both))
    assert points.shape == (16, 2)
    assert (np.histogram(points[:, 0], 4, (0, 1))[0] == 4).all()
    grid = first_points(TuneSpec(trials=9, method="grid", space=both))
    assert len(grid) == 9
    assert len({tuple(p) for p in grid.tolist()}) == 9
