"""Which parameters reach the optimizer of a solver, and which ones are told to be of no use."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris

from glassnet import MLPClassifier, MLPRegressor, nn
from glassnet.estimators.solvers import DEFAULTS, SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
OTHER = {
    "learning_rate": "adaptive", "learning_rate_init": 0.01, "power_t": 0.4, "momentum": 0.8,
    "nesterovs_momentum": False, "beta_1": 0.8, "beta_2": 0.98, "epsilon": 1e-3, "max_fun": 100,
}  # fmt: skip
OF_ADAM = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
#: solver -> parameter -> setting of its optimizer; all others are of no use to it
REACH = {
    "momentum": {"momentum": "momentum"}, "nesterov": {"momentum": "momentum"},
    "adagrad": {"epsilon": "eps"}, "rmsprop": {"epsilon": "eps"},
    "adamw": OF_ADAM, "nadam": OF_ADAM, "radam": OF_ADAM,
    "lion": {"beta_1": "beta1", "beta_2": "beta2"},
}  # fmt: skip
ALL = [(solver, name) for solver in sorted(REACH) for name in OTHER]


def fitted(**settings: object) -> MLPClassifier:
    return MLPClassifier((3,), max_iter=2, random_state=0, **settings).fit(X, Y)


def of_no_use(told: pytest.WarningsRecorder) -> list[warnings.WarningMessage]:
    """The others are of training that has not converged."""
    return [warning for warning in told if "has no use for" in str(warning.message)]


def test_every_solver_and_every_parameter_is_looked_at() -> None:
    assert set(REACH) | {"adam", "sgd"} == SOLVERS
    for kind in (MLPClassifier, MLPRegressor):
        given = inspect.signature(kind).parameters
        assert {name: given[name].default for name in OTHER} == DEFAULTS


@pytest.mark.parametrize(("solver", "name"), ALL)
def test_a_parameter_reaches_the_optimizer_or_is_told_to_be_of_no_use(solver: str, name: str) -> None:
    reach = REACH[solver] | {"learning_rate_init": "lr"}
    if name in reach:
        own = fitted(solver=solver, **{name: OTHER[name]})._optimizer
        assert getattr(own, reach[name]) == OTHER[name]
    else:
        with pytest.warns(
            UserWarning, match=f"solver='{solver}' has no use for {name}: leave it out"
        ) as told:
            fitted(solver=solver, **{name: OTHER[name]})
        assert [warning.filename for warning in of_no_use(told)] == [__file__]


@pytest.mark.parametrize("solver", sorted(REACH))
def test_an_optimizers_own_defaults_stand(solver: str) -> None:
    own = nn.OPTIMIZERS[solver](lr=0.001)
    assert fitted(solver=solver)._optimizer.settings() == own.settings()


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_with_scikit_learns_solvers_it_is_as_silent_as_scikit_learn(solver: str) -> None:
    fitted(solver=solver, **OTHER)


def test_an_optimizer_brings_all_its_settings() -> None:
    with pytest.warns(
        UserWarning, match=r"solver=Lion\(.* for learning_rate_init, beta_2: leave them out, and"
    ):
        fitted(solver=nn.Lion(lr=0.01), learning_rate_init=0.1, beta_2=0.9)


def test_it_is_told_once_a_training() -> None:
    with pytest.warns(UserWarning, match="no use for power_t") as told:
        fitted(solver="lion", power_t=0.3, n_ensemble=3)
    assert len(of_no_use(told)) == 1
    clf = MLPClassifier((3,), solver="lion", power_t=0.3)
    with pytest.warns(UserWarning, match="no use for power_t"):
        clf.partial_fit(X, Y, classes=np.unique(Y))
    with warnings.catch_warnings(action="error"):
        clf.partial_fit(X, Y)
