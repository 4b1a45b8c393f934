"""The program `idtone-agi`, which Asterisk runs for AGI() to reach the service over a Unix socket.

Asterisk starts the program for each request. Reading settings or importing Typer would take several times as long as a
request, so it reads no settings and imports Typer only to show help or an error.
"""

import asyncio
import os
import re
import signal
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from idtone.core.errors import IdtoneError, UsageError

from .environment import LONGEST
from .plain_agi import VARIABLE, Relay

UNUSABLE: Final = 2
"""The exit code for wrong use, the same for all commands (`core.terminal.command_line`)."""
_UNIX: Final = "unix:"
_NUMBER: Final = re.compile(r"(?:\+81|81|0)[0-9]{9,10}")


def main() -> None:
    """Entry point of the `idtone-agi` command."""
    listen, *request = sys.argv[1:] or [""]
    if not listen.startswith(_UNIX) or not request:
        from .plain_agi_help import main as explain

        explain()
        return
    try:
        relay_request(listen, *request)
    except IdtoneError as error:
        print(f"idtone: {error}", file=sys.stderr)
        sys.exit(UNUSABLE)


def relay_request(listen: str, entry: str, *arguments: str) -> None:
    """Relay Asterisk's request to the service at `listen`, a value of the setting `agi.listen`.

    Raises UsageError if a person runs the program or an argument is a telephone number. Raises AgiError if the service
    does not answer.
    """
    if not _is_pipe(sys.stdin):
        raise UsageError("only Asterisk can run this command, with AGI()")
    if not listen.startswith(_UNIX):
        raise UsageError("{listen} is not the socket of the service; run `idtone dialplan export` again", listen=listen)
    if any(_NUMBER.fullmatch(argument) for argument in arguments):
        raise UsageError(
            "telephone numbers must not be on a command line; put them into a channel variable, write {variable}NAME",
            variable=VARIABLE,
        )
    # Asterisk sends SIGHUP when the caller hangs up. The verdict must reach the channel all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(_relay(entry, arguments, Path(listen.removeprefix(_UNIX))))


async def _relay(entry: str, arguments: Sequence[str], socket: Path) -> None:
    asterisk = asyncio.StreamReader(limit=LONGEST)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asterisk), sys.stdin)
    try:
        await Relay(asterisk, sys.stdout.fileno()).run(entry, arguments, socket)
    finally:
        transport.close()


def _is_pipe(stream: TextIO | None) -> bool:
    return stream is not None and (stat.S_ISFIFO(mode := os.fstat(stream.fileno()).st_mode) or stat.S_ISSOCK(mode))
