"""One holder at a time: a lock that dies with its process.

The operating system holds it (flock), so a killed process leaves nothing stale behind: what lies on the disk
is an empty file and says nothing by itself. It works between machines where their shared disk passes locks on
(NFS 4 does).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Lock"]


class Lock:
    """An exclusive lock on a name.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "run.lock"
    >>> with Lock(place).held(), Lock(place).tried() as mine:
    ...     mine
    False
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until nobody else holds it."""
        with self._opened() as fd:
            while not _take(fd):
                time.sleep(0.05)
            yield

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Take it if nobody else holds it; says whether."""
        with self._opened() as fd:
            yield _take(fd)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            yield fd
        finally:
            os.close(fd)  # lets go of the lock; the file stays: removing it would let two hold it


if sys.platform == "win32":
    import msvcrt

    def _take(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _take(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
