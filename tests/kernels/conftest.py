"""Products in each form that this processor has, and threads for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from glassnet.kernels import by_halves, stored
from glassnet.kernels.blas import allowed_threads


@pytest.fixture(params=["vectors", "squares"])
def registers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sums in vectors (AVX-512) and in squares (AMX): each wherever the processor has it."""
    if request.param == "squares" and stored.SQUARES is None:
        pytest.skip("no registers of 16 x 64 bytes here, or the system does not lend them (AMX)")
    if request.param == "squares":
        monkeypatch.setattr(stored, "_MANY", 0)
    else:
        monkeypatch.setattr(stored, "SQUARES", None)
        monkeypatch.setattr(by_halves, "REGISTERS", None)
    return str(request.param)


@pytest.fixture
def two() -> Iterator[None]:
    """What the BLAS may use, on any machine."""
    with threadpool_limits(2, user_api="blas"):
        if allowed_threads() < 2:
            pytest.skip("this BLAS cannot use two threads")
        yield
