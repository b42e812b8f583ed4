"""The command: a file for each of its commands; `main.py` finds the one that was typed."""

from beliefmatch.cli.main import COMMANDS, main

__all__ = ["COMMANDS", "main"]
