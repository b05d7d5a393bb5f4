"""scikit-learn's own tests of its MLP, run from the installed wheel on our classes.

`sklearn.neural_network` holds our two classes while the test module is imported, so that every name and
every parametrised list in it is ours. Nothing is copied.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest
import sklearn.neural_network

import glassnet

# Tests that call what is private in scikit-learn's class and has no counterpart in ours.
PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs with lists of arrays; our gradients are checked in tests/nn",
}


def own_tests() -> ModuleType:
    name = "sklearn.neural_network.tests.test_mlp"
    sys.modules.pop(name, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", glassnet.MLPClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", glassnet.MLPRegressor)
        module = importlib.import_module(name)
    sys.modules.pop(name, None)
    return module


OWN = own_tests()
globals().update(
    {name: test for name, test in vars(OWN).items() if name.startswith("test_") and name not in PRIVATE}
)
# scikit-learn's tests are not written for warnings as errors
pytestmark = pytest.mark.filterwarnings("default", "ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def global_random_seed() -> int:
    return 42


def test_what_is_tested_is_ours() -> None:
    assert OWN.MLPClassifier is glassnet.MLPClassifier
    assert OWN.MLPRegressor is glassnet.MLPRegressor
    assert set(PRIVATE) <= set(vars(OWN))
    assert sum(name.startswith("test_") for name in globals()) > 40
