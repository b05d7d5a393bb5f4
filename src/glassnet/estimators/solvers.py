"""scikit-learn's solvers as optimizers of the engine, and the choice of one from the parameters."""

from __future__ import annotations

import copy
import math
from typing import Any

from glassnet.nn.optimizers import OPTIMIZERS, Adam, Optimizer

__all__ = ["SOLVERS", "ScikitAdam", "ScikitSGD", "make_solver"]

#: every solver that takes steps batch by batch ("lbfgs" does not)
SOLVERS = frozenset(OPTIMIZERS)


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
    if e.solver in ("adam", "adamw", "nadam", "radam"):
        settings |= {"beta1": e.beta_1, "beta2": e.beta_2, "eps": e.epsilon}
    if e.solver in ("momentum", "nesterov"):
        settings["momentum"] = e.momentum
    return (ScikitAdam if e.solver == "adam" else OPTIMIZERS[e.solver])(**settings)
