"""Imitated instructions do what the processor's do, and kernels are tested with them where it has none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from glassnet.kernels import instructions
from glassnet.kernels.amx import SQUARES
from glassnet.kernels.instructions import FEATURES, IMITATED, eight_imitated, eight_squares
from glassnet.kernels.lanes import FLOATS, WORDS, load

FORMS = ("imitated", "native")
RNG = np.random.default_rng(3)
#: one shape each, for two processes side by side
_SOME = (
    ("two and 383 and (squares or not True)", ("test_by_halves.py",)),
    (
        "two and (449 or digits and 191 and vectors) or squares and shares_out",
        ("test_by_halves.py", "test_by_parts.py", "test_stored.py"),
    ),
)


def _compiled(generate: Callable[[Any, Any], None], places: int) -> Any:
    """A function of so many addresses, each an int64, from what writes it in LLVM's language."""

    @numba.extending.intrinsic
    def does(_context: Any, addresses: Any) -> Any:
        def write(context: Any, builder: Any, _: Any, args: Any) -> Any:
            generate(builder, numba.core.cgutils.unpack_tuple(builder, args[0], places))
            return context.get_dummy_value()

        return numba.types.void(addresses), write

    @numba.njit
    def call(addresses: Any) -> None:
        does(addresses)

    return lambda *arrays: call(tuple(array.ctypes.data for array in arrays))


def _imitates(form: str, *features: str) -> bool:
    """Whether that is the imitated form; a native one that this processor lacks is skipped."""
    if form == "native" and (IMITATED or not all(FEATURES.get(name) for name in features)):
        pytest.skip(f"this processor has no {features[0]}")
    return form == "imitated"


@pytest.mark.parametrize("form", FORMS)
def test_products_of_bytes(form: str) -> None:
    imitated = _imitates(form, "avx512vnni")
    add = instructions.imitated_products if imitated else instructions.plus_products

    def generate(builder: Any, at: Any) -> None:
        add(*(load(builder, WORDS, place) for place in at[:3])).store(at[3])

    total = RNG.integers(-(2**30), 2**30, 16, dtype=np.int32)
    stored = RNG.integers(0, 256, 64, dtype=np.uint8)
    digits = RNG.integers(-128, 128, 64, dtype=np.int8)
    found = np.zeros(16, np.int32)
    _compiled(generate, 4)(total, stored, digits, found)
    products = (stored.astype(int) * digits).reshape(16, 4).sum(axis=1)
    np.testing.assert_array_equal(found, total + products)


@pytest.mark.parametrize("form", FORMS)
def test_rounding_to_halves(form: str) -> None:
    imitated = _imitates(form, "avx512bf16")
    round_both = instructions.imitated_halves if imitated else instructions.as_halves

    def generate(builder: Any, at: Any) -> None:
        round_both(*(load(builder, FLOATS, place) for place in at[:2])).store(at[2])

    special = [
        0, -0.0, np.inf, -np.inf, 1e-40, -1e-40, 3.4e38, 1 + 2**-8, 1 + 3 * 2**-8, 1.18e-38, -1, np.nan
    ]  # fmt: skip
    x = np.concatenate([np.float32(special), RNG.standard_normal(20, np.float32)])
    found = np.zeros(32, np.uint16)
    _compiled(generate, 3)(x[:16], x[16:], found)
    back = (found.astype(np.uint32) << 16).view(np.float32)
    expected = [0, -0.0, np.inf, -np.inf, 0, -0.0, np.inf, 1, 1 + 2**-6, back[9], -1, np.nan]
    np.testing.assert_array_equal(back[:12], expected)
    np.testing.assert_array_equal(np.signbit(back[:11]), np.signbit(x[:11]))
    np.testing.assert_allclose(back[9], x[9], rtol=2**-8)
    np.testing.assert_allclose(back[12:], x[12:], rtol=2**-8)


@pytest.mark.parametrize("form", FORMS)
def test_products_of_halves(form: str) -> None:
    imitated = _imitates(form, "avx512bf16")
    add = instructions.imitated_products_of_halves if imitated else instructions.plus_products_of_halves

    def generate(builder: Any, at: Any) -> None:
        total, *factors = (load(builder, kind, place) for kind, place in zip(kinds, at, strict=False))
        add(total, *factors).store(at[3])

    kinds = (FLOATS, WORDS, WORDS)
    total, found = RNG.standard_normal(16, np.float32), np.zeros(16, np.float32)
    a, b = (RNG.standard_normal(32, np.float32).view(np.uint32) >> 16 for _ in range(2))
    _compiled(generate, 4)(total, a.astype(np.uint16), b.astype(np.uint16), found)
    left, right = ((words << 16).view(np.float32).reshape(16, 2) for words in (a, b))
    np.testing.assert_allclose(found, total + (left * right).sum(axis=1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of", ["bytes", "halves"])
def test_products_of_squares(form: str, of: str) -> None:
    imitated = _imitates(form, "amx-tile", "amx-int8", "amx-bf16")
    if not imitated and SQUARES is None:
        pytest.skip("the system does not lend the registers")

    def generate(builder: Any, at: Any) -> None:
        row = at[0].type(64)
        if not imitated:
            instructions.take(builder, at[4])
        registers = eight_imitated(builder) if imitated else eight_squares(builder)
        registers.zero(0)
        for to in at[2:4]:  # the second time to what is there, from memory
            registers.load(6, at[0], row)
            registers.load(7, at[1], at[1].type(128))  # with a gap between rows
            getattr(registers, f"add_products_of_{of}")(0, 6, 7)
            registers.store(0, to, row)
            registers.load(0, to, row)
        if not imitated:
            instructions.hand_back(builder)

    if of == "bytes":
        left = RNG.integers(0, 256, (16, 64), dtype=np.uint8)
        right = RNG.integers(-128, 128, (16, 16, 4), dtype=np.int8)  # a word is four rows of a column
        exact = left.astype(int) @ right.transpose(0, 2, 1).reshape(64, 16)
        once, twice = np.zeros((16, 16), np.int32), np.zeros((16, 16), np.int32)
    else:
        a, b = (RNG.standard_normal((16, 32), np.float32).view(np.uint32) >> 16 for _ in range(2))
        left, right = a.astype(np.uint16), b.astype(np.uint16).reshape(16, 16, 2)
        left_floats, right_floats = ((words << 16).view(np.float32) for words in (a, b))
        exact = left_floats @ right_floats.reshape(16, 16, 2).transpose(0, 2, 1).reshape(32, 16)
        once, twice = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    apart = np.zeros((16, 128), np.uint8)
    apart[:, :64] = right.view(np.uint8).reshape(16, 64)
    setting = np.zeros(64, np.uint8) if SQUARES is None else SQUARES
    _compiled(generate, 5)(left, apart, once, twice, setting)
    tolerance = 0 if of == "bytes" else 1e-5
    np.testing.assert_allclose(once, exact, rtol=0, atol=tolerance)
    np.testing.assert_allclose(twice, 2 * exact, rtol=0, atol=2 * tolerance)


@pytest.mark.skipif(IMITATED, reason="this is that process")
@pytest.mark.skipif(os.environ.get("GLASSNET_KERNELS") == "reference", reason="nothing is compiled")
def test_kernels_for_other_processors(tmp_path: Path) -> None:
    """Products shared out among two, with imitated instructions; half of them in a process beside the other.

    A part of what tests there are, as each kernel is compiled for seconds; all of them:
    `GLASSNET_INSTRUCTIONS=imitated NUMBA_CACHE_DIR=/tmp/imitated python -m pytest tests/kernels`.
    """
    here = Path(__file__).parent
    env = os.environ | {"GLASSNET_INSTRUCTIONS": "imitated"}
    halves = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", which, *names],
            env=env | {"NUMBA_CACHE_DIR": str(tmp_path / str(len(names)))}, cwd=here,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for which, names in _SOME
    ]  # fmt: skip
    for told, code in [(half.communicate()[0], half.returncode) for half in halves]:
        assert code == 0, told[-4000:]
        assert "skipped" not in told.splitlines()[-1]


def test_unknown_form() -> None:
    env = os.environ | {"GLASSNET_INSTRUCTIONS": "imitatd"}
    code = "import glassnet.kernels.instructions"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "unknown value of GLASSNET_INSTRUCTIONS 'imitatd': did you mean 'imitated'" in done.stderr
