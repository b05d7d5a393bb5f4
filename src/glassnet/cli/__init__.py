"""The command `glassnet`: parse, call one public function, print."""

from glassnet.cli.app import main

__all__ = ["main"]
