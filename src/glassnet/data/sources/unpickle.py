"""Reading the pickles of CIFAR's Python version without running what a pickle may say."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from glassnet.errors import InputError

__all__ = ["load_arrays"]


def load_arrays(content: bytes, where: str) -> dict[str, Any]:
    """The dictionary of a pickle made of numbers, text, lists, dictionaries and NumPy arrays only.

    Anything else (any function or class) is refused before it is touched, so a hostile file cannot run code.
    Keys come back as text.
    """
    try:
        found = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except Exception as error:  # malformed opcodes raise nearly anything
        raise InputError(
            f"{where} is no CIFAR batch, or a damaged one ({error}): download it again"
        ) from None
    if not isinstance(found, dict):
        raise InputError(f"{where} is no CIFAR batch: it holds a {type(found).__name__}, not a dictionary")
    return {k.decode("latin1") if isinstance(k, bytes) else str(k): v for k, v in found.items()}


def _empty_array(kind: type, shape: tuple[int, ...], code: object) -> np.ndarray[Any, Any]:
    """Stands in for NumPy's `_reconstruct`: the data bring their shape, a claimed one allocates nothing."""
    return np.empty(0, np.int8)


def _latin1(text: str, encoding: str) -> bytes:
    """Stands in for `codecs.encode`, which writes bytes as text in older pickle protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise InputError(f"text encoded as {encoding!r} is refused")
    return text.encode("latin1")


def _from_buffer(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any, *_: object) -> Any:
    """Stands in for NumPy's function of that name, which protocol 5 uses."""
    return np.frombuffer(content, dtype).reshape(shape, order=order)


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _latin1,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise InputError(
                f"this pickle asks for {module}.{name}: only arrays are admitted, nothing was run"
            ) from None
