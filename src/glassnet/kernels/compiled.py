"""Fused twins of the reference kernels: the same names, signatures and results (to rounding), one pass each.

Each loop is serial: Numba's parallel loops fight with the spinning threads of OpenBLAS. What is long enough
is shared out to a team, if somebody has employed one (`team.py`).
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glassnet.kernels import reference, team
from glassnet.kernels.by_blas import gains_by_blas, product_by_blas
from glassnet.kernels.by_halves import gains_by_halves, product_by_halves
from glassnet.kernels.by_parts import gains_by_parts, product_by_parts
from glassnet.kernels.gemm import gemm_plain, suits
from glassnet.kernels.jit import jit
from glassnet.kernels.memory import stretch_of_row
from glassnet.kernels.reference import ActivationLike
from glassnet.kernels.scalars import SCALARS, SIGNAL, Scalar, const, exp, flushed
from glassnet.kernels.stored import StoredColumns, StoredRows
from glassnet.kernels.team import LONG, cut, stretched
from glassnet.kernels.updates import *  # noqa: F403

__all__ = [*reference.__all__]

Array = npt.NDArray[Any]


class _Twin(NamedTuple):
    bias_act: Any
    bias_act_in_place: Any
    act_grad: Any


def _twin(name: str, f: Scalar, df: Scalar) -> _Twin:
    """The fused loops of one activation; Numba inlines f and df into them.

    Each is named after it: code that two processes have kept on disk is told apart by names alone where a
    third one loads both, and networks of one activation would compute with another.
    """

    def own(loops: Any) -> Any:
        loops.__qualname__ = f"{name}_{loops.__name__}"
        return jit(loops)

    @own
    def bias_act(Z: Array, b: Array, A: Array) -> None:
        for i in range(Z.shape[0]):
            for j in range(Z.shape[1]):
                z = Z[i, j] + b[j]
                Z[i, j] = z
                A[i, j] = f(z)

    @own
    def bias_act_in_place(Z: Array, b: Array) -> None:  # 29 us -> 2 us for 200 x 100: no alias, so SIMD
        for i in range(Z.shape[0]):
            for j in range(Z.shape[1]):
                Z[i, j] = f(Z[i, j] + b[j])

    @own
    def act_grad(dA: Array, S: Array, db: Array) -> None:
        db[:] = 0
        for i in range(dA.shape[0]):
            for j in range(dA.shape[1]):
                dz = flushed(dA[i, j] * df(S[i, j]), SIGNAL)
                dA[i, j] = dz
                db[j] += dz

    return _Twin(bias_act, bias_act_in_place, act_grad)


TWINS = {name: _twin(name, f, df) for name, (f, df) in SCALARS.items()}


def bias_act(Z: Array, b: Array, f: ActivationLike, A: Array) -> None:
    twin = TWINS.get(f.name)
    if twin is None:  # somebody's own activation: its NumPy form
        reference.bias_act(Z, b, f, A)
    elif A is Z:
        twin.bias_act_in_place(Z, b)
    else:
        twin.bias_act(Z, b, A)


def act_grad(dA: Array, S: Array, f: ActivationLike, db: Array) -> None:
    if dA.shape != S.shape:  # the loops would read and write what is not there
        raise ValueError(f"a gradient of shape {dA.shape} does not match outputs of shape {S.shape}")
    twin = TWINS.get(f.name)
    if twin is None:
        reference.act_grad(dA, S, f, db)
    else:
        twin.act_grad(dA, S, db)


def product(
    A: Array | StoredRows | StoredColumns, B: Array, out: Array, may_round: bool = False
) -> None:  # fmt: skip
    if not isinstance(A, np.ndarray):
        A.times(B, out, may_round)
        return
    (M, K), N = A.shape, B.shape[1]
    if M == 1 or M * K * N < 8 * LONG:
        try:  # also one row of a wide layer: its product waits for memory, and only calls can be saved
            np.dot(A, B, out)  # 0.5 us less than matmul
        except ValueError:  # into memory of another kind, or with gaps
            np.matmul(A, B, out=out)
        return
    if may_round and gains_by_halves(A, B, out):
        product_by_halves(A, B, out)
        return
    members = team.current()
    if members is not None and members.multiplies and gains_by_parts(A, B, out):
        product_by_parts(A, B, out, members)
    elif members is not None and members.by_blas and gains_by_blas(A, B, out):
        product_by_blas(A, B, out, members)
    elif members is None or not members.multiplies or not suits(A, B, out, members.size):
        np.matmul(A, B, out=out)
    elif M >= K or members.size == 1:  # each member has its rows of A, and of the result
        edges = cut(M, members.size)
        members.do(_gemm_together, tuple((A[i:j], B, out[i:j]) for i, j in edges))
    elif B.strides[0] < B.strides[1]:  # its columns of B, the rows of the W whose transpose this is
        edges = cut(N, members.size)
        members.do(_gemm_together, tuple((A, B[:, i:j], out[:, i:j]) for i, j in edges))
    else:  # each member has its columns of A and rows of B, and one term of the result
        parts = [(A[:, i:j], B[i:j]) for i, j in cut(K, members.size)]
        members.add_up(_gemm_together, parts, out)


_gemm_together = team.divided(gemm_plain)


def gather(X: Array, rows: Array, scale: Array, shift: Array, out: Array) -> None:
    # by columns: each member then has in its cache what it multiplies with its part of W
    _gather(X.shape[1], out.size, X, rows, scale, shift, out)


@stretched
def _gather(X: Array, rows: Array, scale: Array, shift: Array, out: Array, start: int, stop: int) -> None:
    if len(scale) == 1 and len(shift) == 1:
        a, c = scale[0], shift[0]
        for i in range(len(rows)):
            x, converted = X[rows[i], start:stop], stretch_of_row(out, i, start, stop)
            for j in range(len(x)):  # from 0: else no SIMD, 90 us instead of 11 us for 32 x 3072
                converted[j] = x[j] * a + c
    else:
        for i in range(len(rows)):
            x, converted = X[rows[i], start:stop], stretch_of_row(out, i, start, stop)
            for j in range(len(x)):
                k = start + j
                converted[j] = x[j] * scale[k % len(scale)] + shift[k % len(shift)]


@jit
def softmax(Z: Array, out: Array) -> None:  # 1 us for a row of ten, NumPy's 11 us
    _below_the_largest(Z, out)
    E = out.reshape(-1)
    for k in range(len(E)):
        E[k] = exp(E[k])  # not flushed: a small probability is an answer
    for i in range(out.shape[0]):
        total = const(out[0, 0], 0.0)
        for j in range(out.shape[1]):
            total += out[i, j]
        for j in range(out.shape[1]):
            out[i, j] /= total


def softmax_cross_entropy(Z: Array, y: Array, w: Array, smoothing: float, scale: float, dZ: Array) -> float:
    if y.ndim == 1:
        return float(cross_entropy_of_codes(Z, y, w, smoothing, scale, dZ))
    return float(_cross_entropy_of_shares(Z, y, w, smoothing, scale, dZ))


@jit
def cross_entropy_of_codes(Z: Array, y: Array, w: Array, smoothing: float, scale: float, dZ: Array) -> float:
    B, C = Z.shape
    off, on = smoothing / C, 1.0 - smoothing
    loss = 0.0
    _below_the_largest(Z, dZ)
    for i in range(B):
        if not 0 <= y[i] < C:  # it would be read and written where there is somebody else's memory
            raise IndexError("a code is none of the classes")
        s, mean = w[i if len(w) > 1 else 0] * scale, 0.0
        for j in range(C):
            mean += dZ[i, j]
        loss -= s * (on * dZ[i, y[i]] + off * mean)
    _exponentials(dZ)
    for i in range(B):
        s = w[i if len(w) > 1 else 0] * scale
        total = 0.0
        for j in range(C):
            total += dZ[i, j]
        loss += s * math.log(total)
        factor, shift = const(dZ[0, 0], s / total), const(dZ[0, 0], s * off)
        for j in range(C):
            dZ[i, j] = dZ[i, j] * factor - shift
        dZ[i, y[i]] -= s * on
    return loss


@jit
def _cross_entropy_of_shares(
    Z: Array, y: Array, w: Array, smoothing: float, scale: float, dZ: Array
) -> float:
    B, C = Z.shape
    off, on = smoothing / C, 1.0 - smoothing
    loss = 0.0
    _below_the_largest(Z, dZ)
    for i in range(B):
        s = w[i if len(w) > 1 else 0] * scale
        for j in range(C):
            loss -= s * (on * y[i, j] + off) * dZ[i, j]
    _exponentials(dZ)
    for i in range(B):
        s = w[i if len(w) > 1 else 0] * scale
        total, target = 0.0, 0.0
        for j in range(C):
            total += dZ[i, j]
            target += on * y[i, j] + off
        loss += s * target * math.log(total)
        for j in range(C):
            dZ[i, j] = s * (target * dZ[i, j] / total - (on * y[i, j] + off))
    return loss


@jit
def _below_the_largest(Z: Array, out: Array) -> None:
    """Each row less its largest number."""
    for i in range(Z.shape[0]):
        top = Z[i, 0]
        for j in range(1, Z.shape[1]):
            top = max(top, Z[i, j])
        for j in range(Z.shape[1]):
            out[i, j] = Z[i, j] - top


@jit
def _exponentials(A: Array) -> None:
    """exp in place, all in one run: rows of ten classes are too short for SIMD."""
    E = A.reshape(-1)
    for k in range(len(E)):
        E[k] = flushed(exp(E[k]), SIGNAL)


@jit
def hits(Z: Array, y: Array) -> int:  # 0.5 us for 32 x 10, NumPy's 4 us
    n = 0
    for i in range(Z.shape[0]):
        best = 0
        for j in range(1, Z.shape[1]):
            z, top = Z[i, j], Z[i, best]
            if z > top or (z != z and top == top):  # the first NaN is the largest
                best = j
        n += best == y[i]
    return n


@jit
def mixed_codes(y: Array, partner: Array, share: Array, out: Array) -> None:
    if len(partner) != len(y) or len(share) != len(y):
        raise IndexError("there must be a partner and a share for each row")
    for i in range(out.shape[0]):
        if not 0 <= partner[i] < len(y):
            raise IndexError("a partner is none of the rows")
        for j in range(out.shape[1]):
            out[i, j] = 0
        out[i, y[i]] = share[i]
        out[i, y[partner[i]]] += 1 - share[i]


@jit
def sigmoid_cross_entropy(Z: Array, Y: Array, w: Array, smoothing: float, scale: float, dZ: Array) -> float:
    loss = 0.0
    for i in range(Z.shape[0]):
        s = w[i if len(w) > 1 else 0] * scale
        for j in range(Z.shape[1]):
            z = Z[i, j]
            t = Y[i, j] * (1.0 - smoothing) + 0.5 * smoothing
            e = math.exp(-abs(z))
            loss += s * ((z if z > 0.0 else 0.0) - z * t + math.log1p(e))
            dZ[i, j] = s * ((1.0 if z >= 0.0 else e) / (1.0 + e) - t)
    return loss


@jit
def dropout(X: Array, U: Array, rate: float, mask: Array, A: Array) -> None:
    zero, keep = const(X[0, 0], 0.0), const(X[0, 0], 1.0 / (1.0 - rate))
    rate = const(U[0, 0], rate)
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            mask[i, j] = keep if U[i, j] >= rate else zero
            A[i, j] = X[i, j] * mask[i, j]


@jit
def batch_norm(
    X: Array, gamma: Array, beta: Array, eps: float, mean: Array, rstd: Array, Xn: Array, A: Array
) -> None:
    B, D = X.shape
    n = const(X[0, 0], B)
    mean[:] = 0
    rstd[:] = 0
    for i in range(B):
        for j in range(D):
            mean[j] += X[i, j]
    for j in range(D):
        mean[j] /= n
    for i in range(B):
        for j in range(D):
            d = X[i, j] - mean[j]
            rstd[j] += d * d
    for j in range(D):
        rstd[j] = 1.0 / math.sqrt(rstd[j] / B + eps)
    for i in range(B):
        for j in range(D):
            Xn[i, j] = (X[i, j] - mean[j]) * rstd[j]
            A[i, j] = Xn[i, j] * gamma[j] + beta[j]


@jit
def batch_norm_grad(
    dA: Array, Xn: Array, gamma: Array, rstd: Array, dgamma: Array, dbeta: Array, dX: Array
) -> None:
    B, D = dA.shape
    n = const(dA[0, 0], B)
    dgamma[:] = 0
    dbeta[:] = 0
    for i in range(B):
        for j in range(D):
            dbeta[j] += dA[i, j]
            dgamma[j] += dA[i, j] * Xn[i, j]
    for i in range(B):
        for j in range(D):
            dX[i, j] = gamma[j] * rstd[j] * (dA[i, j] - dbeta[j] / n - Xn[i, j] * (dgamma[j] / n))


@jit
def rms_norm(
    X: Array, gamma: Array, beta: Array, eps: float, centre: bool, rstd: Array, Xn: Array, A: Array
) -> None:
    B, D = X.shape
    for i in range(B):
        mean = 0.0
        if centre:
            for j in range(D):
                mean += X[i, j]
            mean /= D
        square = 0.0
        for j in range(D):
            d = X[i, j] - mean
            square += d * d
        r = 1.0 / math.sqrt(square / D + eps)
        rstd[i] = r
        m, r = const(X[0, 0], mean), const(X[0, 0], r)
        for j in range(D):
            Xn[i, j] = (X[i, j] - m) * r
            A[i, j] = Xn[i, j] * gamma[j] + beta[j]


@jit
def rms_norm_grad(
    dA: Array, Xn: Array, gamma: Array, centre: bool, rstd: Array, dgamma: Array, dbeta: Array, dX: Array
) -> None:
    B, D = dA.shape
    dgamma[:] = 0
    dbeta[:] = 0
    for i in range(B):
        along, mean = 0.0, 0.0
        for j in range(D):
            dbeta[j] += dA[i, j]
            dgamma[j] += dA[i, j] * Xn[i, j]
            g = dA[i, j] * gamma[j]
            along += g * Xn[i, j]
            mean += g
        a = const(dA[0, 0], along / D)
        m = const(dA[0, 0], mean / D if centre else 0.0)
        for j in range(D):
            dX[i, j] = (dA[i, j] * gamma[j] - m - Xn[i, j] * a) * rstd[i]


def _announce() -> None:
    """Nobody should wonder about the first run: say that kernels are compiled when none is in the cache."""
    folder = getattr(cross_entropy_of_codes._cache, "cache_path", None)
    if folder is None or not any(Path(folder).glob("compiled.cross_entropy_of_codes-*.nbi")):
        logging.getLogger("glassnet").info(
            "compiling the kernels, once: the first training takes up to 20 s more"
        )


_announce()
