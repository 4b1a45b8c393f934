"""`idtone-agi`: the program that Asterisk runs for AGI() to reach the service over a Unix socket."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line

from .environment import LONGEST
from .plain_agi import VARIABLE, Relay

_NUMBER: Final = re.compile(r"(?:\+81|81|0)[0-9]{9,10}")


def agi(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="The service's entry point: decide.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARGUMENT", help=f"The arguments of the entry point; {VARIABLE}NAME reads them from a variable."
        ),
    ] = None,
    config: command_line.ConfigOption = None,
) -> None:
    """Pass Asterisk's request on to the service at agi.listen: AGI(/usr/bin/idtone-agi,ENTRY,ARGUMENT,…).

    Only Asterisk runs this command. A telephone number must not be on its command line: put it into a channel variable,
    and write variable:NAME.
    """
    if not _is_pipe(sys.stdin):
        raise UsageError("only Asterisk can run this command, with AGI()")
    arguments = arguments or []
    if any(_NUMBER.fullmatch(argument) for argument in arguments):
        raise UsageError(
            "telephone numbers must not be on a command line; put them into a channel variable, write {variable}NAME",
            variable=VARIABLE,
        )
    # Asterisk sends SIGHUP when the caller hangs up. The verdict must reach the channel all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(_relay(entry, arguments, load_settings(config).agi.address()))


def main() -> None:
    """Entry point of the `idtone-agi` command."""
    command_line.run(command_line.lone_command(agi))


async def _relay(entry: str, arguments: Sequence[str], address: Path | tuple[str, int]) -> None:
    asterisk = asyncio.StreamReader(limit=LONGEST)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asterisk), sys.stdin)
    try:
        await Relay(asterisk, sys.stdout.fileno()).run(entry, arguments, address)
    finally:
        transport.close()


def _is_pipe(stream: TextIO | None) -> bool:
    return stream is not None and (stat.S_ISFIFO(mode := os.fstat(stream.fileno()).st_mode) or stat.S_ISSOCK(mode))
