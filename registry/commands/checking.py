"""What a command shows while it reads and checks a registry: a million numbers take seconds."""

from __future__ import annotations

from contextlib import AbstractContextManager

from idtone.core.terminal import command_line
from idtone.core.translation import Message


def checking() -> AbstractContextManager[None]:
    """On a terminal, on standard error. Nothing may be asked meanwhile."""
    return command_line.working(Message("checking the registry"))
