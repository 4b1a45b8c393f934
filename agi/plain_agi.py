"""Plain AGI: for each request, Asterisk runs a program that relays it to the service.

Plain AGI suits a PBX whose policy forbids AGI over a network or whose service listens on a Unix socket. Asterisk puts
the arguments of `AGI(program,…)` on the program's command line, where every user of the machine can read them.
Telephone numbers therefore stay in channel variables: the command line contains the variable's name, and the relay
reads its value from the channel.

To the service, the relay behaves like Asterisk. To Asterisk, it passes only the commands that the service uses.
Otherwise, another program at the service's address could make Asterisk execute any command.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from idtone.core.errors import AgiError

from .codec import AgiCodec
from .environment import read_fields, read_request, write_fields

DEADLINE_S: Final = 3.0
VARIABLE: Final = "variable:"
"""Prefix for a channel variable's name. Its value replaces the argument; commas separate several arguments."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD: Final = rb'"(?:[^"\\\x00-\x1f\x7f]|\\["\\])*"'
_PASSED_ON: Final = re.compile(rb'NOOP\n|SET VARIABLE "[A-Za-z_][A-Za-z0-9_]*" %s\n' % _WORD)


class _HungUp(Exception):
    """The channel has hung up or Asterisk has ended."""


class Relay:
    """Relays one request between Asterisk and the service. `output` is the file descriptor for output to Asterisk."""

    def __init__(self, asterisk: asyncio.StreamReader, output: int) -> None:
        self._asterisk = asterisk
        self._output = output
        self._codec = AgiCodec()

    async def run(self, entry: str, arguments: Sequence[str], socket: Path) -> None:
        """Relay a request to the service at `socket` until the service has answered or the channel hangs up.

        Raises AgiError and also writes the error to Asterisk's log, because Asterisk discards the program's output.
        """
        with suppress(_HungUp):
            try:
                await self._in_time(entry, arguments, socket)
            except AgiError as error:
                self._write(self._codec.warn(f"idtone-agi: {error}"))
                raise

    async def _in_time(self, entry: str, arguments: Sequence[str], socket: Path) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._relay(await self._presented(entry, arguments), socket)
        except TimeoutError:
            raise AgiError(f"no answer within {DEADLINE_S:g} s") from None

    async def _presented(self, entry: str, arguments: Sequence[str]) -> bytes:
        try:
            fields = read_fields(await self._asterisk.readuntil(b"\n\n"), network=False)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise AgiError(
                "the environment does not end with a blank line; only Asterisk can run this program, with AGI()"
            ) from None
        # If a value contained an environment of its own, Asterisk's remaining lines come in place of this response.
        if not self._codec.executed(await self._ask(self._codec.noop()), "0"):
            raise _HungUp
        values: list[bytes] = []
        for argument in arguments:
            if argument.startswith(VARIABLE):
                values += (await self._variable(argument.removeprefix(VARIABLE))).split(b",")
            else:
                values.append(os.fsencode(argument))
        presented = write_fields(
            {"agi_network": b"yes", "agi_network_script": os.fsencode(entry)}
            | {name: value for name, value in fields.items() if not name.startswith("agi_arg_")}
            | {f"agi_arg_{number}": value for number, value in enumerate(values, 1)}
        )
        if len(read_request(presented).arguments) != len(values):
            raise AgiError("an argument contains a line break")
        return presented

    async def _variable(self, name: str) -> bytes:
        if not _NAME.fullmatch(name):
            raise AgiError(f"the name of a channel variable must follow {VARIABLE}")
        # URI-encoded, because Asterisk does not escape values in responses; with "=" in front, because pyst2 takes the
        # value "hangup" for a hangup.
        command = self._codec.get_full_variable(f"=${{URIENCODE(${{{name}}})}}")
        line = await self._ask(command)
        if not self._codec.executed(line, "1"):
            raise _HungUp
        data = self._codec.response(line).data
        if not data.startswith("="):
            raise AgiError(f"the channel variable {name} cannot be read")
        return unquote_to_bytes(data[1:])

    async def _relay(self, presented: bytes, socket: Path) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(socket)
        except OSError as error:
            raise AgiError(f"the service does not listen at agi.listen: {error.strerror}") from error
        try:
            writer.write(presented)
            while command := await reader.readline():
                if not _PASSED_ON.fullmatch(command):
                    raise AgiError("the program that listens at agi.listen is not the service: it sent another command")
                line = await self._ask(command)
                self._codec.response(line)  # raises for a line that is not a response, so it is not passed on
                writer.write(line)
        except (ValueError, ConnectionError):
            raise AgiError("the connection to the service broke") from None
        finally:
            writer.transport.abort()

    async def _ask(self, command: bytes) -> bytes:
        self._write(command)
        try:
            return await self._asterisk.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise _HungUp from None
        except asyncio.LimitOverrunError:
            raise AgiError("Asterisk's response is too long") from None

    def _write(self, command: bytes) -> None:
        try:
            os.write(self._output, command)
        except BrokenPipeError:
            raise _HungUp from None
