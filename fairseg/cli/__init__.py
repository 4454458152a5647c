"""The command `fairseg`, one file a command; `main` runs it."""

from fairseg.cli.command import main

__all__ = ["main"]
