"""How the next instance of `idtone serve` takes over from the one that runs, over a socket beside the ledger.

    next → running   {"take-over": 1, "manager": …}     it has loaded everything
    running → next   {"agi": address}, the AGI listener  if it has one; or {"refused": why}
    next → running   {"ready": true}                     it has connected to Asterisk: the old one hears no more events
    running → next   {"over": true}                      the old one has let go of the journal and the ledger
    next → running   {"serving": true}                   the old one can end

Each is one JSON packet. The listening socket itself is handed on, so that no request finds the port closed. The
socket's file belongs to the service's user alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from idtone.errors import UsageError

log = logging.getLogger(__name__)

VERSION: Final = 1
ANSWER_WITHIN_S: Final = 5.0
"""How long one side waits for the other; each step takes milliseconds."""
_PACKET: Final = 65536


class Peer:
    """The other instance."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        end.setblocking(False)

    async def send(self, **words: Any) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, json.dumps(words).encode())

    def send_with_descriptors(self, descriptors: Sequence[int], **words: Any) -> None:
        """Send words, and open files with them."""
        socket.send_fds(self._socket, [json.dumps(words).encode()], descriptors)

    async def receive(self) -> dict[str, Any]:
        """The next words; empty if the other instance has gone. Raises UsageError if it is silent for too long."""
        words, _ = await self._receive(lambda: (self._socket.recv(_PACKET), []))
        return words

    async def receive_with_descriptors(self) -> tuple[dict[str, Any], list[int]]:
        """As `receive`, with the open files that came with the words."""
        return await self._receive(lambda: socket.recv_fds(self._socket, _PACKET, 1)[:2])

    async def _receive(self, receive: Callable[[], tuple[bytes, list[int]]]) -> tuple[dict[str, Any], list[int]]:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await readable.wait()
            packet, descriptors = receive()
        except (TimeoutError, OSError) as error:
            raise UsageError(
                f"the other instance of `idtone serve` fell silent: {str(error) or 'timed out'}"
            ) from error
        finally:
            loop.remove_reader(self._socket)
        words = json.loads(packet) if packet else {}
        return words, descriptors


def place(ledger: Path) -> Path:
    """The socket beside a ledger."""
    return ledger.with_name(ledger.name + ".next")


@asynccontextmanager
async def offered(path: Path, hand_over: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[None]:
    """While inside, the next instance may ask, one at a time. For the holder of the ledger's lock alone."""
    with _listener(path) as listener:
        attending = asyncio.create_task(_attend(listener, hand_over))
        try:
            yield
        finally:
            attending.cancel()
            await asyncio.wait({attending})


async def _attend(listener: socket.socket, hand_over: Callable[[Peer], Awaitable[None]]) -> None:
    while True:
        end, _ = await asyncio.get_running_loop().sock_accept(listener)
        with end:
            try:
                if _is_ours(end):
                    await hand_over(Peer(end))
            except (UsageError, OSError, ValueError) as error:
                log.error("the next instance did not take over: %s", error)


@contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, _short(path) as name:
        path.unlink(missing_ok=True)
        listener.bind(name)
        path.chmod(0o600)
        listener.listen(1)
        listener.setblocking(False)
        yield listener


@contextmanager
def predecessor(path: Path) -> Iterator[Peer | None]:
    """The instance that runs on this ledger, if there is one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        try:
            with _short(path) as name:
                end.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            yield None
            return
        except OSError as error:
            raise UsageError(
                f"{path}: the instance that runs cannot be asked: {error.strerror}; run this as the same user"
            ) from error
        yield Peer(end) if _is_ours(end) else None


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of at most 107 octets for a socket, however long the path is."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _is_ours(end: socket.socket) -> bool:
    """Whether the same user, or root, is at the other end."""
    _, user, _ = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return user in (0, os.geteuid())
