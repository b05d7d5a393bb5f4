"""Activations of one number, for the compiled kernels: f(z), and f' of the output or of z.

Plain Python functions that Numba inlines into its loops. `const(z, c)` is the number c in z's own
precision: a bare literal would silently turn a float32 loop into a float64 one. `exp` for float32 is a
polynomial that LLVM can vectorise (a call into libm cannot be: 46 us instead of 3 us for 32 x 128 sigmoids).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

__all__ = ["ROOT", "SCALARS", "SIGNAL", "Scalar", "const", "exp", "flushed"]


def const(z: Any, c: Any) -> Any:
    return c


@overload(const)
def _const(z: Any, c: Any) -> Any:
    precision = np.float32 if z == types.float32 else np.float64

    def cast(z: Any, c: Any) -> Any:  # annotated like `const`: Numba compares the signatures
        return precision(c)

    return cast


def exp(z: Any) -> Any:
    return math.exp(z)


@overload(exp)
def _exp(z: Any) -> Any:
    if z != types.float32:

        def exp64(z: Any) -> Any:
            return math.exp(z)

        return exp64

    # Cephes expf: z = n ln 2 + r, exp(r) by a polynomial, 2^n by writing the exponent bits.
    log2e, ln2_high, ln2_low = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
    p0, p1, p2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
    p3, p4, p5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
    low, high, half, one = np.float32(-87.3), np.float32(88.37), np.float32(0.5), np.float32(1)
    zero, infinite = np.float32(0), np.float32(np.inf)

    def exp32(z: Any) -> Any:
        n = np.floor(min(max(z, low), high) * log2e + half)
        r = z - n * ln2_high - n * ln2_low  # of z itself, so that NaN stays NaN
        y = (((((p0 * r + p1) * r + p2) * r + p3) * r + p4) * r + p5) * r * r + r + one
        power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
        rounded = zero if z < low else y * power.view(np.float32)  # 0, never a denormal
        return infinite if z > high else rounded

    return exp32


@register_jitable
def flushed(z: Any, least: Any) -> Any:
    """z, or 0 where |z| < least: denormal numbers cost hundreds of cycles each, in BLAS too.

    With the moments of dead units an epoch of Adam took 12 s instead of 1; with saturated sigmoids 95 s.
    """
    return z if not abs(z) < const(z, least) else const(z, 0.0)


#: a signal below this is lost beside any other; its products with pixels and weights stay normal
SIGNAL = 1e-30
#: the square of anything above this is a normal float32; next to an optimizer's eps it is nothing
ROOT = 1e-18


def tanh(z: Any) -> Any:
    return math.tanh(z)


@overload(tanh)
def _tanh(z: Any) -> Any:
    if z != types.float32:

        def tanh64(z: Any) -> Any:
            return math.tanh(z)

        return tanh64

    # Cephes tanhf: near 0 the exponential form would cancel, a polynomial does not.
    one, two, zero, border = np.float32(1), np.float32(2), np.float32(0), np.float32(0.625)
    p0, p1, p2 = np.float32(-5.70498872745e-3), np.float32(2.06390887954e-2), np.float32(-5.37397155531e-2)
    p3, p4 = np.float32(1.33314422036e-1), np.float32(-3.33332819422e-1)

    def tanh32(z: Any) -> Any:
        q = z * z
        near = z + z * q * ((((p0 * q + p1) * q + p2) * q + p3) * q + p4)
        far = one - two / (exp(two * abs(z)) + one)
        far = far if z > zero else -far
        return near if abs(z) < border else far

    return tanh32


def identity(z: Any) -> Any:
    return z


def identity_grad(a: Any) -> Any:
    return const(a, 1.0)


def relu(z: Any) -> Any:
    return z if not z < const(z, 0.0) else const(z, 0.0)  # NaN passes


def relu_grad(a: Any) -> Any:
    return const(a, 1.0) if a > const(a, 0.0) else const(a, 0.0)


def leaky_relu(z: Any) -> Any:
    return z if z > const(z, 0.0) else z * const(z, 0.01)


def leaky_relu_grad(a: Any) -> Any:
    return const(a, 1.0) if a > const(a, 0.0) else const(a, 0.01)


def elu(z: Any) -> Any:
    return z if z > const(z, 0.0) else exp(z) - const(z, 1.0)


def elu_grad(a: Any) -> Any:
    return const(a, 1.0) if a > const(a, 0.0) else a + const(a, 1.0)


def selu(z: Any) -> Any:
    scale = const(z, 1.0507009873554805)
    return z * scale if z > const(z, 0.0) else (exp(z) - const(z, 1.0)) * const(z, 1.7580993408473766)


def selu_grad(a: Any) -> Any:
    return const(a, 1.0507009873554805) if a > const(a, 0.0) else a + const(a, 1.7580993408473766)


def sigmoid(z: Any) -> Any:
    one = const(z, 1.0)
    return flushed(one / (one + exp(-z)), SIGNAL)


def sigmoid_grad(a: Any) -> Any:
    return a * (const(a, 1.0) - a)


def tanh_grad(a: Any) -> Any:
    return const(a, 1.0) - a * a


def softplus(z: Any) -> Any:
    return (z if z > const(z, 0.0) else const(z, 0.0)) + const(z, math.log1p(exp(-abs(z))))


def softplus_grad(a: Any) -> Any:
    return const(a, 1.0) - exp(-a)


def gelu(z: Any) -> Any:
    return const(z, 0.5) * z * (const(z, 1.0) + const(z, math.erf(z * const(z, 0.7071067811865476))))


def gelu_grad(z: Any) -> Any:
    cdf = const(z, 0.5) * (const(z, 1.0) + const(z, math.erf(z * const(z, 0.7071067811865476))))
    return cdf + z * const(z, 0.3989422804014327) * exp(-const(z, 0.5) * z * z)


def gelu_tanh(z: Any) -> Any:
    t = tanh(const(z, 0.7978845608028654) * (z + const(z, 0.044715) * z * z * z))
    return const(z, 0.5) * z * (const(z, 1.0) + t)


def gelu_tanh_grad(z: Any) -> Any:
    one, half, k, c = const(z, 1.0), const(z, 0.5), const(z, 0.7978845608028654), const(z, 0.044715)
    t = tanh(k * (z + c * z * z * z))
    return half * (one + t) + half * z * (one - t * t) * k * (one + const(z, 3.0) * c * z * z)


def silu(z: Any) -> Any:
    return z / (const(z, 1.0) + exp(-z))


def silu_grad(z: Any) -> Any:
    one = const(z, 1.0)
    s = one / (one + exp(-z))
    return s * (one + z * (one - s))


def mish(z: Any) -> Any:
    e = exp(z if z < const(z, 20.0) else const(z, 20.0))  # tanh(log(1 + e)) = ((1+e)² - 1) / ((1+e)² + 1)
    n = e * (e + const(z, 2.0))
    return z * (n / (n + const(z, 2.0)))


def mish_grad(z: Any) -> Any:
    one, two = const(z, 1.0), const(z, 2.0)
    e = exp(z if z < const(z, 20.0) else const(z, 20.0))
    n = e * (e + two)
    t = n / (n + two)
    return t + z * (one - t * t) * e / (one + e)


def hard_sigmoid(z: Any) -> Any:
    one = const(z, 1.0)
    return min(max(z * const(z, 1.0 / 6.0) + const(z, 0.5), const(z, 0.0)), one) if z == z else z


def hard_sigmoid_grad(a: Any) -> Any:
    return const(a, 1.0 / 6.0) if const(a, 0.0) < a < const(a, 1.0) else const(a, 0.0)


def hard_tanh(z: Any) -> Any:
    return min(max(z, const(z, -1.0)), const(z, 1.0)) if z == z else z


def hard_tanh_grad(a: Any) -> Any:
    return const(a, 1.0) if const(a, -1.0) < a < const(a, 1.0) else const(a, 0.0)


def hard_swish(z: Any) -> Any:
    return z * min(max(z * const(z, 1.0 / 6.0) + const(z, 0.5), const(z, 0.0)), const(z, 1.0))


def hard_swish_grad(z: Any) -> Any:
    three = const(z, 3.0)
    inside = z * const(z, 1.0 / 3.0) + const(z, 0.5)
    return const(z, 0.0) if z <= -three else (const(z, 1.0) if z >= three else inside)


Scalar = Callable[[Any], Any]
#: name of the activation -> (f of z, f' of what nn.activations says: the output or z)
SCALARS: dict[str, tuple[Scalar, Scalar]] = {
    "identity": (identity, identity_grad),
    "relu": (relu, relu_grad),
    "leaky_relu": (leaky_relu, leaky_relu_grad),
    "elu": (elu, elu_grad),
    "selu": (selu, selu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "softplus": (softplus, softplus_grad),
    "gelu": (gelu, gelu_grad),
    "gelu_tanh": (gelu_tanh, gelu_tanh_grad),
    "silu": (silu, silu_grad),
    "mish": (mish, mish_grad),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_grad),
    "hard_tanh": (hard_tanh, hard_tanh_grad),
    "hard_swish": (hard_swish, hard_swish_grad),
}
for _f, _df in SCALARS.values():
    register_jitable(_f)
    register_jitable(_df)
