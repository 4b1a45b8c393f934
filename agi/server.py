"""FastAGI server: Asterisk connects for each request, and the server answers with channel variables.

FastAGI has no passwords and no deadlines. Any user of the machine can open thousands of connections and send little or
nothing, so the server sets deadlines. The server answers a connection only after the connection has presented a call: a
valid environment, directly followed by the response to a first command. After an injected environment, other lines
appear in place of that response.

If too many connections have not presented a call, the server closes the oldest connection of the larger group:
connections without an environment, or connections without a response. Asterisk sends both immediately, so the closed
connections are not Asterisk's.

A connection that fails may have set only the first variables, so the dialplan must check the last variable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.core.errors import AgiError
from idtone.core.log_output import in_words, unexpected
from idtone.core.log_throttle import LogThrottle
from idtone.core.translation import Message

from .codec import HANGUP, AgiCodec
from .environment import LONGEST, AgiRequest, read_request

log = logging.getLogger(__name__)

Address = Path | tuple[str, int]
"""A Unix socket, or an IP address and a port."""


class Listener(socket.socket):
    """A socket bound to an address by `bound_to` or by an earlier instance of the service."""

    handed_over = False
    """True if another process continues to listen, in which case a Unix socket's file stays."""


Answer = Callable[[AgiRequest], Awaitable[Mapping[str, str]]]
"""A function that returns the channel variables to set for a request, in order. It may raise AgiError for an invalid
request.
"""

SOCKET_MODE: Final = 0o660
_PEERGROUPS: Final = 59
"""The socket option SO_PEERGROUPS, for which Python has no name."""
_GROUPS_OCTETS: Final = 1024
"""Maximum size of an answer from Python's getsockopt() in octets. For a user in more than 256 groups, only the first
group counts.
"""
_QUEUE: Final = 4096
"""Maximum number of connections that the kernel queues for accept(), if net.core.somaxconn allows it."""
_ACCEPTED_AT_ONCE: Final = 32
"""Maximum number of connections to accept before existing ones are served."""
_OUT_OF_FILES_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits for a connection in seconds and limits on the number of connections."""

    presented_s: float = 2.0
    """Time from its start until it must have presented its call."""
    response_s: float = 1.0
    """Time for Asterisk to answer a command."""
    whole_s: float = 3.0
    """Time from its start to its end."""
    drain_s: float = 4.0
    """How long a stop waits for existing connections."""
    waiting: int = 512
    """Maximum number of connections that have not presented a call."""
    answering: int = 256
    """Maximum number of connections that have presented a call."""


class FastAgiServer:
    """FastAGI server that answers each request with the variables from `answer`."""

    def __init__(self, answer: Answer, limits: Limits = Limits()) -> None:
        self._answer = answer
        self._limits = limits
        self._codec = AgiCodec()
        self._presenting: dict[asyncio.Task[None], None] = {}
        self._proving: dict[asyncio.Task[None], None] = {}
        """Connections that must still respond to the first command. Like `_presenting`, it is in the order of arrival.
        """
        self._answering: set[asyncio.Task[None]] = set()
        self._throttle = LogThrottle(log, "an AGI connection was closed")

    @asynccontextmanager
    async def listening(self, address: Address | Listener) -> AsyncIterator[Address]:
        """Listen at `address` during the block. Yields the actual address. Port 0 selects a free port.

        At the end, existing connections finish first. Raises AgiError if the address cannot be used.
        """
        with nullcontext(address) if isinstance(address, Listener) else bound_to(address) as bound:
            bound.setblocking(False)
            bound.listen(_QUEUE)
            self._open(bound)
            try:
                yield address_of(bound)
            finally:
                asyncio.get_running_loop().remove_reader(bound)
                while self._accept(bound):  # connections that are still in the kernel's queue
                    pass
                bound.close()
                await self._drain()

    async def _drain(self) -> None:
        existing = {*self._presenting, *self._proving, *self._answering}
        if existing:
            await asyncio.wait(existing, timeout=self._limits.drain_s)
        for task in (*self._presenting, *self._proving):
            self._close(task, "it had not presented a call when the service stopped")
        for task in self._answering:
            self._close(task, "it had not ended when the service stopped")
        await asyncio.gather(*existing, return_exceptions=True)
        self._throttle.flush()

    def _close(self, task: asyncio.Task[None], reason: str) -> None:
        task.cancel()
        self._throttle.warning(reason)

    def _open(self, bound: Listener) -> None:
        if bound.fileno() >= 0:
            asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _accept(self, bound: Listener) -> bool:
        """Accept some of the queued connections. Returns True if more may be queued.

        This replaces asyncio.start_server(), which drops the kernel's queue when it ends, accepts nothing for a second
        after running out of file descriptors, and starts thousands of queued connections before existing ones get their
        turn.
        """
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _ = bound.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError as error:
                self._throttle.warning(f"it could not be accepted: {error.strerror}")
                loop = asyncio.get_running_loop()
                loop.remove_reader(bound)  # it stays readable while no file descriptors are left
                loop.call_later(_OUT_OF_FILES_S, self._open, bound)
                return False
            if reason := peer_refusal(accepted):
                accepted.close()
                self._throttle.warning(reason)
            else:
                self._take(accepted)
        return True

    def _take(self, accepted: socket.socket) -> None:
        if len(self._presenting) + len(self._proving) >= self._limits.waiting:
            larger = self._proving if len(self._proving) > len(self._presenting) else self._presenting
            oldest = next(iter(larger))
            del larger[oldest]
            self._close(oldest, "it had not presented a call, and a newer one needed its place")
        accepted.setblocking(False)
        task = asyncio.create_task(self._attend(accepted))
        self._presenting[task] = None

        def over(task: asyncio.Task[None]) -> None:
            accepted.close()  # a task that is cancelled before its first step does not close it
            self._presenting.pop(task, None)
            self._proving.pop(task, None)
            self._answering.discard(task)

        task.add_done_callback(over)

    async def _attend(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=LONGEST)
        asterisk, limits = _Asterisk(reader, writer, self._codec), self._limits
        try:
            async with _within(limits.whole_s, f"it had not ended within {limits.whole_s:g} s"):
                async with _within(limits.presented_s, f"it had not presented a call within {limits.presented_s:g} s"):
                    request = await self._presented(asterisk)
                if request:
                    await self._answer_request(asterisk, request)
        except AgiError as error:
            self._throttle.warning(str(error))
        finally:
            writer.transport.abort()

    async def _presented(self, asterisk: _Asterisk) -> AgiRequest | None:
        """Request from a connection that presents its call, or None if the channel hangs up first."""
        task = asyncio.current_task()
        assert task
        try:
            request = read_request(await asterisk.environment())
            self._proving[task] = self._presenting.pop(task)
            proven = await asterisk.executes(self._codec.noop(), "0")
        except _HungUp:
            raise AgiError("it ended before it presented a call") from None
        del self._proving[task]
        if not proven:
            return None
        if len(self._answering) >= self._limits.answering:
            raise AgiError(f"the server is already answering {self._limits.answering} calls")
        self._answering.add(task)
        return request

    async def _answer_request(self, asterisk: _Asterisk, request: AgiRequest) -> None:
        try:
            variables = await self._answer(request)
        except AgiError:
            raise
        except Exception as error:
            log.error(
                "%s, channel %s: no answer: %s",
                request.entry,
                request.channel,
                in_words(error),
                exc_info=unexpected(error),
            )
            return
        try:
            complete = await self._set(asterisk, variables)
        except _HungUp:
            complete = False
        if not complete:
            log.debug("%s, channel %s: it hung up meanwhile", request.entry, request.channel)

    async def _set(self, asterisk: _Asterisk, variables: Mapping[str, str]) -> bool:
        """Set channel variables in order. Returns False if the channel hung up."""
        response_s = self._limits.response_s
        for command in [self._codec.set_variable(name, value) for name, value in variables.items()]:
            async with _within(response_s, f"Asterisk had not answered within {response_s:g} s"):
                if not await asterisk.executes(command, "1"):
                    return False
        return True


class _HungUp(Exception):
    """The channel has hung up or Asterisk has ended."""


class _Asterisk:
    """Asterisk's side of a connection.

    Raises AgiError for lines that Asterisk never sends and _HungUp at the end of the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, codec: AgiCodec) -> None:
        self._reader = reader
        self._writer = writer
        self._codec = codec
        self._hung_up = False
        """True after the line HANGUP, which Asterisk sends once."""

    async def environment(self) -> bytes:
        return await self._read(b"\n\n", f"the environment is longer than {LONGEST} octets")

    async def executes(self, command: bytes, result: str) -> bool:
        """True if Asterisk executed the command with this result; False if the channel hung up."""
        self._writer.write(command)
        line = await self._read(b"\n", "Asterisk's response is too long")
        if line == HANGUP and not self._hung_up:
            self._hung_up = True
            line = await self._read(b"\n", "Asterisk's response is too long")
        return self._codec.executed(line, result)

    async def _read(self, end: bytes, too_long: str) -> bytes:
        try:
            return await self._reader.readuntil(end)
        except asyncio.LimitOverrunError:
            raise AgiError(too_long) from None
        except (EOFError, ConnectionError):
            raise _HungUp from None


@asynccontextmanager
async def _within(seconds: float, fault: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise AgiError(fault) from None


def address_of(bound: socket.socket) -> Address:
    """Address of a listening socket or of a socket that accepted a connection."""
    name = bound.getsockname()
    if isinstance(name, str):
        path = Path(name)  # the temporary name from `_bound_path`
        return path.with_name(path.name[1:].rpartition(".")[0])
    host, port = name[:2]
    return host, port


def peer_refusal(accepted: socket.socket) -> str:
    """Reason why a Unix socket's peer may not connect; empty if it may.

    Requests over a Unix socket have no secret. Root, the service's own user and members of the socket file's group may
    connect.
    """
    path = address_of(accepted)
    if not isinstance(path, Path):
        return ""
    _, user, group = struct.unpack("iII", accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if user in (0, os.geteuid()):
        return ""
    groups = {group}
    with suppress(OSError):
        octets = accepted.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _GROUPS_OCTETS)
        groups.update(each for (each,) in struct.iter_unpack("I", octets))
    with suppress(OSError):
        if path.stat().st_gid in groups:
            return ""
    return f"user {user} may not connect; add this user to the group of {path}"


@contextmanager
def bound_to(address: Address) -> Iterator[Listener]:
    """Bind a socket to an address without listening yet. Raises AgiError if the address cannot be used."""
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
                Message(
                    "agi.listen: {host}, port {port}: {reason}; stop the program that listens there, or set "
                    "another address",
                    host=host,
                    port=port,
                    reason=error.strerror,
                )
            ) from error
        yield bound


@contextmanager
def _bound_path(path: Path) -> Iterator[Listener]:
    """Bind a Unix socket, replacing one that is stale or belongs to an instance that is about to end."""
    ours = path.with_name(f".{path.name}.{os.getpid()}")
    with Listener(socket.AF_UNIX) as bound:
        try:
            if path.exists() and not path.is_socket():
                raise AgiError(Message("agi.listen: {path} exists and is not a socket; set another path", path=path))
            bound.bind(str(ours))
            ours.chmod(SOCKET_MODE)
            inode = ours.stat().st_ino
            ours.rename(path)
        except OSError as error:
            ours.unlink(missing_ok=True)
            raise AgiError(
                Message(
                    "agi.listen: {path}: {reason}; make its folder, and allow the service to write there",
                    path=path,
                    reason=error.strerror or error,
                )
            ) from error
        try:
            yield bound
        finally:
            if not bound.handed_over and path.exists() and path.stat().st_ino == inode:
                path.unlink()
