"""`glassnet cache`: what is kept of data on this machine, and its removal."""

from __future__ import annotations

from typing import Annotated

import typer

from glassnet.cli.options import Debug

__all__ = ["cache"]


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all packed copies; downloads stay.")] = False,
    debug: Debug = False,
) -> None:
    """Show where pictures are kept packed for the next start and how much they take, or remove them.

    Nobody has to: beyond 10 GB (GLASSNET_CACHE_GB) the copies used longest ago go by themselves.
    """
    from glassnet.data import cache as kept

    if clear:
        print(f"{kept.make_room(0) / 1e6:,.0f} MB removed")
    copies, taken = kept.size()
    print(
        f"{kept.folder()}: {copies} packed copies, {taken / 1e6:,.0f} of at most {kept.limit() / 1e6:,.0f} MB"
    )
