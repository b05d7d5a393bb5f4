"""Optimizers: what to do with a gradient. Each is one fused pass over the flat vector `theta`.

In the formulas g is the gradient, lr the learning rate, t the number of the step from 1, and all
operations are element by element. `weight_decay` is decoupled everywhere (Loshchilov & Hutter 2019):
theta shrinks by the factor 1 - lr * weight_decay, weights only, never biases or norms.

To add one: a class with `moments`, its name in `OPTIMIZERS`, and `update`; or, if its pass over theta is one
of the kernels, the `kernel`'s name and the `numbers` that it takes. What changes from step to step must be
one of the `moments`, or follow from the number of the step, `self.t`: a checkpoint keeps these (and `lr`) and
nothing else, and only these begin anew with the next fit. A counter of its own would simply go on counting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.kernels.room import LINE, aligned
from glassnet.nn.network import Network
from glassnet.nn.numbers import checked
from glassnet.nn.registry import call_text, entry, refuse_class, refuse_settings

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "optimizer",
]

Array = npt.NDArray[Any]


class Optimizer:
    """Base of all optimizers: keeps the moments, walks over the segments of theta.

    Parameters
    ----------
    lr : learning rate, > 0; a schedule multiplies it
    weight_decay : decoupled decay of the weights, >= 0
    """

    moments: ClassVar[tuple[str, ...]] = ()  # names of the vectors it keeps, as long as theta
    kernel: ClassVar[str] = ""  # the pass over theta in `kernels` that `update` is, unless it says otherwise

    def __init__(self, lr: float, weight_decay: float = 0.0) -> None:
        number = isinstance(lr, int | float | np.integer | np.floating) and not isinstance(lr, bool)
        if not (number and 0 < lr < math.inf):
            raise InputError(f"the learning rate must be a positive number, not {lr!r}")
        self.lr, self.weight_decay = lr, checked("weight_decay", weight_decay, "not be negative")
        self.t = 0

    def start(self, network: Network) -> None:
        """Begin with this network: step count and moments at zero."""
        self.t = 0
        n = len(network.theta)
        length = n + -n % LINE  # so that each of them begins a cache line
        moments = aligned((len(self.moments), length), network.dtype, zeros=True)
        self._vectors = network.theta, network.grad, moments
        self.state = dict(zip(self.moments, moments[:, :n], strict=True))
        self._bind(network)

    def _bind(self, network: Network) -> None:
        """Views for each segment; segments that this optimizer treats alike are joined."""
        stretches: list[tuple[slice, float, float]] = []
        for where, decays, factor in network.segments:
            decay = self.weight_decay if decays else 0.0
            if stretches and stretches[-1][1:] == (factor, decay):
                where = slice(stretches.pop()[0].start, where.stop)
            stretches.append((where, factor, decay))
        self._stretches = np.array([(where.start, where.stop) for where, *_ in stretches])
        self._parts = [
            (network.theta[w], network.grad[w], [self.state[m][w] for m in self.moments], factor, decay)
            for w, factor, decay in stretches
        ]

    def step(self, factor: float = 1.0) -> None:
        """One update of theta from grad, with the learning rate lr * factor."""
        self.t += 1
        for theta, grad, moments, lr_factor, weight_decay in self._parts:
            lr = self.lr * factor * lr_factor
            self.update(theta, grad, moments, lr, lr * weight_decay)

    def plan(self, factors: Sequence[float]) -> tuple[Array, ...]:
        """The next steps, for one kernel that takes them all; who has done some of them counts them in t.

        Parameters
        ----------
        factors : on the learning rate, one for each step

        Returns
        -------
        theta and grad (P,), the moments (M, P or a few more), start and stop (S, 2) of the stretches of
        them that are treated alike, and `numbers` of each step and stretch, (steps, S, N)
        """
        rows = []
        for t, factor in enumerate(factors, self.t + 1):
            for *_, lr_factor, weight_decay in self._parts:
                lr = self.lr * factor * lr_factor
                rows.append(self.numbers(t, lr, lr * weight_decay))
        numbers = np.array(rows, np.float64).reshape(len(factors), len(self._parts), -1)
        return (*self._vectors, self._stretches, numbers)

    def update(self, theta: Array, grad: Array, moments: list[Array], lr: float, decay: float) -> None:
        """One pass over a stretch of theta; decay is lr * weight_decay."""
        getattr(kernels, self.kernel)(theta, grad, *moments, *self.numbers(self.t, lr, decay))

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        """What its kernel takes in step t, after theta, grad and the moments: of these three alone."""
        raise NotImplementedError

    def restore(self, network: Network, t: int, state: dict[str, Array]) -> None:
        """Go on where a checkpoint was made."""
        self.start(network)
        self.t = t
        for name in self.moments:
            self.state[name][:] = state[name]

    def settings(self) -> dict[str, Any]:
        """The arguments it was made with."""
        return {k: v for k, v in vars(self).items() if k not in ("t", "state") and not k.startswith("_")}

    def __repr__(self) -> str:
        return call_text(self, self.settings())

    def __getstate__(self) -> dict[str, Any]:
        made_by_start = ("_parts", "_stretches", "_vectors")
        return {k: v for k, v in self.__dict__.items() if k not in made_by_start}


class SGD(Optimizer):
    """theta -= lr g (Robbins & Monro 1951).

    >>> from glassnet.nn import Dense
    >>> net = Network([Dense(1, init="zeros")], 1, "squared", dtype="float64")
    >>> sgd = SGD(lr=0.1)
    >>> sgd.start(net)
    >>> net.grad[:] = [1.0, -2.0]
    >>> sgd.step()
    >>> net.theta.tolist()
    [-0.1, 0.2]
    """

    kernel = "sgd"

    def __init__(self, lr: float = 0.01, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        return lr, decay


class Momentum(Optimizer):
    """v = mu v - lr g; theta += v (Polyak 1964)."""

    moments = ("velocity",)
    kernel = "momentum"
    nesterov: ClassVar[bool] = False

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.momentum = checked("momentum", momentum, "be in [0, 1)")

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        return lr, self.momentum, self.nesterov, decay


class Nesterov(Momentum):
    """v = mu v - lr g; theta += mu v - lr g (Nesterov 1983, in Sutskever et al.'s form 2013)."""

    nesterov = True


class Adagrad(Optimizer):
    """s += g²; theta -= lr g / (sqrt(s) + eps) (Duchi et al. 2011)."""

    moments = ("squares",)
    kernel = "adagrad"

    def __init__(self, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.eps = checked("eps", eps, "not be negative")

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        return lr, self.eps, decay


class RMSProp(Optimizer):
    """s = rho s + (1 - rho) g²; theta -= lr g / (sqrt(s) + eps) (Hinton, lecture 6e, 2012)."""

    moments = ("squares",)
    kernel = "rmsprop"

    def __init__(
        self, lr: float = 0.001, rho: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.rho = checked("rho", rho, "be in [0, 1)")
        self.eps = checked("eps", eps, "not be negative")

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        return lr, self.rho, self.eps, decay


class Adam(Optimizer):
    """m, v: moving means of g, g²; theta -= lr mhat / (sqrt(vhat) + eps) (Kingma & Ba 2015).

    m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g² start at zero, which
    mhat = m / (1 - beta1^t), vhat = v / (1 - beta2^t) correct: t advances with every step.
    """

    moments = ("mean", "square")
    kernel = "adam"

    def __init__(
        self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(lr, weight_decay)
        self.beta1 = checked("beta1", beta1, "be in [0, 1)")
        self.beta2 = checked("beta2", beta2, "be in [0, 1)")
        self.eps = checked("eps", eps, "not be negative")

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        c1, c2 = 1.0 - self.beta1**t, 1.0 - self.beta2**t
        return lr, self.beta1, self.beta2, self.eps, c1, c2, decay


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 unless told otherwise (Loshchilov & Hutter 2019)."""

    def __init__(
        self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(lr, beta1, beta2, eps, weight_decay)


class RAdam(Adam):
    """Adam that waits for its second moment to be trustworthy (Liu et al. 2020).

    rho = r - 2 t beta2^t / (1 - beta2^t) with r = 2 / (1 - beta2) - 1. While rho <= 5: theta -= lr mhat.
    After that Adam's step times sqrt((rho - 4)(rho - 2) r / ((r - 4)(r - 2) rho)).
    """

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        c1, c2 = 1.0 - self.beta1**t, 1.0 - self.beta2**t
        r = 2.0 / (1.0 - self.beta2) - 1.0
        rho = r - 2.0 * t * (1.0 - c2) / c2
        if rho > 5:
            lr *= math.sqrt((rho - 4) * (rho - 2) * r / ((r - 4) * (r - 2) * rho))
        else:
            c2 = math.inf
        return lr, self.beta1, self.beta2, self.eps, c1, c2, decay


class NAdam(Adam):
    """Adam with Nesterov's look-ahead (Dozat 2016).

    With mu_t = beta1 (1 - 0.5 * 0.96^(0.004 t)) and M_t = mu_1 ... mu_t:
    theta -= lr (mu_{t+1} m / (1 - M_{t+1}) + (1 - mu_t) g / (1 - M_t)) / (sqrt(vhat) + eps).
    """

    kernel = "nadam"

    def _mu(self, t: int) -> float:
        return float(self.beta1 * (1.0 - 0.5 * 0.96 ** (0.004 * t)))

    def start(self, network: Network) -> None:
        super().start(network)
        self._product, self._product_t = 1.0, 0

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        if self._product_t > t:  # a step that was planned, and not done
            self._product, self._product_t = 1.0, 0
        while self._product_t < t:  # once a step, also after `restore`; not once a segment
            self._product_t += 1
            self._product *= self._mu(self._product_t)
        now, ahead = self._mu(t), self._mu(t + 1)
        cm, cg = ahead / (1.0 - self._product * ahead), (1.0 - now) / (1.0 - self._product)
        c2 = 1.0 - self.beta2**t
        return lr, self.beta1, self.beta2, self.eps, cm, cg, c2, decay


class Lion(Optimizer):
    """theta -= lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g (Chen et al. 2023)."""

    moments = ("mean",)
    kernel = "lion"

    def __init__(
        self, lr: float = 1e-4, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.beta1 = checked("beta1", beta1, "be in [0, 1)")
        self.beta2 = checked("beta2", beta2, "be in [0, 1)")

    def numbers(self, t: int, lr: float, decay: float) -> tuple[float, ...]:
        return lr, self.beta1, self.beta2, decay


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "radam": RAdam,
    "lion": Lion,
}


def optimizer(spec: str | Optimizer, **settings: Any) -> Optimizer:
    """The optimizer of that name with its settings, or the Optimizer itself.

    >>> optimizer("momentum", lr=0.1)
    Momentum(lr=0.1, weight_decay=0.0, momentum=0.9)
    """
    if isinstance(spec, Optimizer):
        refuse_settings("optimizer", spec, settings)
        return spec
    refuse_class("optimizer", spec, Optimizer)
    if spec in ("lbfgs", "l-bfgs"):
        raise InputError(f"{spec!r} looks at all rows at once and sets its own steps: train with fit_lbfgs")
    return entry("optimizer", OPTIMIZERS, spec, settings)(**settings)
