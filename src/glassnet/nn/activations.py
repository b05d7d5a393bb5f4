"""Activations: a record of f, its derivative, and the gain its initialisation needs.

To add one: a record here, its scalar twin in `kernels/scalars.py`; the tests find both by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError, unknown_name

__all__ = ["ACTIVATIONS", "Activation", "activation", "custom"]

Array = npt.NDArray[Any]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """A = f(Z), element by element.

    Parameters
    ----------
    name : its name in `ACTIVATIONS`
    f : Z -> A, any shape
    df : f' of the *output* A where `from_output`, else of Z (which the layer then keeps)
    from_output : whether df takes A
    init : name of the initialiser that keeps the signal's size through this activation
    """

    name: str
    f: Function
    df: Function
    from_output: bool
    init: str = "he_normal"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle built-in records by name (their functions may be lambdas)."""
        if ACTIVATIONS.get(self.name) is self:
            return activation, (self.name,)
        return Activation, (self.name, self.f, self.df, self.from_output, self.init)


def _sigmoid(Z: Array) -> Array:
    e = np.exp(-np.abs(Z))  # never overflows
    return np.asarray(np.where(Z >= 0, 1.0, e) / (1.0 + e))


def _gelu_cdf(Z: Array) -> Array:
    from scipy.special import erf

    return np.asarray(0.5 * (1.0 + erf(Z * 0.7071067811865476)))


_C = 0.7978845608028654  # sqrt(2 / pi)


def _gelu_tanh_inner(Z: Array) -> Array:
    return np.tanh(_C * (Z + 0.044715 * Z**3))


def _gelu_tanh_df(Z: Array) -> Array:
    T = _gelu_tanh_inner(Z)
    return np.asarray(0.5 * (1 + T) + 0.5 * Z * (1 - T * T) * _C * (1 + 3 * 0.044715 * Z * Z))


def _silu_df(Z: Array) -> Array:
    S = _sigmoid(Z)
    return np.asarray(S * (1 + Z * (1 - S)))


def _softplus(Z: Array) -> Array:
    return np.logaddexp(0, Z)


def _mish_df(Z: Array) -> Array:
    T = np.tanh(_softplus(Z))
    return np.asarray(T + Z * (1 - T * T) * _sigmoid(Z))


_LAMBDA, _ALPHA = 1.0507009873554805, 1.6732632423543772  # SELU's fixed point

#: Every activation by name. Sources: He et al. 2015 (relu's gain), Clevert et al. 2016 (elu), Klambauer
#: et al. 2017 (selu), Hendrycks & Gimpel 2016 (gelu, silu), Misra 2019 (mish), Howard et al. 2019
#: (hard_swish).
ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("identity", lambda Z: Z, np.ones_like, True, "xavier_normal"),
        Activation("relu", lambda Z: np.maximum(Z, 0), lambda A: (A > 0).astype(A.dtype), True),
        Activation(
            "leaky_relu", lambda Z: np.where(Z > 0, Z, 0.01 * Z), lambda A: np.where(A > 0, 1.0, 0.01), True
        ),
        Activation(
            "elu",
            lambda Z: np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0))),
            lambda A: np.where(A > 0, 1, A + 1),
            True,
        ),
        Activation(
            "selu",
            lambda Z: _LAMBDA * np.where(Z > 0, Z, _ALPHA * np.expm1(np.minimum(Z, 0))),
            lambda A: np.where(A > 0, _LAMBDA, A + _LAMBDA * _ALPHA),
            True,
            "lecun_normal",
        ),
        Activation("sigmoid", _sigmoid, lambda A: A * (1 - A), True, "xavier_normal"),
        Activation("tanh", np.tanh, lambda A: 1 - A * A, True, "xavier_normal"),
        Activation("softplus", _softplus, lambda A: -np.expm1(-A), True),
        Activation(
            "gelu",
            lambda Z: Z * _gelu_cdf(Z),
            lambda Z: _gelu_cdf(Z) + Z * np.exp(-0.5 * Z * Z) * 0.3989422804014327,
            False,
        ),
        Activation("gelu_tanh", lambda Z: 0.5 * Z * (1 + _gelu_tanh_inner(Z)), _gelu_tanh_df, False),
        Activation("silu", lambda Z: Z * _sigmoid(Z), _silu_df, False),
        Activation("mish", lambda Z: Z * np.tanh(_softplus(Z)), _mish_df, False),
        Activation(
            "hard_sigmoid",
            lambda Z: np.clip(Z / 6 + 0.5, 0, 1),
            lambda A: np.where((A > 0) & (A < 1), 1 / 6, 0.0),
            True,
            "xavier_normal",
        ),
        Activation(
            "hard_tanh",
            lambda Z: np.clip(Z, -1, 1),
            lambda A: ((A > -1) & (A < 1)).astype(A.dtype),
            True,
            "xavier_normal",
        ),
        Activation(
            "hard_swish",
            lambda Z: Z * np.clip(Z / 6 + 0.5, 0, 1),
            lambda Z: np.where(Z <= -3, 0.0, np.where(Z >= 3, 1.0, Z / 3 + 0.5)),
            False,
        ),
    )
}


#: What people look for among the activations, and where it is.
_ELSEWHERE = {
    "softmax": "leave the last layer linear, the loss 'softmax_cross_entropy' has the softmax in it",
    "prelu": "it has trained slopes, so it is a layer: Dense(n), PReLU()",
    "linear": "it is called 'identity'",
}


def activation(spec: str | Activation | Function | tuple[Function, Function]) -> Activation:
    """The activation of that name, or one made of a function alone or of a pair (f, f').

    Parameters
    ----------
    spec : a name in `ACTIVATIONS`; an Activation; a function of arrays (its derivative is taken
        numerically); or a pair (f, f') with f' a function of Z, checked against f

    Raises
    ------
    InputError : unknown name, or a derivative that is not f's

    Examples
    --------
    >>> activation("relu").init
    'he_normal'
    >>> import numpy as np
    >>> square = activation((np.square, lambda Z: 2 * Z))
    >>> square.df(np.array([3.0])).tolist()
    [6.0]
    >>> activation((np.square, lambda Z: 3 * Z))
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: the derivative of activation 'square' is wrong: at z = ...
    """
    if isinstance(spec, Activation):
        return spec if spec in ACTIVATIONS.values() else _checked(spec)
    if isinstance(spec, str):
        if spec in _ELSEWHERE:
            raise InputError(f"{spec!r} is no activation: {_ELSEWHERE[spec]}")
        if spec not in ACTIVATIONS:
            raise unknown_name("activation", spec, ACTIVATIONS)
        return ACTIVATIONS[spec]
    if callable(spec):
        return custom(spec)
    if isinstance(spec, tuple) and len(spec) == 2 and callable(spec[0]) and callable(spec[1]):
        return custom(*spec)
    raise InputError(f"an activation is a name, a function or a pair (f, f'), not {spec!r}")


def _numeric_derivative(f: Function, Z: Array, h: float) -> Array:
    return np.asarray((np.asarray(f(Z + h)) - np.asarray(f(Z - h))) / (2 * h))


@dataclass(frozen=True)
class _NumericDerivative:
    """f' by centred differences in float64; a class, so that networks with it can be pickled."""

    f: Function

    def __call__(self, Z: Array) -> Array:
        return _numeric_derivative(self.f, Z.astype(np.float64), 1e-5)


def custom(f: Function, df: Function | None = None, *, init: str = "he_normal") -> Activation:
    """Somebody's own activation: f of arrays, element by element, with f' of Z or without.

    Raises
    ------
    InputError : f changes the shape or its argument, gives a coarser type than it is given, mixes the numbers
        of an array, gives no finite numbers on [-4, 4], or df is not its derivative
    """
    label = getattr(f, "__name__", type(f).__name__)
    return _checked(Activation(f"custom {label}", f, df or _NumericDerivative(f), False, init))


def _checked(activation: Activation) -> Activation:
    """The activation itself, if it works element by element and its derivative is right."""
    f, label = activation.f, activation.name.removeprefix("custom ")
    if activation.name in ACTIVATIONS:
        raise InputError(f"there is an activation {label!r} already: give yours another name")
    Z = np.linspace(-4.0, 4.0, 81).reshape(9, 9) + 0.003  # off the places where f may have a kink
    given = Z.copy()
    try:
        A = np.array(f(given))  # a copy, in case f gives back what it was given
        of_some, of_column = np.asarray(f(Z[:4, :5].copy())), np.asarray(f(Z.reshape(-1, 1).copy()))
    except Exception as error:
        raise InputError(f"activation {label!r} fails on an array of shape {Z.shape}: {error}") from error
    if A.shape != Z.shape:
        raise InputError(f"activation {label!r} must keep the shape: it turned {Z.shape} into {A.shape}")
    if not np.array_equal(given, Z):
        raise InputError(f"activation {label!r} must not change the array it is given")
    if A.dtype.kind == "f" and A.dtype.itemsize < Z.dtype.itemsize:
        raise InputError(
            f"activation {label!r} must keep the type it is given: it turned {Z.dtype} into {A.dtype}"
        )
    if not np.isfinite(A).all():
        bad = float(Z[~np.isfinite(A)][0])
        raise InputError(f"activation {label!r} is not finite at z = {bad:.2f}")
    if not (np.allclose(of_some, A[:4, :5]) and np.allclose(of_column.ravel(), A.ravel())):
        raise InputError(f"activation {label!r} must work on each number alone, but its neighbours matter")
    for place in (Z, np.array([[-100.0, -30.0], [30.0, 100.0]]) + 0.003):  # far from 0 f' may overflow
        _check_derivative(activation, label, place)
    return activation


def _check_derivative(activation: Activation, label: str, Z: Array) -> None:
    """Compare f' with difference quotients of f, where these are finite."""
    far = float(np.abs(Z).max()) > 4.1
    with np.errstate(all="ignore" if far else None):
        try:
            A = np.asarray(activation.f(Z.copy()))
            measured = _numeric_derivative(activation.f, Z, 3e-6)  # another step than a numeric f' has
        except Exception as error:
            raise InputError(f"activation {label!r} fails at z = {float(Z.flat[0]):.0f}: {error}") from error
        S = A if activation.from_output else Z
        try:
            claimed = np.broadcast_to(np.asarray(activation.df(S.copy())), Z.shape)
        except Exception as error:
            raise InputError(
                f"the derivative of activation {label!r} fails on an array of shape {Z.shape}, or gives "
                f"another shape: {error}"
            ) from error
        tolerance = (1e-4 if far else 1e-5) * (1 + np.abs(measured)) + 1e-9 * far * np.abs(A)
        wrong = ~(np.abs(claimed - measured) <= tolerance)  # NaN counts as wrong
    if far:
        wrong &= np.isfinite(measured)
    if wrong.any():
        z, c, m = float(Z[wrong][0]), float(claimed[wrong][0]), float(measured[wrong][0])
        if isinstance(activation.df, _NumericDerivative):
            raise InputError(
                f"activation {label!r} has no certain derivative: at z = {z:.2f} it changes by {c:.4g} or by "
                f"{m:.4g}, as the step is; it must be smooth, and keep the type it is given in all its work"
            )
        raise InputError(
            f"the derivative of activation {label!r} is wrong: at z = {z:.2f} it gives {c:.4g}, "
            f"but f changes by {m:.4g}; f' must be a function of {'f(z)' if activation.from_output else 'z'}"
        )
