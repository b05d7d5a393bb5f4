"""Schedules: their values by hand, from progress 0 to 1."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import SCHEDULES, schedule, warm_up

# Values at progress 0, 1/4, 1/2, 3/4 and 1.
EXPECTED = {
    "constant": [1, 1, 1, 1, 1],
    "step": [1, 1, 0.1, 0.01, 0.01],  # drops at 1/3 and 2/3
    "exponential": [1, 0.01**0.25, 0.1, 0.01**0.75, 0.01],
    "inverse": [1, 1 / 3.25, 1 / 5.5, 1 / 7.75, 0.1],  # 1 / (1 + 9 p)
    "linear": [1, 0.75, 0.5, 0.25, 0],
    "cosine": [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0],
    # up from 0.04 as far as 0.3, then down: at 1/2 two sevenths of the way
    "one_cycle": [
        0.04, 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * 0.25 / 0.3)),
        4e-6 + (1 - 4e-6) * 0.5 * (1 + math.cos(math.pi * 2 / 7)),
        4e-6 + (1 - 4e-6) * 0.5 * (1 + math.cos(math.pi * 4.5 / 7)), 4e-6,
    ],
    "coslog4": [0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * p))) for p in (0, 0.25, 0.5, 0.75, 1)],
}  # fmt: skip


def test_every_schedule_has_values_here() -> None:
    assert list(EXPECTED) == list(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_values(name: str) -> None:
    follow = schedule(name)
    np.testing.assert_allclose([follow(p) for p in (0, 0.25, 0.5, 0.75, 1)], EXPECTED[name], atol=1e-12)
    assert all(0 <= follow(p) <= 1 + 1e-12 for p in np.linspace(0, 1, 101))
    assert pickle.loads(pickle.dumps(follow))(0.25) == follow(0.25)


def test_coslog4_has_four_cycles() -> None:
    """Its valleys are where 1 + 15 p is a power of two, each cycle twice as long as the one before."""
    follow = schedule("coslog4")
    assert [round(follow((2.0**k - 1) / 15), 9) for k in range(5)] == [0] * 5
    assert [round(follow((2.0 ** (k + 0.5) - 1) / 15), 9) for k in range(4)] == [1] * 4


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_goes_in_front_of_any(name: str) -> None:
    plain, warm = schedule(name), schedule(name, warm=0.2)
    assert [warm(p) for p in (0.0, 0.1, 0.2)] == pytest.approx([0, 0.5 * plain(0), plain(0)])
    assert [warm(p) for p in (0.6, 1.0)] == pytest.approx([plain(0.5), plain(1.0)])


def test_settings() -> None:
    assert schedule("step", drops=1, factor=0.5)(0.6) == 0.5
    assert schedule("cosine", final=0.2)(1.0) == pytest.approx(0.2)
    assert schedule("one_cycle", peak=0.5)(0.5) == 1
    own = schedule(lambda p: 2 - p)
    assert (own(0), own(1)) == (2, 1)
    assert warm_up(own, 0.0) is own


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("step", {"drops": -1}, "drops must be a whole number of at least 0, not -1"),
        ("step", {"drops": 1.5}, "drops must be a whole number of at least 0, not 1.5"),
        ("one_cycle", {"peak": -1}, r"peak must be in \[0, 1\), not -1"),
        ("one_cycle", {"peak": 1.2}, r"peak must be in \[0, 1\), not 1.2"),
        ("cosine", {"warm": "0.1"}, "share of warm-up must be a number, not '0.1'"),
    ],
)
def test_settings_out_of_their_bounds_are_refused(name: str, settings: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        schedule(name, **settings)
