"""What the tests of the estimators share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from glassnet.progress import Progress


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """These networks are so small that a second thread costs more than it gives."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


class Notes(Progress):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, task: str, total: int | None = None) -> None:
        self.told.append((task, total))

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.told.append(note.split()[0])

    def end(self) -> None:
        self.told.append("end")


@pytest.fixture
def notes() -> Notes:
    return Notes()
