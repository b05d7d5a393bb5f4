"""Layers: each one is a description, and two short methods that read like the textbook.

Shapes in comments: B rows of the batch, I inputs, O outputs. A layer's parameters are not its own: they are
views of the network's `theta`, and their gradients views of its `grad` (W, b, dW, db ...). To give them other
values, write into them: `layer.W[:] = ...`; with `layer.W = ...` the layer would forget where they are, and
training would change numbers that it no longer uses. What a layer needs for a batch it says in `scratch`;
`reserve` allocates that once, for the largest batch, and `use` makes views of it for a smaller one.
`forward(X)` must not write into X, which may be the user's own data or what another layer still needs;
`backward(dA)` may overwrite dA, and returns dX.

To add a layer: a class, its name in `LAYERS` (nn/save.py) and an example in the table of the gradient checks;
tests fail where one is missing. Copies and pickles keep all its attributes but arrays, and those arrays that
it has when it is built, as what somebody gave it; later ones (scratch, views, the last batch) are made anew.
The search for the first number that is not finite (train/locate.py) looks at scratch arrays named Z, A, Y and
Xn: give one of these names to what `forward` returns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet import kernels
from glassnet.errors import InputError
from glassnet.kernels.room import aligned
from glassnet.nn.activations import Activation, Function
from glassnet.nn.activations import activation as resolve
from glassnet.nn.initializers import Initializer, initializer
from glassnet.nn.numbers import checked
from glassnet.nn.registry import call_text

__all__ = ["Activate", "ActivationSpec", "Dense", "Layer", "Parameter", "Residual"]

Array = npt.NDArray[Any]
ActivationSpec = str | Activation | Function | tuple[Function, Function]


@dataclass(frozen=True)
class Parameter:
    """What a layer wants to have in `theta` (or in `state`): its name, shape, first values and treatment."""

    name: str
    shape: tuple[int, ...]
    start: Callable[[np.random.Generator], Array | float]
    decay: bool = False  # whether penalties, weight decay and the limit of MaxNorm touch it
    lr_factor: float = 1.0


class Layer:
    """Base of all layers: what the network asks of them; the defaults suit a layer without parameters."""

    couples_rows = False  # True if one row's output depends on the other rows of the batch
    draws = False  # True if it needs random numbers in training
    needs_dX = True  # False for a first layer: nobody asks for the gradient of the data
    may_round = False  # True if the network lets factors of products be rounded to bfloat16
    n_in = n_out = 0
    given: frozenset[str] | None = None  # names of the arrays that it had when it was built
    rng: np.random.Generator

    def build(self, n_in: int) -> int:
        """Learn the number of inputs, return the number of outputs."""
        self.n_in = self.n_out = n_in
        return self.n_out

    def children(self) -> Sequence[Layer]:
        return ()

    def parameters(self) -> list[Parameter]:
        """Trained numbers: attributes `name` (view of theta) and `dname` (view of grad) will be set."""
        return []

    def statistics(self) -> list[Parameter]:
        """Numbers that are kept but not trained: attributes `name` (view of state) will be set."""
        return []

    def scratch(self) -> dict[str, tuple[int, ...]]:
        """Arrays for each batch: name -> shape of one row."""
        return {}

    def reserve(self, rows: int, dtype: np.dtype[Any]) -> None:
        """Allocate scratch for batches of up to `rows` rows."""
        self._full = {name: aligned((rows, *shape), dtype) for name, shape in self.scratch().items()}
        for child in self.children():
            child.reserve(rows, dtype)

    def use(self, rows: int) -> None:
        """Set the scratch attributes to views for a batch of exactly `rows` rows."""
        for name, full in self._full.items():
            setattr(self, name, full[:rows])
        for child in self.children():
            child.use(rows)

    def forward(self, X: Array, train: bool) -> Array:
        raise NotImplementedError

    def backward(self, dA: Array) -> Array:
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The arguments that describe this layer, for printing and saving."""
        return {}

    def __repr__(self) -> str:
        return call_text(self, self.settings())

    def __getstate__(self) -> dict[str, Any]:
        """What a layer is (pickling, copying): not its scratch memory, nor views of the network's vectors."""
        arrays = {name for name, value in self.__dict__.items() if isinstance(value, np.ndarray)}
        left_out = {"_full"} | (arrays - self.given if self.given is not None else set())
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.n_in and self.given is None:  # built by hand, or pickled before this was known
            self.given = frozenset()


class Dense(Layer):
    """Z = X W + b, A = f(Z).

    Parameters
    ----------
    units : number of outputs O
    activation : name, function, pair (f, f') or Activation
    bias : whether there is a b, shape (O,)
    init : initialiser of W, or an array (I, O) of first values; None takes the activation's own
    bias_init : first value of b, an array (O,) of them, or a function of (generator, fan_in, fan_out)
    ntk : Z = X W / sqrt(I) + b with W ~ N(0, 1) (Jacot et al. 2018): the step size no longer depends on I
    weight_lr, bias_lr : factors on the learning rate of W and of b

    Attributes
    ----------
    watch : a function that is shown X W of every batch, or None; for whoever wants to see into a network
        (where rows are shared out, it is called by several threads)

    Examples
    --------
    >>> Dense(128, "relu")
    Dense(units=128, activation='relu')
    """

    W: Array
    b: Array
    dW: Array
    db: Array
    Z: Array
    A: Array
    dX: Array
    watch: Callable[[Array], object] | None = None

    def __init__(
        self, units: int, activation: ActivationSpec = "identity", *, bias: bool = True,
        init: str | Initializer | Array | None = None, bias_init: float | Initializer | Array = 0.0,
        ntk: bool = False, weight_lr: float = 1.0, bias_lr: float = 1.0,
    ) -> None:  # fmt: skip
        if not isinstance(units, int | np.integer) or units < 1:
            raise InputError(f"a Dense layer needs a whole number of units, at least 1, not {units!r}")
        self.units, self.f, self.bias = int(units), resolve(activation), bias  # a uint8 would overflow
        self.usual_init = "standard_normal" if ntk else self.f.init
        self.init: Any = self.usual_init if init is None else _first_values("init", init)
        self.bias_init: Any = _first_values("bias_init", bias_init)
        if not isinstance(self.init, np.ndarray):
            initializer(self.init)  # an unknown name is an error here, not at the first use
        if not callable(self.bias_init) and not isinstance(self.bias_init, np.ndarray):
            if isinstance(bias_init, str):
                raise InputError(f"bias_init must be a number, an array or a function, not {bias_init!r}")
            checked("bias_init", self.bias_init)
        if not bias and np.any(self.bias_init != 0.0):
            raise InputError("with bias=False there is no b to begin with bias_init: leave out one of them")
        self.ntk = ntk
        self.weight_lr = checked("weight_lr", weight_lr, "not be negative")
        self.bias_lr = checked("bias_lr", bias_lr, "not be negative")

    def __getstate__(self) -> dict[str, Any]:
        """Nor are the last rows, which may be stored bytes that are no array."""
        return {k: v for k, v in super().__getstate__().items() if k != "X"}

    def build(self, n_in: int) -> int:
        self.n_in, self.n_out = n_in, self.units
        for name, shape in (("init", (n_in, self.units)), ("bias_init", (self.units,))):
            values = getattr(self, name)
            if isinstance(values, np.ndarray) and values.shape != shape:
                raise InputError(f"{name} of {self.units} units has shape {values.shape}, but needs {shape}")
        self.gain = n_in**-0.5 if self.ntk else 1.0  # a NumPy number would make float32 products float64
        return self.n_out

    def parameters(self) -> list[Parameter]:
        I, O = self.n_in, self.n_out  # noqa: E741 (the textbook's letters)

        def start_weights(rng: np.random.Generator) -> Any:
            return self.init if isinstance(self.init, np.ndarray) else initializer(self.init)(rng, I, O)

        def start_bias(rng: np.random.Generator) -> Any:
            return self.bias_init(rng, I, O) if callable(self.bias_init) else self.bias_init

        W = Parameter("W", (I, O), start_weights, True, self.weight_lr)
        return [W, Parameter("b", (O,), start_bias, False, self.bias_lr)] if self.bias else [W]

    def scratch(self) -> dict[str, tuple[int, ...]]:
        wanted: dict[str, tuple[int, ...]] = {"Z": (self.n_out,)}
        if not self.f.from_output:
            wanted["A"] = (self.n_out,)  # f' needs Z, so A must not overwrite it
        if self.needs_dX:
            wanted["dX"] = (self.n_in,)
        return wanted

    def use(self, rows: int) -> None:
        super().use(rows)
        if self.f.from_output:
            self.A = self.Z
        if not self.bias:
            self.b, self.db = np.zeros(self.n_out, self.Z.dtype), np.empty(self.n_out, self.Z.dtype)

    def forward(self, X: Array, train: bool) -> Array:
        self.X = X  # (B, I)
        kernels.product(X, self.W, self.Z, self.may_round)  # (B, O)
        if self.watch is not None:
            self.watch(self.Z)
        if self.ntk:
            self.Z *= self.gain
        kernels.bias_act(self.Z, self.b, self.f, self.A)  # (B, O)
        return self.A

    def backward(self, dA: Array) -> Array:
        kernels.act_grad(
            dA, self.A if self.f.from_output else self.Z, self.f, self.db
        )  # dA is dZ now: (B, O)
        if self.ntk:
            dA *= self.gain
        kernels.product(self.X.T, dA, self.dW, self.may_round)  # (I, O)
        if self.needs_dX:
            kernels.product(dA, self.W.T, self.dX, self.may_round)  # (B, I)
            return self.dX
        return dA

    def settings(self) -> dict[str, Any]:
        told: dict[str, Any] = {"units": self.units, "activation": self.f.name}
        plain = {
            "init": self.usual_init, "bias": True, "bias_init": 0.0, "ntk": False, "weight_lr": 1.0,
            "bias_lr": 1.0,
        }  # fmt: skip
        own = {name: getattr(self, name) for name in plain}
        return told | {k: v for k, v in own.items() if isinstance(v, np.ndarray) or v != plain[k]}


def _first_values(name: str, given: Any) -> Any:
    """An array of numbers if an array or a list of them was given; anything else as it is."""
    if not isinstance(given, np.ndarray | list | tuple):
        return given
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if not np.isfinite(values).all():
        raise InputError(f"{name} must be an array of finite numbers, not {given!r}")
    return values if values.ndim else float(values)


class Activate(Layer):
    """A = f(X): an activation on its own, for behind a normalisation."""

    A: Array
    Z: Array

    def __init__(self, activation: ActivationSpec) -> None:
        self.f = resolve(activation)

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"A": (self.n_in,), "Z": (self.n_in,)}

    def use(self, rows: int) -> None:
        super().use(rows)
        self.none, self.unused = np.zeros(self.n_in, self.A.dtype), np.empty(self.n_in, self.A.dtype)

    def forward(self, X: Array, train: bool) -> Array:
        np.copyto(self.Z, X)  # (B, O)
        kernels.bias_act(self.Z, self.none, self.f, self.A)
        return self.A

    def backward(self, dA: Array) -> Array:
        kernels.act_grad(dA, self.A if self.f.from_output else self.Z, self.f, self.unused)
        return dA  # (B, O)

    def settings(self) -> dict[str, Any]:
        return {"activation": self.f.name}


class Residual(Layer):
    """A = X + g(X), where g is a list of layers with as many outputs as inputs (He et al. 2016).

    A pre-norm bottleneck for 128 inputs, x + W2 f(W1 norm(x) + b1) + b2:

    >>> from glassnet.nn import Dense, Residual, RMSNorm
    >>> Residual(RMSNorm(), Dense(512, "gelu"), Dense(128))
    Residual(RMSNorm(eps=1e-06), Dense(units=512, activation='gelu'), Dense(units=128, activation='identity'))
    """

    Y: Array
    dY: Array

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise InputError("a Residual block needs at least one layer")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise InputError(
                    f"a Residual block takes layers one by one, Residual(RMSNorm(), Dense(5)), not {layer!r}"
                )
        self.layers = [copy.deepcopy(layer) for layer in layers]

    @property
    def couples_rows(self) -> bool:  # type: ignore[override]
        return any(layer.couples_rows for layer in self.layers)

    def build(self, n_in: int) -> int:
        self.n_in = width = n_in
        for layer in self.layers:
            width = layer.build(width)
        if width != n_in:
            raise InputError(
                f"a Residual block must end as wide as it starts: {n_in} inputs, {width} outputs"
            )
        self.n_out = n_in
        return n_in

    def children(self) -> Sequence[Layer]:
        return self.layers

    def scratch(self) -> dict[str, tuple[int, ...]]:
        return {"Y": (self.n_in,), "dY": (self.n_in,)}

    def forward(self, X: Array, train: bool) -> Array:
        A = X
        for layer in self.layers:
            A = layer.forward(A, train)
        return np.add(X, A, out=self.Y)  # (B, O)

    def backward(self, dA: Array) -> Array:
        np.copyto(self.dY, dA)  # the inner layers overwrite theirs; the outer path keeps dA
        dG = self.dY
        for layer in reversed(self.layers):
            dG = layer.backward(dG)
        dA += dG
        return dA  # (B, I)

    def __repr__(self) -> str:
        return f"Residual({', '.join(map(repr, self.layers))})"
