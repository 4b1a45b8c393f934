"""A FastAGI server: Asterisk connects for each question of its dialplan, and has its answer put into channel variables.

FastAGI knows no password and no deadline, so the deadlines are at this end, and nothing is believed before it was read
strictly (`environment`) and Asterisk has answered a first command: whatever somebody smuggled in behind the environment
stands where that response belongs. Connections that have not come so far have a room of their own. When it is full,
who has been there longest makes room, and that is never Asterisk, which sends at once.

A connection that ends for a fault has set no variable, or not all of them: the dialplan must judge by the last one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from idtone.errors import AgiError, IdtoneError

from .codec import HANGUP, Codec
from .complaints import Complaints
from .environment import LONGEST, Request, read_request

log = logging.getLogger(__name__)

Address = Path | tuple[str, int]
"""A Unix socket, or an IP address and a port."""


class Listener(socket.socket):
    """A socket that is bound to an address; `bound` makes one, or an earlier instance has handed it on."""

    handed_on = False
    """Another process goes on listening, so the file of a Unix socket stays."""


Answer = Callable[[Request], Awaitable[Mapping[str, str]]]
"""From a question to the channel variables to set, in their order. May raise AgiError where it is no question."""

SOCKET_MODE: Final = 0o660
_ACCEPTED_AT_ONCE: Final = 16
"""asyncio takes so many new connections before it looks after those it has."""
_QUEUE: Final = 4096
"""The kernel keeps so many meanwhile."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may take, in seconds, and how many there may be."""

    presented_s: float = 2.0
    """Until a new connection has presented its call."""
    response_s: float = 1.0
    """Until Asterisk has answered a command."""
    whole_s: float = 3.0
    """From the connection to its end."""
    drain_s: float = 4.0
    """What a stop leaves to those that are there."""
    waiting: int = 256
    """Connections that have not yet presented a call."""
    answering: int = 256
    """Connections that have."""


@dataclass(eq=False, slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    task: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)
    evicted: bool = False
    hung_up: bool = False

    async def read_until(self, end: bytes) -> bytes:
        try:
            return await self.reader.readuntil(end)
        except asyncio.LimitOverrunError:
            raise AgiError(f"it sent more than {LONGEST} octets at once") from None
        except asyncio.IncompleteReadError:
            if self.evicted:
                raise AgiError("it made room for a newer one before it had presented a call") from None
            raise

    def evict(self) -> None:
        self.evicted = True
        self.writer.transport.abort()


class FastAgiServer:
    """Has each connection answered by `answer`."""

    def __init__(self, answer: Answer, limits: Limits = Limits()) -> None:
        self._answer = answer
        self._limits = limits
        self._codec = Codec()
        self._waiting: dict[_Connection, None] = {}
        """In the order in which they came."""
        self._answering: set[_Connection] = set()
        self._complaints = Complaints(log, "an AGI connection was closed")

    @asynccontextmanager
    async def listening(self, address: Address | Listener) -> AsyncIterator[Address]:
        """Listen while inside, at the address that is given back (port 0 takes any); then let what goes on end.

        Raises AgiError where the address cannot be had.
        """
        with nullcontext(address) if isinstance(address, Listener) else bound_to(address) as bound:
            server = await asyncio.start_server(self._attend, sock=bound, limit=LONGEST, backlog=_ACCEPTED_AT_ONCE)
            bound.listen(_QUEUE)
            try:
                yield address if isinstance(address, Path) else named(bound)
            finally:
                server.close()
                await self._drain()

    async def _drain(self) -> None:
        tasks = {each.task for each in (*self._waiting, *self._answering) if each.task}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._limits.drain_s)
            for task in late:
                self._complaints.note("it had not ended when the service stopped")
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._complaints.flush()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        try:
            async with _within(self._limits.whole_s, "it had not ended"):
                await self._converse(connection)
        except AgiError as error:
            self._complaints.note(str(error))
        except (asyncio.IncompleteReadError, ConnectionError):
            log.debug("Asterisk closed an AGI connection: the channel hung up")
        finally:
            self._waiting.pop(connection, None)
            self._answering.discard(connection)
            writer.transport.abort()  # nothing is under way: Asterisk has acknowledged what counts

    async def _converse(self, connection: _Connection) -> None:
        request = await self._presented(connection)
        if request is None:
            return
        try:
            variables = await self._answer(request)
        except AgiError:
            raise
        except IdtoneError as error:
            log.error("%s, channel %s: no answer: %s", request.entry, request.channel, error)
            return
        except Exception:
            log.exception("%s, channel %s: no answer", request.entry, request.channel)
            return
        for command in [self._codec.set_variable(name, value) for name, value in variables.items()]:
            if not await self._carried_out(connection, command, "1"):
                return

    async def _presented(self, connection: _Connection) -> Request | None:
        """The question, proven to be the only one; None where the channel hung up."""
        if len(self._waiting) >= self._limits.waiting:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.evict()
        self._waiting[connection] = None
        try:
            async with _within(self._limits.presented_s, "it had not presented a call"):
                request = read_request(await connection.read_until(b"\n\n"))
                proven = await self._carried_out(connection, self._codec.noop(), "0")
        except asyncio.IncompleteReadError:
            raise AgiError("it ended before it had presented a call") from None
        if len(self._answering) >= self._limits.answering:
            raise AgiError(f"there are {self._limits.answering} calls to answer already")
        self._waiting.pop(connection, None)
        self._answering.add(connection)
        return request if proven else None

    async def _carried_out(self, connection: _Connection, command: bytes, result: str) -> bool:
        """Have Asterisk carry out a command; False where the channel hung up."""
        connection.writer.write(command)
        async with _within(self._limits.response_s, "Asterisk had not answered"):
            line = await connection.read_until(b"\n")
            if line == HANGUP and not connection.hung_up:
                connection.hung_up = True
                line = await connection.read_until(b"\n")
        response = self._codec.response(line)
        if response.hung_up:
            return False
        if response.result != result:
            raise AgiError("Asterisk did not carry out a command")
        return True


def named(bound: socket.socket) -> Address:
    """Where a socket listens."""
    name = bound.getsockname()
    return Path(name) if isinstance(name, str) else name[:2]


@asynccontextmanager
async def _within(seconds: float, fault: str) -> AsyncIterator[None]:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise AgiError(f"{fault} within {seconds:g} s") from None


@contextmanager
def bound_to(address: Address) -> Iterator[Listener]:
    """A socket that takes connections when it listens. Raises AgiError where the address cannot be had."""
    if isinstance(address, Path):
        with _bound_path(address) as bound:
            yield bound
        return
    host, port = address
    with Listener(socket.AF_INET6 if ":" in host else socket.AF_INET) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            raise AgiError(
                f"agi.listen: {host}, port {port}: {error.strerror}; end what listens there, or set another address"
            ) from error
        yield bound


@contextmanager
def _bound_path(path: Path) -> Iterator[Listener]:
    """A Unix socket that takes the place of one that was left behind, or of an instance that is to end."""
    ours = path.with_name(f".{path.name}.{os.getpid()}")
    with Listener(socket.AF_UNIX) as bound:
        try:
            if path.exists() and not path.is_socket():
                raise AgiError(f"agi.listen: {path} is there and is no socket; set another path")
            bound.bind(str(ours))
            ours.chmod(SOCKET_MODE)
            inode = ours.stat().st_ino
            ours.rename(path)
        except OSError as error:
            ours.unlink(missing_ok=True)
            raise AgiError(
                f"agi.listen: {path}: {error.strerror or error}; make its folder, and let the service write there"
            ) from error
        try:
            yield bound
        finally:
            if not bound.handed_on and path.exists() and path.stat().st_ino == inode:
                path.unlink()
