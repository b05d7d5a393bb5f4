"""Every compiled kernel gives what its definition gives: for each name, over types, shapes and odd numbers.

A kernel without a line in `CASES`, or an activation without a scalar twin, fails here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from glassnet import kernels
from glassnet.kernels import compiled, reference
from glassnet.kernels.scalars import SCALARS
from glassnet.nn.activations import ACTIVATIONS, Activation, custom

Array = np.ndarray[Any, Any]
Arguments = tuple[Any, ...]

SHAPES = [(1, 1), (1, 5), (7, 1), (6, 5), (33, 17)]
ROUNDING = {"float32": (2e-5, 2e-6), "float64": (1e-11, 1e-13)}  # relative, absolute
RELU, GELU = ACTIVATIONS["relu"], ACTIVATIONS["gelu"]
DRAWN = np.random.default_rng


def _activation_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    for f in (RELU, GELU, custom(np.arctan)):
        yield t(rng.normal(size=(B, D))), t(rng.normal(size=D)), f, t(np.full((B, D), np.nan))


def _gradient_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    for f in (RELU, GELU, custom(np.arctan)):
        yield t(rng.normal(size=(B, D))), t(rng.normal(size=(B, D))), f, t(np.full(D, np.nan))


def _gather_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    rows = rng.integers(20, size=B)
    whole = rng.integers(256, size=(20, D))
    readonly = whole.astype(np.uint8)
    readonly.flags.writeable = False
    one, each = (t([0.25]), t([-0.5])), (t(rng.normal(size=D)), t(rng.normal(size=D)))
    stored = [whole.astype(np.uint8), whole, whole > 99, whole.astype(np.float32), rng.normal(size=(20, D))]
    for X in [*stored, readonly, np.asfortranarray(stored[-1]), np.repeat(stored[-1], 2, axis=1)[:, ::2]]:
        for scale, shift in (one, each, (one[0], each[1]), (each[0], one[1])):
            yield X, rows, scale, shift, t(np.full((B, D), np.nan))


def _product_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    for K, N in ((D, B), (17, 16), (130, 37), (40, 100), (16, 128), (200, 64)):
        tall, flat = rng.normal(size=(K, B)).T, rng.normal(size=(N, K)).T
        wide, gaps = rng.normal(size=(B, K)), rng.normal(size=(B, K + 3))[:, :K]
        for A, W in ((wide, rng.normal(size=(K, N))), (tall, flat), (gaps, flat.copy())):
            yield t(A), t(W), t(np.full((B, N), np.nan))


def _softmax_cases(rng: np.random.Generator, B: int, C: int, t: Any) -> Iterator[Arguments]:
    y = rng.integers(C, size=B)
    for Z in (rng.normal(size=(B, C)), 500 * rng.normal(size=(B, C)), np.full((B, C), 1e4)):
        for w in (np.ones(1), rng.uniform(size=B), np.zeros(B)):
            for smoothing in (0.0, 0.1):
                yield t(Z), y, t(w), smoothing, 0.3, t(np.full((B, C), np.nan))
                shares = t(rng.dirichlet(np.ones(C), B))  # of mixed classes
                yield t(Z), shares, t(w), smoothing, 0.3, t(np.full((B, C), np.nan))


def _link_cases(rng: np.random.Generator, B: int, C: int, t: Any) -> Iterator[Arguments]:
    for Z in (rng.normal(size=(B, C)), 50 * rng.normal(size=(B, C)), np.full((B, C), 1e4)):
        yield t(Z), t(np.full((B, C), np.nan))


def _hits_cases(rng: np.random.Generator, B: int, C: int, t: Any) -> Iterator[Arguments]:
    y = rng.integers(C, size=B)
    for Z in (rng.normal(size=(B, C)), rng.integers(2, size=(B, C)), np.zeros((B, C))):  # also equals
        yield t(Z), y
    if Z.size:
        Z = rng.normal(size=(B, C))
        Z[rng.random((B, C)) < 0.3] = np.nan
        yield t(Z), y


def _mixed_cases(rng: np.random.Generator, B: int, C: int, t: Any) -> Iterator[Arguments]:
    for y in (rng.integers(C, size=B), np.zeros(B, np.int64)):
        yield y, rng.permutation(B), t(rng.random(B)), t(np.full((B, C), np.nan))


def _sigmoid_cases(rng: np.random.Generator, B: int, C: int, t: Any) -> Iterator[Arguments]:
    for _, _, w, smoothing, scale, dZ in _softmax_cases(rng, B, C, t):
        for Z in (rng.normal(size=(B, C)), 500 * rng.normal(size=(B, C))):
            yield t(Z), t(rng.integers(2, size=(B, C))), w, smoothing, scale, dZ


def _dropout_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    for rate in (0.0, 0.3, 0.7, 0.9):
        U = t(rng.random((B, D)))
        U[0, 0] = rate  # the border belongs to the kept ones, in both precisions
        yield t(rng.normal(size=(B, D))), U, rate, t(np.full((B, D), np.nan)), t(np.full((B, D), np.nan))


def _norm(rng: np.random.Generator, B: int, D: int, t: Any) -> tuple[Array, Array, Array]:
    return t(rng.normal(2, 3, (B, D))), t(rng.normal(size=D)), t(rng.normal(size=D))


def _batch_norm_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    empty, flat = t(np.full((B, D), np.nan)), t(np.full(D, np.nan))
    for X in (_norm(rng, B, D, t)[0], t(np.zeros((B, D))), t(np.full((B, D), 3.0))):
        yield X, *_norm(rng, B, D, t)[1:], 1e-5, flat, flat.copy(), empty, empty.copy()


def _batch_norm_grad_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    flat = t(np.full(D, np.nan))
    yield (
        t(rng.normal(size=(B, D))), t(rng.normal(size=(B, D))), t(rng.normal(size=D)),
        t(rng.uniform(1, 2, D)), flat, flat.copy(), t(np.full((B, D), np.nan)),
    )  # fmt: skip


def _rms_norm_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    empty, column = t(np.full((B, D), np.nan)), t(np.full(B, np.nan))
    for centre in (False, True):
        for X in (_norm(rng, B, D, t)[0], t(np.zeros((B, D)))):
            yield X, *_norm(rng, B, D, t)[1:], 1e-5, centre, column, empty, empty.copy()


def _rms_norm_grad_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    flat = t(np.full(D, np.nan))
    for centre in (False, True):
        yield (
            t(rng.normal(size=(B, D))), t(rng.normal(size=(B, D))), t(rng.normal(size=D)), centre,
            t(rng.uniform(1, 2, B)), flat, flat.copy(), t(np.full((B, D), np.nan)),
        )  # fmt: skip


def _updates(*settings: tuple[Any, ...], moments: int) -> Callable[..., Iterator[Arguments]]:
    """theta, grad and moments of B * D parameters, with each line of settings, with and without decay."""

    def cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
        P = B * D
        for numbers in settings:
            for decay in (0.0, 0.01):
                kept = [t(rng.uniform(size=P)) for _ in range(moments)]
                yield t(rng.normal(size=P)), t(rng.normal(size=P)), *kept, 0.05, *numbers, decay

    return cases


def _penalty_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    yield t(rng.integers(-1, 2, B * D)), t(rng.normal(size=B * D)), 0.3  # also zeros
    yield t(rng.normal(size=B * D)), t(rng.normal(size=B * D)), 0.3
    yield t(rng.normal(size=5000)), t(rng.normal(size=5000)), 1e-4


def _accumulate_cases(rng: np.random.Generator, B: int, D: int, t: Any) -> Iterator[Arguments]:
    yield t(rng.normal(size=B * D)), t(rng.normal(size=B * D))


CASES: dict[str, Callable[..., Iterator[Arguments]]] = {
    "bias_act": _activation_cases,
    "act_grad": _gradient_cases,
    "gather": _gather_cases,
    "product": _product_cases,
    "hits": _hits_cases,
    "mixed_codes": _mixed_cases,
    "softmax": _link_cases,
    "softmax_cross_entropy": _softmax_cases,
    "sigmoid_cross_entropy": _sigmoid_cases,
    "dropout": _dropout_cases,
    "batch_norm": _batch_norm_cases,
    "batch_norm_grad": _batch_norm_grad_cases,
    "rms_norm": _rms_norm_cases,
    "rms_norm_grad": _rms_norm_grad_cases,
    "accumulate": _accumulate_cases,
    "l1": _penalty_cases,
    "l2": _penalty_cases,
    "sgd": _updates((), moments=0),
    "momentum": _updates((0.9, False), (0.9, True), (0.0, False), moments=1),
    "adagrad": _updates((1e-8,), moments=1),
    "rmsprop": _updates((0.9, 1e-8), moments=1),
    "adam": _updates((0.9, 0.99, 1e-8, 0.2, 0.05), (0.9, 0.99, 1e-8, 0.2, float("inf")), moments=2),
    "nadam": _updates((0.9, 0.99, 1e-8, 0.7, 0.4, 0.05), moments=2),
    "lion": _updates((0.9, 0.99), moments=1),
}


def test_every_kernel_has_cases_and_both_forms_have_the_same_arguments() -> None:
    assert set(CASES) == set(kernels.__all__) == set(reference.__all__) == set(compiled.__all__)
    for name in CASES:
        fast = getattr(compiled, name)
        assert (
            list(inspect.signature(getattr(fast, "py_func", fast)).parameters)
            == list(inspect.signature(getattr(reference, name)).parameters)
        )  # fmt: skip


def both(name: str, arguments: Arguments) -> tuple[list[Any], list[Any]]:
    """What the definition and the compiled kernel return and leave in their arrays."""
    results = []
    for form in (reference, compiled):
        mine = copy.deepcopy(arguments)
        with np.errstate(all="ignore"):
            returned = getattr(form, name)(*mine)
        results.append([returned, *(a for a in mine if isinstance(a, np.ndarray))])
    return results[0], results[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_twins_agree(name: str, dtype: str) -> None:
    rtol, atol = ROUNDING[dtype]
    n_cases = 0
    for B, D in SHAPES:
        for arguments in CASES[name](DRAWN(B * D), B, D, lambda values: np.asarray(values, dtype)):
            n_cases += 1
            defined, fast = both(name, arguments)
            assert (defined[0] is None) == (fast[0] is None)
            size = max(1.0, *(float(np.nanmax(np.abs(a))) for a in defined[1:] if a.dtype == dtype))
            for a, b in zip(defined, fast, strict=True):
                if a is not None:
                    np.testing.assert_allclose(b, a, rtol=rtol, atol=atol * size, err_msg=repr(arguments))
    assert n_cases >= len(SHAPES)


MOMENTS = [
    name for name in CASES if name in ("sgd", "momentum", "adagrad", "rmsprop", "adam", "nadam", "lion")
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e-42, -1e-30, 1e-12, 1e30, 0.0])
def test_odd_gradients(name: str, dtype: str, bad: float) -> None:
    """NaN and infinity stay visible; numbers that would be denormal change nothing that counts."""
    for arguments in CASES[name](DRAWN(0), 2, 3, lambda values: np.asarray(values, dtype)):
        grad = arguments[1]
        grad[2] = bad
        for kept in arguments[2:]:
            if isinstance(kept, np.ndarray):
                kept[2] = 0  # as in the first step
        defined, fast = both(name, arguments)
        for a, b in zip(defined[1:], fast[1:], strict=True):
            assert np.isfinite(a).tolist() == np.isfinite(b).tolist()
            fine = np.isfinite(a)
            np.testing.assert_allclose(b[fine], a[fine], rtol=ROUNDING[dtype][0], atol=1e-9)
        if np.isnan(bad):
            assert np.isnan(fast[1][2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", [0, 3, 10])
def test_softmax_shows_nan_in_its_row_and_no_other(place: int, dtype: str) -> None:
    Z = DRAWN(0).normal(size=(3, 11)).astype(dtype)
    Z[1, place] = np.nan
    for form in (reference, compiled):
        P = np.zeros_like(Z)
        form.softmax(Z, P)
        assert np.isnan(P[1]).all()
        np.testing.assert_allclose(P[[0, 2]].sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("bias_act", 0), ("bias_act", 1), ("act_grad", 0), ("softmax_cross_entropy", 0),
        ("sigmoid_cross_entropy", 0), ("dropout", 0), ("batch_norm", 0), ("batch_norm_grad", 0),
        ("rms_norm", 0), ("rms_norm_grad", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen(name: str, where: int, dtype: str, bad: float) -> None:
    """Both forms are not finite in the same rows and columns; a loss is not finite in either."""
    for arguments in CASES[name](DRAWN(0), 4, 3, lambda values: np.asarray(values, dtype)):
        arguments[where].flat[1] = bad
        defined, fast = both(name, arguments)
        for a, b in zip(defined, fast, strict=True):
            if a is not None:
                assert np.isfinite(a).tolist() == np.isfinite(b).tolist()


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
def test_no_logit_hides_behind_a_nan(name: str) -> None:
    for place in range(3):
        Z = np.array([[1.0, 2.0, 3.0]], np.float32)
        Z[0, place] = np.nan
        y = np.array([1]) if name.startswith("softmax") else np.ones((1, 3), np.float32)
        for form in (reference, compiled):
            dZ = np.zeros_like(Z)
            assert np.isnan(getattr(form, name)(Z, y, np.ones(1, np.float32), 0.0, 1.0, dZ))
            assert np.isnan(dZ).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("code", [-1, -(2**40), 3, 2**40])
@pytest.mark.parametrize("form", [reference, compiled], ids=["reference", "compiled"])
def test_a_code_that_is_no_class_is_an_error_and_nobody_elses_memory(
    form: Any, code: int, dtype: str
) -> None:
    Z, y, w = np.zeros((4, 3), dtype), np.array([0, 1, code, 2]), np.ones(1, dtype)
    with pytest.raises(IndexError, match="none of the classes"):
        form.softmax_cross_entropy(Z, y, w, 0.0, 1.0, np.empty_like(Z))


def test_every_activation_has_a_scalar_twin() -> None:
    assert list(SCALARS) == list(ACTIVATIONS)


# fmt: off
EXTREMES = [
    0.0, 1e-42, 1e-30, 1e-8, 1e-4, 0.01, 0.3, 0.625, 1.0, 2.999, 3.0, 3.001, 6.0, 17.0, 20.0, 21.0, 50.0,
    87.0, 87.4, 88.0, 88.5, 89.0, 104.0, 710.0, 1e4, 1e10, 1e30, 1e38,
]
# fmt: on


def roundings(fast: Array, exact: Array, dtype: str) -> Array:
    """Distance to the exact values in roundings of numbers of that size, at least of 1."""
    return np.abs(fast.astype(float) - exact) / np.maximum(1, np.abs(exact)) / np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations_agree_everywhere(f: Activation, dtype: str) -> None:
    """Over 20,000 ordinary numbers and the extremes, with the definition in double precision."""
    Z = np.asarray([*DRAWN(0).normal(0, 4, 20_000), *EXTREMES, *(-x for x in EXTREMES)], dtype)[:, None]
    if f.name == "gelu_tanh":  # its slope has z² in it, which overflows
        Z = Z[np.abs(Z[:, 0]) < 1e12]
    none, X = np.zeros(1, dtype), Z.astype(float)
    _, fast = both("bias_act", (Z, none, f, np.empty_like(Z)))
    with np.errstate(over="ignore"):
        A = f.f(X)
        S = A.astype(dtype) if f.from_output else Z
        slopes = f.df(S.astype(float))
    apart = roundings(fast[3], A, dtype)
    assert apart.max() < 4, Z[apart.argmax()]
    for in_place in both("bias_act", (Z, none, f, Z)):  # the copies are one array too
        assert roundings(in_place[1], A, dtype).max() < 8

    _, fast = both("act_grad", (np.ones_like(Z), S, f, none.copy()))
    apart = roundings(fast[1], slopes, dtype)
    assert apart.max() < 32, Z[apart.argmax()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations_of_nan_are_nan(f: Activation, dtype: str) -> None:
    Z = np.full((9, 9), np.nan, dtype)  # wide enough for vector instructions and the loop behind them
    A = np.zeros_like(Z)
    compiled.bias_act(Z, np.zeros(9, dtype), f, A)
    assert np.isnan(A).all()
    compiled.bias_act(Z, np.zeros(9, dtype), f, Z)
    assert np.isnan(Z).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_in_place_is_the_same_to_the_last_rounding(f: Activation, dtype: str) -> None:
    Z = np.asarray([*EXTREMES, *(-x for x in EXTREMES), np.nan], dtype).reshape(3, -1)
    b = DRAWN(0).normal(size=Z.shape[1]).astype(dtype)
    A, same = np.empty_like(Z), Z.copy()
    compiled.bias_act(Z.copy(), b, f, A)
    compiled.bias_act(same, b, f, same)
    np.testing.assert_allclose(same, A, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_units_are_no_denormals(dtype: str) -> None:
    """A denormal number costs a hundred ordinary ones in every product it meets."""
    Z = np.asarray([-1e4, -200.0, -100.0, -90.0], "float32").astype(dtype)[:, None]
    for name in ("sigmoid", "softplus", "silu", "mish", "gelu_tanh"):
        A = np.empty_like(Z)
        compiled.bias_act(Z.copy(), np.zeros(1, dtype), ACTIVATIONS[name], A)
        if dtype == "float32":
            assert not ((A != 0) & (np.abs(A) < np.finfo(dtype).tiny)).any(), name
