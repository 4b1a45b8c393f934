"""Hand-over from the running instance of the service to the next instance, over a socket next to the ledger.

    next → running   {"take-over": 1, "manager": …}     the next instance has loaded everything
    running → next   {"agi": address}, the AGI listener  if it has one; or {"refused": why}
    next → running   {"ready": true}                     it has connected to Asterisk; the old one gets no more events
    running → next   {"over": true, "hand-overs": n}     the old one has closed the journal, the ledger and the metrics
    next → running   {"serving": true}                   the old one can end

Each message is one JSON packet. The old instance passes its listening socket for AGI on, so that the port is never
closed. `n` counts the hand-overs before this one. Only the service's user can use the socket's file.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import UsageError

from .local_sockets import connected_socket, is_trusted_peer, listening_socket

log = logging.getLogger(__name__)

VERSION: Final = 1
ANSWER_WITHIN_S: Final = 5.0
"""How long one side waits for the other, in seconds. Each step takes milliseconds."""
_PACKET: Final = 65536


class Peer:
    """The other instance, at the other end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        end.setblocking(False)

    async def send(self, **fields: Any) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, json.dumps(fields).encode())

    def send_with_descriptors(self, descriptors: Sequence[int], **fields: Any) -> None:
        """Send a message together with open file descriptors."""
        socket.send_fds(self._socket, [json.dumps(fields).encode()], descriptors)

    async def next_message(self) -> dict[str, Any]:
        """Receive a message; empty if the other instance has ended. Raises UsageError on timeout."""
        fields, _ = await self._receive(lambda: (self._socket.recv(_PACKET), []))
        return fields

    async def next_message_with_descriptors(self) -> tuple[dict[str, Any], list[int]]:
        """Receive a message and the file descriptors that came with it. Raises UsageError on timeout."""
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
                "the other instance of `idtone serve` does not answer: {reason}", reason=str(error) or "timed out"
            ) from error
        finally:
            loop.remove_reader(self._socket)
        fields = json.loads(packet) if packet else {}
        return fields, descriptors


def socket_path(ledger: Path) -> Path:
    """Path of the hand-over socket next to a ledger."""
    return ledger.with_name(ledger.name + ".next")


@asynccontextmanager
async def offer_hand_over(path: Path, hand_over: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[None]:
    """Offer hand-overs during the block, one at a time. The caller must hold the ledger's lock."""
    with listening_socket(path, socket.SOCK_SEQPACKET) as listener:
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
                if is_trusted_peer(end):
                    await hand_over(Peer(end))
            except (UsageError, OSError, ValueError) as error:
                log.error("the next instance did not take over: %s", error)


@contextmanager
def running_instance(path: Path) -> Iterator[Peer | None]:
    """Connect to the instance that uses a ledger; None if no instance is running."""
    with connected_socket(path, socket.SOCK_SEQPACKET) as end:
        yield Peer(end) if end else None
