"""Findings: what a check of the data or a diagnosis of a run has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

__all__ = ["Finding", "Severity", "counted", "finding", "registered"]


def counted(n: int, one: str, many: str) -> str:
    """A number with the words that fit it.

    >>> counted(1, "cell is", "cells are"), counted(2000, "cell is", "cells are")
    ('1 cell is', '2,000 cells are')
    """
    return f"{n:,} {one if n == 1 else many}"


class Severity(IntEnum):
    """How serious a finding is; comparable, worst last."""

    OK = 0  # looked, found nothing
    SKIPPED = 1  # the check does not apply; the summary says why
    INFO = 2
    WARNING = 3
    ERROR = 4  # an alarm: results would be wrong or meaningless

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One verdict: what was measured, against which threshold, and what to do.

    >>> f = Finding("constant-columns", Severity.WARNING, "3 of 64 columns are constant", value=3)
    >>> f.severity.label
    'warning'
    """

    check: str  # kebab-case name of the check or symptom
    severity: Severity
    summary: str  # one sentence with numbers in it
    value: float | None = None
    threshold: float | None = None
    definition: str = ""  # what exactly is measured
    advice: str = ""  # the first remedy
    refute: str = ""  # the one experiment that would refute the verdict (diagnoses)
    source: str = ""  # where definition and threshold come from
    n_affected: int = 0
    examples: tuple[int | str, ...] = ()  # row numbers or column/layer names
    details: dict[str, Any] = field(default_factory=dict)  # plain numbers for tables and figures


F = TypeVar("F", bound=Callable[..., Any])
_REGISTRY: dict[str, dict[str, Callable[..., Any]]] = {}


def finding(family: str, name: str) -> Callable[[F], F]:
    """Register a check ("data") or a diagnosis ("run") under its kebab-case name."""

    def register(function: F) -> F:
        checks = _REGISTRY.setdefault(family, {})
        if name in checks:
            raise ValueError(f"two findings of family {family!r} are called {name!r}")
        checks[name] = function
        return function

    return register


def registered(family: str) -> dict[str, Callable[..., Any]]:
    """The registered functions of a family by name, in the order of their definition."""
    return dict(_REGISTRY.get(family, {}))
