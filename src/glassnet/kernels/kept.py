"""Compiled code kept on disk: when it is stale, and how it gets into a process without a compiler.

Numba is made ready to compile before it even looks for code on the disk: it imports all that it can translate
(25 MiB, SciPy's linear algebra among it) and compiles its own counting of references (20 MiB, most of it
pages of LLVM), together a third of a second. Code that is already compiled needs nothing of it but the
addresses of a few functions in C. So the code is fetched first, and Numba does the rest when there is none.

Numba has no public place for any of this. What its versions may change is kept to this module, and tested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.caching import FunctionCache
from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]

from glassnet.kernels.instructions import IMITATED

__all__ = ["AT_ONCE", "KeptCode"]

#: Whether kept code is fetched without making Numba ready: with versions that are known to need nothing more.
#: With another one it takes the way that Numba itself goes, until the tests of this module have run with it.
AT_ONCE = (0, 62) <= tuple(part or 0 for part in numba.version_info.short) <= (0, 68)


class KeptCode(FunctionCache):  # type: ignore[misc, unused-ignore]
    """The compiled code of a function, in Numba's files beside its source or in the user's cache folder.

    It is stale when any module beside the function's, or any kernel, has changed: Numba asks the function's
    own file only, but compiled into it are functions and intrinsics of others. Nor does what was compiled
    with imitated instructions serve without them.

    Raises
    ------
    RuntimeError : nowhere can a file be written
    AttributeError : this version of Numba keeps code in another way
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        index: Any = self._cache_file
        folder = Path(function.__code__.co_filename).parent
        index._source_stamp = (index._source_stamp, _digest(folder), _digest(Path(__file__).parent), IMITATED)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Code for these types of arguments, ready to be called; None if there is none or it is stale."""
        if not AT_ONCE:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        _name_functions_in_c()
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


@cache
def _name_functions_in_c() -> None:
    """Tell LLVM where the functions are that count references; all others it knows since the first `njit`."""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


@cache
def _digest(folder: Path) -> str:
    """A hash of all modules of a folder; of none if they are not files."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()
