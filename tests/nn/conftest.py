"""Tests that name `kernel_form` run with the compiled kernels and with their definition."""

from __future__ import annotations

import pytest

from glassnet import kernels
from glassnet.kernels import compiled, reference


@pytest.fixture(params=["compiled", "reference"])
def kernel_form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    form = {"compiled": compiled, "reference": reference}[request.param]
    for name in kernels.__all__:
        monkeypatch.setattr(kernels, name, getattr(form, name))
    if form is reference:  # which goes layer by layer
        monkeypatch.setattr(kernels, "rows_of_chain", lambda *_: range(0))
    return request.param
