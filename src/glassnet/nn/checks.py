"""What cannot be a network, said before there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError, unknown_name
from glassnet.nn.layers import Layer

__all__ = ["MATMUL_PRECISIONS", "check_network", "check_precision"]

MATMUL_PRECISIONS = ("full", "bfloat16")


def check_network(layers: Sequence[Any], n_inputs: Any, dtype: npt.DTypeLike) -> None:
    """Refuse what `Network` was given where it makes no sense.

    Raises
    ------
    InputError : says what is wrong, and what would be right
    """
    for layer in layers:
        if not isinstance(layer, Layer):
            raise InputError(f"a network is made of layers such as Dense(10), not {layer!r}")
    if not layers:
        raise InputError("a network needs at least one layer")
    if not isinstance(n_inputs, int | np.integer) or n_inputs < 1:
        raise InputError(f"n_inputs must be a whole number of at least 1, not {n_inputs!r}")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise InputError(f"dtype must be float32 or float64, not {np.dtype(dtype)}")


def check_precision(precision: str, dtype: npt.DTypeLike) -> None:
    """Refuse a precision of products that nobody knows, or that a network of this type cannot have.

    Raises
    ------
    InputError : says which there are, or what the network would have to be
    """
    if precision not in MATMUL_PRECISIONS:
        raise unknown_name("matmul_precision", precision, MATMUL_PRECISIONS)
    if precision == "bfloat16" and np.dtype(dtype) != np.float32:
        raise InputError(
            f"matmul_precision='bfloat16' is for networks of float32, and this one is of {np.dtype(dtype)}: "
            "make it anew with dtype='float32' (an estimator: fit it without warm_start)"
        )
