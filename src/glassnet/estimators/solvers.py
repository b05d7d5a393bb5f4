"""scikit-learn's solvers as optimizers of the engine, and the choice of one from the parameters."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from typing import Any

from glassnet.nn.optimizers import OPTIMIZERS, Adam, Optimizer

__all__ = ["SOLVERS", "ScikitAdam", "ScikitSGD", "make_solver", "warn_of_unused"]

#: every solver that takes steps batch by batch ("lbfgs" does not)
SOLVERS = frozenset(OPTIMIZERS)
#: parameters of scikit-learn's that are of one solver or another, with its defaults
DEFAULTS = {
    "learning_rate": "constant", "learning_rate_init": 0.001, "power_t": 0.5, "momentum": 0.9,
    "nesterovs_momentum": True, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "max_fun": 15000,
}  # fmt: skip
#: parameter of an estimator -> setting of an optimizer
SETTINGS = {"momentum": "momentum", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}


class ScikitAdam(Adam):
    """Adam with eps where scikit-learn has it: theta -= lr sqrt(c2) / c1 m / (sqrt(v) + eps).

    c1 = 1 - beta1^t and c2 = 1 - beta2^t. Kingma & Ba (2015, end of section 2) call this eps "epsilon hat";
    it is the textbook's eps divided by sqrt(c2).
    """

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        c1, c2 = 1.0 - self.beta1**t, 1.0 - self.beta2**t
        eps = self.eps / math.sqrt(c2)
        return lr, self.beta1, self.beta2, eps, c1, c2, decay

    @property
    def learning_rate(self) -> float:
        """The present learning rate, under the name that scikit-learn's own optimizers give it."""
        return self.lr


class ScikitSGD(Optimizer):
    """v = mu v - lr g; theta += v, or with Nesterov's look-ahead theta += mu v - lr g. mu may be 1.

    The learning rate is set anew after each epoch by the rule "invscaling" or "adaptive".
    """

    moments = ("velocity",)
    kernel = "momentum"

    def __init__(self, lr: float, momentum: float, nesterov: bool, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.momentum, self.nesterov, self.first_lr = momentum, nesterov, lr

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        return lr, self.momentum, self.nesterov, decay

    @property
    def learning_rate(self) -> float:
        """The present learning rate, under the name that scikit-learn's own optimizers give it."""
        return self.lr


def make_solver(estimator: Any) -> Optimizer:
    """The optimizer that an estimator's parameters describe, not yet started."""
    e = estimator
    if isinstance(e.solver, Optimizer):
        return copy.deepcopy(e.solver)  # a parameter stays as the user made it
    settings: dict[str, Any] = {"lr": e.learning_rate_init}
    if e.weight_decay is not None:
        settings["weight_decay"] = e.weight_decay
    if e.solver == "sgd":
        return ScikitSGD(momentum=e.momentum, nesterov=e.nesterovs_momentum, **settings)
    # a default of scikit-learn's is not one of every optimizer: Lion's beta2 is 0.99
    settings |= {SETTINGS[name]: getattr(e, name) for name in _changed(e) if name in _taken(e.solver)}
    return (ScikitAdam if e.solver == "adam" else OPTIMIZERS[e.solver])(**settings)


def warn_of_unused(estimator: Any) -> None:
    """Tell of parameters that were changed although the solver has no use for them.

    With scikit-learn's own solvers it is silent, as scikit-learn is: a search over solvers may go on.
    """
    solver = estimator.solver
    if isinstance(solver, str) and solver in ("adam", "sgd", "lbfgs"):
        return
    used = set() if isinstance(solver, Optimizer) else {"learning_rate_init", *_taken(solver)}
    unused = [name for name in _changed(estimator) if name not in used]
    if unused:
        warnings.warn(
            f"solver={solver!r} has no use for {', '.join(unused)}: leave {'them' if unused[1:] else 'it'} "
            f"out{', and give the Optimizer its own settings' if isinstance(solver, Optimizer) else ''}",
            UserWarning, stacklevel=5,
        )  # fmt: skip


def _changed(e: Any) -> list[str]:
    """Which of these parameters do not have scikit-learn's default."""
    return [name for name, default in DEFAULTS.items() if getattr(e, name) != default]


def _taken(solver: str) -> list[str]:
    """Which parameters are settings of this optimizer's."""
    own = inspect.signature(OPTIMIZERS[solver]).parameters
    return [name for name, setting in SETTINGS.items() if setting in own]
