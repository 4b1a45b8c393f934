"""The programs that idtone installs, and which of them has a command."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import typer.main

from idtone.cli import app as node
from idtone.office_cli import app as office

PROGRAMS: Final[dict[str, typer.Typer]] = {"idtone": node, "idtone-office": office}


@cache
def tree(program: str) -> Any:
    """The root of a program's groups and commands."""
    return typer.main.get_command(PROGRAMS[program])


def program_of(words: Sequence[str]) -> str:
    """The program that has the command with these words; `idtone` if none has it."""
    return next((name for name in PROGRAMS if words and words[0] in tree(name).commands), "idtone")
