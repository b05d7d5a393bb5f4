"""What the command has to say beside its results: one line on stderr."""

from __future__ import annotations

import sys

__all__ = ["one_line", "say"]


def say(message: str) -> None:
    """Print one line on stderr, with the command's name in front."""
    print(f"glassnet: {one_line(message)}", file=sys.stderr)


def one_line(message: str) -> str:
    """The message without line breaks."""
    return " ".join(message.split())
