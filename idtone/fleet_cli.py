"""The root of `idtone-fleet`: several PBXs as one."""

from idtone.core.terminal import command_line
from idtone.operations.fleet.commands import COMMANDS

app = command_line.program("Several PBXs as one: their state, their settings, their upgrade.")
command_line.add_commands(app, COMMANDS)


def main() -> None:
    """Entry point of the `idtone-fleet` command."""
    command_line.run(app)
