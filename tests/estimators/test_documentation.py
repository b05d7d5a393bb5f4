"""The page "Coming from scikit-learn": its examples run, and its table names every parameter."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

from glassnet import MLPClassifier, MLPRegressor

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-scikit-learn.md").read_text()
REQUESTS = ("9113", "6175", "10097", "11952", "14807", "18507", "18748", "24411", "6091", "13656", "12505")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_examples_print_what_they_say() -> None:
    blocks = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "coming-from-scikit-learn", None, None)
    assert len(test.examples) > 40
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert said == []


def test_the_table_has_every_parameter_of_both_estimators() -> None:
    for kind, other in ((MLPClassifier, "regressor"), (MLPRegressor, "classifier")):
        named = re.findall(r"^\| `(\w+)`(?: \((\w+)\))? \|", PAGE, re.MULTILINE)
        described = [name for name, only in named if only != other]
        assert sorted(described) == sorted(inspect.signature(kind).parameters)


def test_every_request_has_its_example() -> None:
    asked = PAGE.split("## What users have asked for")[1].split("## And more")[0]
    sections = asked.split("\n### ")[1:]
    found = {number: section for section in sections for number in re.findall(r"\[#(\d+)\]", section)}
    assert set(found) == set(REQUESTS)
    assert all("```pycon" in section for section in found.values())
