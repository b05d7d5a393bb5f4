"""A few threads that do one compiled kernel together: each takes parts of the work until none is left.

Work on a small network comes in pieces of 50 microseconds, too short to wake a sleeping thread. So the
members of a team wait for the next piece in a loop that never sleeps while a training runs (and sleep
when nothing has come for a while). They run compiled code without Python's lock; they take the lock only
at the moment at which a piece has been published, when the leader does not need it.

What is a part does not depend on who does it, nor when: a member that is late, because the machine is
busy, only means that the leader does more parts himself. The results are the same bits.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec

import numpy as np
import numpy.typing as npt
from numba.extending import register_jitable

from glassnet.kernels import atomic
from glassnet.kernels.blas import allowed_threads, blas_threads
from glassnet.kernels.jit import jit, variant
from glassnet.kernels.processors import move_to_processor
from glassnet.kernels.room import aligned
from glassnet.kernels.tile import AHEAD, BYTES

__all__ = [
    "LONG",
    "Team",
    "accumulate",
    "alone",
    "current",
    "cut",
    "cut_product",
    "divided",
    "employed",
    "shared",
    "stretched",
    "work_alone",
]

P = ParamSpec("P")
Array = npt.NDArray[Any]
LONG = 2**15  # numbers in a vector below which a team does not pay (for products: multiplications / 8)
_VERY_LONG = 2**20  # where the BLAS has threads of its own
_LARGEST = 8  # members: they learn of a job one after the other, and parts of 16 rows are over by then
_JOB, _NEXT, _DONE, _FAILED = 0, 16, 32, 48  # places on the board, each in a cache line of its own
_MOST = 256  # parts of a job are fewer: a ticket is job * _MOST + part
_PATIENCE = 3_000  # looks at the board before a member goes to sleep, about a millisecond
_A_FEW_LOOKS = 10  # after a nap
_NAP = 0.0005  # seconds

Share = Callable[..., bool]


@jit
def _watch(board: Any, seen: int, patience: int) -> bool:
    """Wait for another job than the last one seen; False if none came."""
    for _ in range(patience):
        if atomic.load(board, _JOB) != seen:
            return True
        atomic.give_way()
    return False


def kernel(*_: Any) -> None:
    """What a share does with a part: `divided` puts another function in its place."""


def _share(board: Any, job: int, parts: Any, leads: bool, patience: int) -> bool:
    """Do parts of this job until none is left; the leader then waits for the others, they for another job.

    Returns whether all is well (leader), or whether there is another job (member).
    """
    n = len(parts)
    if leads:
        atomic.store(board, _DONE, 0)
        atomic.store(board, _FAILED, 0)
        atomic.store(board, _NEXT, job * _MOST)
        atomic.store(board, _JOB, job)
    while True:
        ticket: int = atomic.load(board, _NEXT)
        if ticket // _MOST != job or ticket % _MOST >= n:
            break
        if atomic.swap(board, _NEXT, ticket, ticket + 1):
            try:
                kernel(*parts[ticket % _MOST])
            except Exception:  # no memory, say: nobody may wait for a part that never gets done
                atomic.add(board, _FAILED, 1)
            atomic.add(board, _DONE, 1)
    if not leads:
        return bool(_watch(board, job, patience))
    while atomic.load(board, _DONE) < n:
        atomic.give_way()
    return bool(atomic.load(board, _FAILED) == 0)


def divided(kernel: Callable[..., None]) -> Share:
    """A plain function that Numba can compile, as something a team can do: `team.do(share, parts)`."""
    name = f"{kernel.__qualname__}_together"
    together: Share = jit(variant(_share, kernel, name, kernel=register_jitable(kernel)))
    return together


def shared(kernel: Callable[P, None]) -> Callable[P, None]:
    """A compiled kernel over arrays of one length: the members of a team each take a stretch of them.

    Arguments that are not arrays are the same for all. What has few numbers is done by the caller alone.
    """
    alone, together = jit(kernel), divided(kernel)

    @functools.wraps(kernel)
    def share_out(*args: P.args, **_: P.kwargs) -> None:
        first: Any = args[0]
        members = willing(first.size)
        if members is None:
            alone(*args)
        else:
            members.do(together, tuple(
                tuple(arg[i:j] if isinstance(arg, np.ndarray) else arg for arg in args)
                for i, j in cut(len(first), members.size if first.size < _VERY_LONG else 8 * members.size)
            ))  # fmt: skip

    return share_out


def stretched(kernel: Callable[..., None]) -> Callable[..., None]:
    """A compiled kernel whose last arguments are start and stop: the members of a team each take a stretch.

    It is called with the end n of the whole range, the number of numbers that are worth sharing out (or not),
    and the kernel's arguments but for the last two.
    """
    alone, together = jit(kernel), divided(kernel)

    def share_out(n: int, size: int, *args: Any) -> None:
        members = willing(size)
        if members is None:
            alone(*args, 0, n)
        else:
            members.do(together, tuple((*args, i, j) for i, j in cut(n, members.size)))

    return share_out


@functools.lru_cache(maxsize=1024)  # every step asks for the same
def cut(n: int, parts: int) -> tuple[tuple[int, int], ...]:
    """Start and stop of n things cut into parts, at multiples of 16: no two members write one cache line.

    Nobody gets nothing, nor one thing of several (a single row may be of another type than rows are): of few
    things, fewer parts are made.
    """
    parts = min(parts, max(1, n // 16))
    cuts = {min(-(-n * i // (16 * parts)), max(0, n - 2) // 16) * 16 for i in range(parts)}
    return tuple(itertools.pairwise([*sorted(cuts), n]))


def cut_product(A: Any, B: Any, out: Any, parts: int) -> tuple[tuple[Any, Any, Any], ...]:
    """The product out = A @ B cut into parts: by rows of A, or by columns of B if there are more of these."""
    if len(A) >= B.shape[1]:
        return tuple((A[i:j], B, out[i:j]) for i, j in cut(len(A), parts))
    return tuple((A, B[:, i:j], out[:, i:j]) for i, j in cut(B.shape[1], parts))


class Team:
    """The calling thread and `size` - 1 more.

    Parameters
    ----------
    size : number of threads; a team of one does products, nothing else
    multiplies : whether it does products; if not, it does only what takes milliseconds
    by_blas : whether its members call the BLAS for large ones
    """

    def __init__(self, size: int, multiplies: bool = True, by_blas: bool = False) -> None:
        self.size, self.multiplies, self.by_blas = size, multiplies, by_blas and multiplies and size > 1
        self.shortest = LONG if multiplies else _VERY_LONG  # arrays that are worth sharing out
        self._patience = _PATIENCE if multiplies else _A_FEW_LOOKS  # the BLAS needs the processors meanwhile
        self._board = np.zeros(64, np.int64)
        self._job: tuple[int, Share, tuple[Any, ...]] = (0, _watch, ())
        self._dismissed = False
        self._scratch: dict[Any, Array] = {}
        self._members = [
            threading.Thread(target=self._member, args=(i,), daemon=True) for i in range(1, size)
        ]
        if size > 1:  # else all the processes of a sweep would meet on the first processor
            move_to_processor(0)
        for member in self._members:
            member.start()

    def scratch(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array to be written first, the same one at every call with this name, shape and dtype."""
        key = (name, shape, np.dtype(dtype))
        if key not in self._scratch:
            self._scratch[key] = aligned(shape, dtype)
        return self._scratch[key]

    def do(self, share: Share, parts: tuple[tuple[Any, ...], ...]) -> None:
        """Call the kernel once with the arguments of each part; the parts must not depend on each other."""
        if len(parts) >= _MOST:
            raise ValueError(f"a job has at most {_MOST - 1} parts, not {len(parts)}")
        number = self._job[0] + 1
        self._job = number, share, parts
        if not share(self._board, number, parts, True, 0):
            raise RuntimeError("a part of the work shared out to threads failed: is there enough memory?")

    def add_up(self, share: Share, parts: Sequence[tuple[Any, ...]], out: Array) -> None:
        """out = the sum of what the kernel writes to its last argument, for each part a term like `out`."""
        # all of one kind, for the compiled kernel: without gaps
        total = out if out.flags.c_contiguous else self.scratch("total", out.shape, out.dtype)
        terms = self.scratch("terms", (len(parts) - 1, *out.shape), out.dtype)
        self.do(share, tuple((*part, term) for part, term in zip(parts, [total, *terms], strict=True)))
        for term in terms:
            accumulate(total.reshape(-1), term.reshape(-1))
        if total is not out:
            out[...] = total

    def _member(self, place: int) -> None:
        move_to_processor(place)
        seen = 0
        awake = _watch(self._board, seen, self._patience)
        while not self._dismissed:
            if awake:
                seen, share, parts = self._job
                awake = share(self._board, seen, parts, False, self._patience)
            else:
                time.sleep(_NAP)
                awake = _watch(self._board, seen, _A_FEW_LOOKS)

    def dismiss(self) -> None:
        self._dismissed = True
        for member in self._members:
            member.join()


@shared
def accumulate(total: Array, grad: Array) -> None:
    """The kernel of that name (see `reference`), here because the team needs it itself."""
    for i in range(len(total)):
        total[i] += grad[i]


_local = threading.local()


def current() -> Team | None:
    """The team that this thread leads."""
    return getattr(_local, "team", None)


def willing(n: int) -> Team | None:
    """The present team, if there is more than one in it and n numbers are enough to share out."""
    members = None if n < LONG else current()
    return None if members is None or members.size == 1 or n < members.shortest else members


def work_alone() -> None:
    """From now on this thread does products itself, without the BLAS, if they suit (`gemm.suits`)."""
    _local.team = Team(1, BYTES > 0)


@contextmanager
def alone() -> Iterator[None]:
    """The same for a while, where the BLAS has one thread: others are at work beside this one."""
    before = current()
    work_alone()
    try:
        yield
    finally:
        _local.team = before


@contextmanager
def employed(products: bool = True, large: bool = False) -> Iterator[None]:
    """Lead a team as large as the number of threads that the BLAS may use, eight at most.

    Parameters
    ----------
    products : the team also does the products, and all BLAS gets one thread: two kinds of waiting threads on
        the same processors are in each other's way. Otherwise the BLAS keeps its threads and the team does
        only what takes milliseconds; so it is where `gemm` has no tile for the processor.
    large : the team does the products because they are large: with its own tile where that is ahead of the
        BLAS, else each member calls the BLAS for its share (`by_blas.py`), if it has several threads; not
        where it has more of them than a team has members
    """
    if current() is not None:
        yield
        return
    least = 1 if AHEAD else 2  # threads that the BLAS may use
    large = large and least <= allowed_threads() <= _LARGEST
    products = (products or large) and BYTES > 0
    with blas_threads(single=products) as allowed:
        team = Team(min(_LARGEST, allowed), products, by_blas=large and not AHEAD)
        try:
            _local.team = team
            yield
        finally:
            _local.team = None
            team.dismiss()
