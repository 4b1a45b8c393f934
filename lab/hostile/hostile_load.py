"""Sends hostile INVITEs at a steady rate, without waiting for answers, and responds to Asterisk's messages.

    python -m lab.hostile.hostile_load --seed N --first N --count N --rate R --pbx PORT --tcp PORT [--weapon NAME]

It runs in a separate process so that it does not delay the phones of honest calls. It prints a line of JSON when it is
ready, each second, and at the end.
"""

import argparse
import asyncio
import contextlib
import json
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from lab.rtp import HOST, Address

from .invites import Invite, hostile_invite
from .raw_sip import Endpoint, header, respond, sdp

FIRST_S: Final = 0.8
"""Seconds to wait for the first response. Asterisk drops messages that it cannot read."""
FINAL_S: Final = 12.0
HELD_EVERY: Final = 40
"""One in this many answered calls is held until all are hung up, and so is each call with a LONG INVITE."""
LONG: Final = 15_000
ANSWERED_EVERY: Final = 4
"""The called phone answers one in this many hostile calls. For the others it is busy."""
_MARK: Final = re.compile(rb"hx(\d+)y")


@dataclass
class LoadResult:
    """Results of the INVITEs."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """Counts by final status. `none` is no response, and `no end` is only a provisional response."""
    rang: int = 0
    waiting: list[str] = field(default_factory=list)
    """Hostile parts of the latest INVITEs without a final response."""


class CalledPhone(Endpoint):
    """Called phone of the hostile calls. It is mostly busy."""

    def __init__(self) -> None:
        super().__init__()
        self.rang: set[bytes] = set()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        method = data.partition(b" ")[0]
        if method == b"INVITE":
            call = header(data, b"Call-ID")
            self.rang.add(call)
            if len(self.rang) % ANSWERED_EVERY:
                self.send(respond(data, b"486 Busy Here"), addr)
            else:
                contact = b"Contact: <sip:lab@%s:%d>\r\n" % (self.address[0].encode(), self.address[1])
                self.send(respond(data, b"200 OK", contact + b"Content-Type: application/sdp\r\n", sdp(9)), addr)
        elif method not in (b"ACK", b"SIP/2.0") and data[:1].isalpha():
            self.send(respond(data, b"200 OK"), addr)


class Attacker(Endpoint):
    """One caller for all hostile INVITEs."""

    def __init__(self, pbx: Address, tcp: Address) -> None:
        super().__init__()
        self.told = LoadResult()
        self._pbx = pbx
        self._tcp = tcp
        self._responses: dict[int, asyncio.Queue[bytes]] = {}
        self._waiting: dict[int, str] = {}
        self._answered = 0
        self._held: list[tuple[Invite, bytes]] = []

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not data.startswith(b"SIP/2.0 "):
            if data[:1].isalpha() and not data.startswith(b"ACK"):
                self.send(respond(data, b"200 OK"), addr)
            return
        found = _MARK.search(data)
        if found and (queue := self._responses.get(int(found[1]))):
            queue.put_nowait(data)

    async def attack(self, invite: Invite) -> None:
        """Send one INVITE and end its call."""
        self.told.sent += 1
        self._waiting[invite.number] = invite.about
        try:
            answer = await (self._over_tcp(invite) if invite.tcp else self._over_udp(invite))
        finally:
            del self._waiting[invite.number]
        self.told.answers[answer] += 1

    async def _over_udp(self, invite: Invite) -> str:
        queue = self._responses[invite.number] = asyncio.Queue()
        try:
            self.send(invite.data, self._pbx)
            response = await _within(FIRST_S, queue)
            if not response:
                return "none"
            while response[8:9] == b"1":
                response = await _within(FINAL_S, queue)
                if not response:
                    return "no end"
            self.send(follow_up(invite.data, response, b"ACK", b"1"), self._pbx)
            if response[8:9] == b"2":
                self._answered += 1
                if self._answered % HELD_EVERY == 0 or len(invite.data) > LONG:
                    self._held.append((invite, response))
                else:
                    self.send(follow_up(invite.data, response, b"BYE", b"2"), self._pbx)
            return response[8:11].decode("ascii", "replace")
        finally:
            del self._responses[invite.number]

    async def _over_tcp(self, invite: Invite) -> str:
        """Send an INVITE over TCP and return its result.

        The connection closes at the end of the call, or after the same time as over UDP.
        """
        writer = None
        try:
            async with asyncio.timeout(FINAL_S):
                reader, writer = await asyncio.open_connection(*self._tcp)
                writer.write(invite.data)
                heard, any_heard = b"", False
                while True:
                    wait_s = FINAL_S if any_heard else FIRST_S
                    part = await asyncio.wait_for(reader.read(65536), wait_s)
                    if not part:
                        return "closed"
                    heard, any_heard = (heard + part)[-65536:], True
                    final = re.search(rb"SIP/2\.0 ([2-6]\d\d) (?s:.)*?\r\n\r\n", heard)
                    if final:
                        writer.write(follow_up(invite.data, final[0], b"ACK", b"1"))
                        if final[1][:1] == b"2":
                            writer.write(follow_up(invite.data, final[0], b"BYE", b"2"))
                        await writer.drain()
                        return final[1].decode()
        except TimeoutError:
            return "none"
        except OSError:
            return "closed"
        finally:
            if writer:
                writer.close()

    def hang_up(self) -> None:
        """Hang up the held calls."""
        for invite, response in self._held:
            self.send(follow_up(invite.data, response, b"BYE", b"2"), self._pbx)
        self._held.clear()

    def tell(self, called: CalledPhone) -> str:
        self.told.rang = len(called.rang)
        self.told.waiting = list(self._waiting.values())[-20:]
        told = self.told
        return json.dumps(
            {
                "sent": told.sent,
                "answers": dict(told.answers),
                "rang": told.rang,
                "held": len(self._held),
                "waiting": told.waiting,
            }
        )


async def _within(wait_s: float, queue: asyncio.Queue[bytes]) -> bytes:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            return await queue.get()
    return b""


def follow_up(invite: bytes, response: bytes, method: bytes, number: bytes) -> bytes:
    """The ACK or BYE after a response to an INVITE, with the INVITE's headers."""
    success = response[8:9] == b"2"
    uri = re.search(rb"<([^>]*)>", header(response, b"Contact")) if success else None
    start = invite.split(b" ", 2)
    target = uri[1] if uri else start[1] if len(start) > 1 else b"sip:x@127.0.0.1"
    via = header(invite, b"Via") or header(response, b"Via")
    if success:
        via = re.sub(rb"branch=[^;\r]*", b"branch=z9hG4bK" + secrets.token_hex(8).encode(), via)
    sender = header(invite, b"From") or header(response, b"From")
    return (
        b"%s %s SIP/2.0\r\n" % (method, target)
        + via
        + sender
        + header(response, b"To")
        + (header(invite, b"Call-ID") or header(response, b"Call-ID"))
        + b"CSeq: %s %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n" % (number, method)
    )


async def run(chosen: argparse.Namespace) -> None:
    """Send the INVITEs and wait for the last answers."""
    pbx, tcp = (HOST, chosen.pbx), (HOST, chosen.tcp)
    async with Attacker(pbx, tcp) as attacker, CalledPhone() as called:
        numbers = range(chosen.first, chosen.first + chosen.count)
        # Created in advance, so that the answers are read at once.
        invites = [hostile_invite(chosen.seed, number, attacker.address, pbx, chosen.weapon) for number in numbers]
        print(json.dumps({"called": called.address[1]}), flush=True)
        await asyncio.to_thread(input)  # from now on the PBX has the called phone's port
        began_s = told_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for at, invite in enumerate(invites):
                due_s = began_s + at / chosen.rate
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                tasks.create_task(attacker.attack(invite))
                if time.monotonic() > told_s + 1:
                    told_s = time.monotonic()
                    print(attacker.tell(called), flush=True)
        print(attacker.tell(called), flush=True)
        await asyncio.to_thread(input)  # held calls continue until then
        attacker.hang_up()
        await asyncio.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Send hostile INVITEs.")
    for name in ("seed", "first", "count", "pbx", "tcp"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--weapon", default="")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
