"""Help and error messages of `idtone-agi`. The command's reference page is generated from them."""

from __future__ import annotations

from typing import Annotated

import typer

from idtone.core.terminal import command_line

from .plain_agi import VARIABLE
from .plain_agi_command import relay_request


def agi(
    listen: Annotated[
        str, typer.Argument(metavar="unix:SOCKET", help="Where the service listens, as in its settings (agi.listen).")
    ],
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="The service's entry point: decide.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARGUMENT", help=f"The arguments of the entry point; {VARIABLE}NAME reads them from a variable."
        ),
    ] = None,
) -> None:
    """Pass Asterisk's request on to the service: AGI(/usr/bin/idtone-agi,unix:SOCKET,ENTRY,ARGUMENT,…).

    Only Asterisk runs this command. Do not put a telephone number on its command line: put it into a channel variable,
    and write variable:NAME.
    """
    relay_request(listen, entry, *arguments or ())


def main() -> None:
    """Run the command line, which shows the help or one error message."""
    command_line.run(command_line.lone_command(agi))
