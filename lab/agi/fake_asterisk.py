"""A fake Asterisk for AGI, for responses that a real Asterisk does not give on demand."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from idtone.agi.environment import AgiRequest, write_fields

NUMBER = "09012345678"
CALL = {
    "agi_request": b"agi://127.0.0.1/decide",
    "agi_channel": b"PJSIP/trunk-00000001",
    "agi_language": b"en",
    "agi_type": b"PJSIP",
    "agi_uniqueid": b"1795597718.1",
    "agi_version": b"22.10.1",
    "agi_callerid": NUMBER.encode(),
    "agi_calleridname": "鈴木".encode(),
    "agi_callingpres": b"0",
    "agi_callingani2": b"0",
    "agi_callington": b"0",
    "agi_callingtns": b"0",
    "agi_dnid": b"0312345678",
    "agi_rdnis": b"unknown",
    "agi_context": b"from-trunk",
    "agi_extension": b"0312345678",
    "agi_priority": b"7",
    "agi_enhanced": b"0.0",
    "agi_accountcode": b"",
    "agi_threadid": b"140585945355968",
}
"""Fields that Asterisk 22.10.1 sends to a program."""


def agi_fields(entry: str = "decide", arguments: Iterable[str] = (), **changes: bytes) -> dict[str, bytes]:
    """The AGI environment that Asterisk sends over TCP. `changes` replaces fields."""
    call = {"agi_network": b"yes", "agi_network_script": entry.encode()} | CALL | changes
    return call | {f"agi_arg_{number}": each.encode() for number, each in enumerate(arguments, 1)}


def encode_agi_fields(entry: str = "decide", arguments: Iterable[str] = (), **changes: bytes) -> bytes:
    return write_fields(agi_fields(entry, arguments, **changes))


@dataclass
class FakeAsterisk:
    """Answers AGI commands as Asterisk does.

    `instead` maps the first words of a command to another response, which is used once.
    """

    reader: asyncio.StreamReader
    write: Callable[[bytes], object]
    instead: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    """Variables, in the order in which they were set."""
    commands: list[str] = field(default_factory=list)

    async def serve(self) -> None:
        """Answer commands until the peer ends the connection."""
        with suppress(ConnectionError):
            while line := await self.reader.readline():
                self.commands.append(line.decode().rstrip("\n"))
                self.write(self._response(self.commands[-1]))

    def _response(self, command: str) -> bytes:
        for start in self.instead:
            if command.startswith(start):
                return self.instead.pop(start)
        words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r'"((?:[^"\\]|\\.)*)"', command)]
        if command == "NOOP":
            return b"200 result=0\n"
        if command.startswith("SET VARIABLE"):
            self.variables[words[0]] = words[1]
            return b"200 result=1\n"
        return b"510 Invalid or unknown command\n"


@asynccontextmanager
async def connect_as_asterisk(address: Path | tuple[str, int], environment: bytes) -> AsyncIterator[FakeAsterisk]:
    """Context with a connection to the service on which the fake has sent `environment`."""
    if isinstance(address, Path):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(environment)
        yield FakeAsterisk(reader, writer.write)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def run_over_pipes() -> AsyncIterator[tuple[FakeAsterisk, asyncio.StreamReader, int]]:
    """Context for a program that communicates over two pipes, as it does under Asterisk.

    Yields the fake, and the input and output of the program.
    """
    loop = asyncio.get_running_loop()
    to_program, to_asterisk = os.pipe(), os.pipe()
    reader, program_reader = asyncio.StreamReader(limit=2**14), asyncio.StreamReader(limit=2**14)
    transports = []
    for end, stream in ((to_asterisk[0], reader), (to_program[0], program_reader)):
        transport, _ = await loop.connect_read_pipe(
            lambda stream=stream: asyncio.StreamReaderProtocol(stream), os.fdopen(end, "rb", 0)
        )
        transports.append(transport)
    try:
        yield FakeAsterisk(reader, lambda data: os.write(to_program[1], data)), program_reader, to_asterisk[1]
    finally:
        for transport in transports:
            transport.close()
        for end in (to_program[1], to_asterisk[1]):
            with suppress(OSError):
                os.close(end)


class RecordingAnswer:
    """A service's answer that records the requests and raises the given exceptions."""

    def __init__(self, *raises: Exception, takes_s: float = 0) -> None:
        self.requests: list[AgiRequest] = []
        self.raises = raises
        self.takes_s = takes_s
        self.may_end = asyncio.Event()
        """Event without which no answer ends. A test may clear it."""
        self.may_end.set()

    async def __call__(self, request: AgiRequest) -> Mapping[str, str]:
        self.requests.append(request)
        for error in self.raises:
            raise error
        await asyncio.sleep(self.takes_s)
        await self.may_end.wait()
        return {"IDTONE_OUTCOME": 'PLAY "x" \\', "IDTONE_NONCE": "n-1"}
