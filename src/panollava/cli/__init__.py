"""The command ``panollava``: one file per verb; torch is imported only inside a verb that needs it."""

from panollava.cli.program import main

__all__ = ["main"]
