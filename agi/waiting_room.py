"""Where a connection waits until it has presented its call.

Whoever can reach the listener can come here, in thousands, and send an octet a second or none. So a wait costs one
socket and no task. To be heard takes an environment that reads well, and the response to a first command right behind
it: whatever somebody smuggled in behind the environment, or within it, makes other lines stand where that belongs.

When the room is full, the oldest makes room, of those who have yet to present a call or of those who have yet to prove
it, whichever are more. That is not Asterisk, which sends at once and answers at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from idtone.errors import AgiError

from .codec import HANGUP, LONGEST_RESPONSE, Codec
from .environment import LONGEST, Request, read_request

_ACCEPTED_AT_ONCE: Final = 32
"""Before those are looked after that are there."""
_OUT_OF_FILES_S: Final = 0.1
_END: Final = b"\n\n"


@dataclass(eq=False, slots=True)
class Guest:
    """A connection, which is non-blocking. `since_s` is on the event loop's clock."""

    socket: socket.socket
    since_s: float
    received: bytearray = field(default_factory=bytearray)
    request: Request | None = None
    hung_up: bool = False
    """Asterisk has said so; it does once."""


class WaitingRoom:
    """Takes connections from `listener` and gives them to `admit` once they have presented their call.

    `complain` gets the reason for each that is closed instead. Lives in an event loop, from `open` to `close`.
    """

    def __init__(
        self,
        listener: socket.socket,
        room: int,
        patience_s: float,
        admit: Callable[[Guest, Request], None],
        complain: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._room = room
        self._patience_s = patience_s
        self._admit = admit
        self._complain = complain
        self._codec = Codec()
        self._loop = asyncio.get_running_loop()
        self._presenting: dict[Guest, None] = {}
        self._proving: dict[Guest, None] = {}
        """In the order in which they came."""
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def open(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def shut(self) -> None:
        """Let nobody in any more, after those who have already connected."""
        self._loop.remove_reader(self._listener)
        while self._accept():
            pass
        self._listener.close()

    async def emptied(self) -> None:
        """Wait until nobody is here."""
        await self._empty.wait()

    def close(self) -> None:
        """Have those leave who are still here."""
        for guest in (*self._presenting, *self._proving):
            self._dismiss(guest, "it had not presented a call when the service stopped")
        if self._sweep:
            self._sweep.cancel()

    def _accept(self) -> bool:
        """Let in who is at the door; whether there may be more."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError as error:
                self._complain(f"it could not be accepted: {error.strerror}")
                self._pause()
                return False
            accepted.setblocking(False)
            if len(self._presenting) + len(self._proving) >= self._room:
                crowd = self._proving if len(self._proving) > len(self._presenting) else self._presenting
                self._dismiss(next(iter(crowd)), "it made room for a newer one before it had presented a call")
            guest = Guest(accepted, self._loop.time())
            self._presenting[guest] = None
            self._empty.clear()
            self._loop.add_reader(accepted, self._read, guest)
            if self._sweep is None:
                self._sweep = self._loop.call_later(self._patience_s, self._sweep_out)
        return True

    def _pause(self) -> None:
        """The listener stays readable while there are no files left to accept with."""
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_OUT_OF_FILES_S, self._resume)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self.open()

    def _sweep_out(self) -> None:
        self._sweep = None
        for guest in (*self._presenting, *self._proving):
            if guest.since_s + self._patience_s <= self._loop.time():
                self._dismiss(guest, f"it had not presented a call within {self._patience_s:g} s")
        oldest_s = [next(iter(each)).since_s for each in (self._presenting, self._proving) if each]
        if oldest_s:
            self._sweep = self._loop.call_at(min(oldest_s) + self._patience_s, self._sweep_out)

    def _read(self, guest: Guest) -> None:
        try:
            received = guest.socket.recv(LONGEST)
            guest.received += received
            request = self._presented(guest) if received else None
        except BlockingIOError:
            return
        except AgiError as error:
            self._dismiss(guest, str(error))
            return
        except OSError:
            received, request = b"", None
        if request:
            self._leave(guest)
            self._admit(guest, request)
        elif not received:
            self._dismiss(guest, "it ended before it had presented a call")

    def _presented(self, guest: Guest) -> Request | None:
        """The request, once it is proven. Raises AgiError, and OSError where the connection breaks."""
        if guest.request is None:
            block, end, behind = bytes(guest.received).partition(_END)
            if len(block) + len(end) > LONGEST:
                raise AgiError(f"the environment is longer than {LONGEST} octets")
            if not end:
                return None
            guest.request = read_request(block + end)
            guest.received[:] = behind
            guest.socket.send(self._codec.noop())
            del self._presenting[guest]
            self._proving[guest] = None
        line, end, behind = bytes(guest.received).partition(b"\n")
        if line + end == HANGUP and not guest.hung_up:
            guest.hung_up = True
            guest.received[:] = behind
            line, end, behind = behind.partition(b"\n")
        if not end:
            if len(line) > LONGEST_RESPONSE:
                raise AgiError("Asterisk's response has no end")
            return None
        guest.received[:] = behind
        if self._codec.carried_out(line + end, "0"):
            return guest.request
        # The channel hung up before its question was heard: an ordinary end, and nothing to complain of.
        self._leave(guest)
        guest.socket.close()
        return None

    def _leave(self, guest: Guest) -> None:
        self._presenting.pop(guest, None)
        self._proving.pop(guest, None)
        if not self._presenting and not self._proving:
            self._empty.set()
        self._loop.remove_reader(guest.socket)

    def _dismiss(self, guest: Guest, reason: str) -> None:
        self._leave(guest)
        guest.socket.close()
        self._complain(reason)
