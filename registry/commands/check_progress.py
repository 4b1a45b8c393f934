"""A display of progress while a command reads and checks a registry, because a million numbers take seconds."""

from contextlib import AbstractContextManager

from idtone.core.terminal import command_line
from idtone.core.translation import Message


def checking() -> AbstractContextManager[None]:
    """Show on a terminal's standard error that the registry is being read. Do not ask anything in this context."""
    return command_line.working(Message("checking the registry"))
