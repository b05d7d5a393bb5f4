"""Compiling with Numba: cached on disk, or in memory only where nothing can be written."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from numba import extending, njit
from numba.core import event

from glassnet.kernels.kept import KeptCode

__all__ = ["compiler", "intrinsic", "jit", "variant", "working_time"]

log = logging.getLogger("glassnet")


def compiler(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with these options, and with the compiled code kept on disk for the next process.

    Numba keeps it beside the source, or else in the user's cache folder; `NUMBA_CACHE_DIR` names another.
    Where none of them can be written (a read-only container), every process compiles for itself.
    """

    def compile_cached(function: Callable[..., Any]) -> Any:
        compiled: Any = njit(**options)(function)
        try:
            compiled._cache = KeptCode(function)  # what njit(cache=True) does with Numba's own class
        except RuntimeError:  # "cannot cache function ...: no locator available"
            _tell_once("neither glassnet's folder nor the user's cache can be written")
        except AttributeError as error:
            _tell_once(f"this version of Numba keeps it in another way ({error})")
        return compiled

    return compile_cached


class _Stopwatch(event.Listener):
    """Seconds in which somebody was compiling, in whatever thread."""

    def __init__(self) -> None:
        self.spent, self.since, self.depth = 0.0, 0.0, 0
        self.lock = threading.Lock()

    def on_start(self, event: Any) -> None:
        with self.lock:
            if self.depth == 0:
                self.since = time.perf_counter()
            self.depth += 1

    def on_end(self, event: Any) -> None:
        with self.lock:
            self.depth -= 1
            if self.depth == 0:
                self.spent += time.perf_counter() - self.since


_compiling = _Stopwatch()
event.register("numba:compile", _compiling)  # type: ignore[no-untyped-call]


def working_time() -> float:
    """Seconds on a clock that stands still while functions are compiled, to tell how long work itself takes.

    Otherwise whoever comes first would look slow: its kernels are compiled, once and for all who follow.
    """
    with _compiling.lock:
        now = _compiling.since if _compiling.depth else time.perf_counter()
        return now - _compiling.spent


def variant(template: Callable[..., Any], origin: Callable[..., Any], name: str, **functions: Any) -> Any:
    """A plain function as the template, but with these functions for globals, to be compiled as `name`.

    Its code is kept on disk as a function of the origin's file. Functions in a closure instead would be part
    of the key there, by an identity that is another one in every process if they call compiled functions.
    """
    code = template.__code__.replace(
        co_filename=origin.__code__.co_filename, co_firstlineno=origin.__code__.co_firstlineno
    )
    function = FunctionType(code, template.__globals__ | functions)
    function.__module__, function.__qualname__ = origin.__module__, name
    return function


def intrinsic(declare: Callable[..., Any]) -> Any:
    """`numba.extending.intrinsic`: a function of compiled code that is written in LLVM's own language.

    `declare(typing context, *argument types)` returns its signature and the function that generates it.
    """
    return extending.intrinsic(declare)


#: For every kernel, alone or shared out to a team: other options would give other bits. `error_model="numpy"`
#: because a checked division keeps LLVM from vectorising; of the fast-math flags only "contract" (fused
#: multiply-add), because the others assume that no NaN ever occurs, and NaN must be seen.
jit = compiler(error_model="numpy", fastmath={"contract"}, nogil=True)


@cache
def _tell_once(why: str) -> None:
    log.warning(
        "compiled code cannot be kept: %s: every start compiles for some seconds; set NUMBA_CACHE_DIR to a "
        "folder that can be written, or install another version of Numba",
        why,
    )
