"""A FastAGI server: Asterisk connects for each question of its dialplan, and has its answer put into channel variables.

FastAGI knows no password and no deadline. So the deadlines are at this end, and nobody is heard who has not come
through the `waiting_room`.

A connection that ends for a fault has set no variable, or not all of them: the dialplan must judge by the last one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.complaints import Complaints
from idtone.errors import AgiError, IdtoneError

from .codec import HANGUP, LONGEST_RESPONSE, Codec
from .environment import Request
from .waiting_room import Guest, WaitingRoom

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
_QUEUE: Final = 4096
"""So many connections the kernel keeps until they are accepted, or less (net.core.somaxconn)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may take, in seconds, and how many there may be."""

    presented_s: float = 2.0
    """From the connection until it has presented its call."""
    response_s: float = 1.0
    """Until Asterisk has answered a command."""
    whole_s: float = 3.0
    """From the connection to its end."""
    drain_s: float = 4.0
    """What a stop leaves to those that are there."""
    waiting: int = 512
    """Connections that have not yet presented a call."""
    answering: int = 256
    """Connections that have."""


class _HungUp(Exception):
    """The channel has gone, or Asterisk has."""


class FastAgiServer:
    """Has each connection answered by `answer`."""

    def __init__(self, answer: Answer, limits: Limits = Limits()) -> None:
        self._answer = answer
        self._limits = limits
        self._codec = Codec()
        self._tasks: set[asyncio.Task[None]] = set()
        """One for each call that is being answered."""
        self._complaints = Complaints(log, "an AGI connection was closed")

    @asynccontextmanager
    async def listening(self, address: Address | Listener) -> AsyncIterator[Address]:
        """Listen while inside, at the address that is given back (port 0 takes any); then let what goes on end.

        Raises AgiError where the address cannot be had.
        """
        with nullcontext(address) if isinstance(address, Listener) else bound_to(address) as bound:
            bound.setblocking(False)
            bound.listen(_QUEUE)
            room = WaitingRoom(
                bound, self._limits.waiting, self._limits.presented_s, self._admit, self._complaints.note
            )
            room.open()
            try:
                yield address if isinstance(address, Path) else named(bound)
            finally:
                room.shut()
                await self._drain(room)

    async def _drain(self, room: WaitingRoom) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_s):
                await room.emptied()
                if self._tasks:
                    await asyncio.wait(self._tasks)
        room.close()
        late = tuple(self._tasks)
        for task in late:
            self._complaints.note("it had not ended when the service stopped")
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._complaints.flush()

    def _admit(self, guest: Guest, request: Request) -> None:
        if len(self._tasks) >= self._limits.answering:
            guest.socket.close()
            self._complaints.note(f"there are {self._limits.answering} calls to answer already")
            return
        task = asyncio.create_task(self._attend(guest, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, guest: Guest, request: Request) -> None:
        try:
            async with _until(
                guest.since_s + self._limits.whole_s, f"it had not ended within {self._limits.whole_s:g} s"
            ):
                await self._converse(guest, request)
        except AgiError as error:
            self._complaints.note(str(error))
        except (_HungUp, OSError):
            log.debug("%s, channel %s: it hung up meanwhile", request.entry, request.channel)
        finally:
            guest.socket.close()

    async def _converse(self, guest: Guest, request: Request) -> None:
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
        loop = asyncio.get_running_loop()
        response_s = self._limits.response_s
        for command in [self._codec.set_variable(name, value) for name, value in variables.items()]:
            async with _until(loop.time() + response_s, f"Asterisk had not answered within {response_s:g} s"):
                await loop.sock_sendall(guest.socket, command)
                line = await _line(guest)
                if line == HANGUP and not guest.hung_up:
                    guest.hung_up = True
                    line = await _line(guest)
            if not self._codec.carried_out(line, "1"):
                raise _HungUp


async def _line(guest: Guest) -> bytes:
    loop = asyncio.get_running_loop()
    while b"\n" not in guest.received:
        if len(guest.received) > LONGEST_RESPONSE:
            raise AgiError("Asterisk's response has no end")
        received = await loop.sock_recv(guest.socket, LONGEST_RESPONSE)
        if not received:
            raise _HungUp
        guest.received += received
    line, end, behind = bytes(guest.received).partition(b"\n")
    guest.received[:] = behind
    return line + end


def named(bound: socket.socket) -> Address:
    """Where a socket listens."""
    name = bound.getsockname()
    return Path(name) if isinstance(name, str) else name[:2]


@asynccontextmanager
async def _until(when_s: float, fault: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(when_s):
            yield
    except TimeoutError:
        raise AgiError(fault) from None


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
