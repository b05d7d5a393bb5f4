"""Who takes part, in which works, and which settings each may choose from.

Nothing here imports a contestant's library: that happens in the contestant's own process, in the module
named here. Such a module has a function `build(work, settings, rows) -> Contestant`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.works import N_CORES, Array, Parameters, Work

__all__ = ["CONTESTANTS", "Contestant", "Kind", "Settings"]

Settings = Mapping[str, Any]
Choices = dict[str, tuple[Any, ...]]


class Contestant(Protocol):
    """One library at one work with one choice of settings, its data loaded."""

    work: Work

    def start(self) -> None:
        """Begin (again) from `initial_parameters`."""

    def run(self) -> None:
        """One repeat: the epochs, the sweep, or one call to predict. This is what is timed."""

    def models(self) -> list[Parameters]:
        """The trained parameters: one list for each network."""

    def predictions(self) -> Array:
        """What the last call to predict gave: (rows, classes) probabilities."""


@dataclass(frozen=True)
class Kind:
    """One column of the table.

    Parameters
    ----------
    name : of the column
    module : where `build` is
    needs : packages that must be installed
    keys : of the works it takes part in
    choices : the settings to choose among, the first of each being where the search begins
    starts_from : another contestant whose choice is a better beginning
    environment : what its process must have in the environment for a choice
    float32 : whether it computes at glassnet's precision
    peer : False for what is only measured beside (the products alone)
    own : glassnet, or glassnet at another precision
    """

    name: str
    module: str
    needs: tuple[str, ...]
    keys: frozenset[str]
    choices: Callable[[Work], Choices] = lambda work: {}
    starts_from: str = ""
    environment: Callable[[Settings], dict[str, str]] = lambda settings: {}
    float32: bool = True
    peer: bool = True
    own: bool = False

    @property
    def beside(self) -> bool:
        """Whether glassnet's time is divided by this one's."""
        return self.peer and not self.own

    def installed(self) -> bool:
        return all(importlib.util.find_spec(name) is not None for name in self.needs)


THREADS = (N_CORES, 1) if N_CORES > 1 else (1,)
ALL = frozenset({"W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9a", "W9b"})
# On a full batch a Python loop's cost is nothing, but a copy of all rows per step would be everything.
FULL_BATCH = frozenset({"W6", "W7"})
#: Elsewhere products are too small for squares of registers, and being allowed to round changes nothing.
LARGE_PRODUCTS = frozenset({"W3", "W4", "W7", "W9b"})


def _threads(work: Work) -> Choices:
    """A sweep may also train as many settings at once as there are cores, with one thread each."""
    return ({"workers": (1, N_CORES)} if work.kind == "sweep" else {}) | {"threads": THREADS}


_FORMS: Choices = {"data": ("float32", "uint8")}


def _own(work: Work) -> Choices:
    """Bytes whenever it trains: there is nothing to choose."""
    return _FORMS if work.kind == "predict" else {}


def _eager(work: Work) -> Choices:
    return _FORMS | {"layout": ("out x in", "in x out")} | _threads(work)


def _scope(work: Work) -> Choices:
    """Compile the loss with its gradient, or the whole step with the optimizer's update."""
    return {} if work.kind == "predict" else {"compiled": ("whole step", "loss")}


MODES = ("default", "reduce-overhead", "max-autotune-no-cudagraphs")


def _compile(work: Work) -> Choices:
    return _scope(work) | {"mode": MODES} | _FORMS | _threads(work)


def _bf16(work: Work) -> Choices:
    return (
        {"precision": ("autocast", "pure bf16")} | {"mode": ("eager", *MODES[::2])} | _scope(work)
        | {"data": ("bfloat16", "uint8", "float32")} | _threads(work)
    )  # fmt: skip


def _rounded(work: Work) -> Choices:
    return _own(work) | {"matmul_precision": ("bfloat16",)}


def _jax(work: Work) -> Choices:
    gather: Choices = {}
    if work.kind != "predict" and work.key not in FULL_BATCH:
        gather = {"gather": ("per batch", "per epoch")}
    return _FORMS | gather | {"vectors": ("default", "512 bit")} | _threads(work)


def _jax_environment(settings: Settings) -> dict[str, str]:
    flags = ["--xla_cpu_prefer_vector_width=512"] if settings.get("vectors") == "512 bit" else []
    if settings.get("threads") == 1 or settings.get("workers", 1) > 1:
        flags += ["--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"]
    return {"JAX_PLATFORMS": "cpu"} | ({"XLA_FLAGS": " ".join(flags)} if flags else {})


def _sklearn(work: Work) -> Choices:
    return {"workers": (1, N_CORES)} if work.kind == "sweep" else {}


CONTESTANTS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("glassnet", "with_glassnet", (), ALL, _own, own=True),
        Kind("glassnet bf16", "with_glassnet", (), LARGE_PRODUCTS, _rounded, float32=False, own=True),
        Kind("products", "products", (), frozenset({"W1", "W2", "W3", "W4"}), peer=False),
        Kind("coursework", "coursework", (), frozenset({"W1", "W2", "W6", "W7"})),
        Kind("scikit-learn", "with_sklearn", ("sklearn",), ALL, _sklearn),
        Kind("torch eager", "with_torch", ("torch",), ALL, _eager),
        Kind("torch compile", "with_torch", ("torch",), ALL, _compile, starts_from="torch eager"),
        Kind("torch bf16", "with_torch", ("torch",), ALL, _bf16, float32=False),
        Kind("jax", "with_jax", ("jax",), ALL, _jax, environment=_jax_environment),
    )
}
