"""Progress display for commands that read and check a registry. A million numbers take seconds."""

from contextlib import AbstractContextManager

from idtone.core.terminal import command_line
from idtone.core.translation import Message


def checking() -> AbstractContextManager[None]:
    """Show a spinner while a registry is being read. Do not prompt for input inside this context."""
    return command_line.working(Message("checking the registry"))
