"""SIP dialogs and transactions (RFC 3261) without I/O: the next message, its destination and its retransmissions.

Covers calls between two parties through an Asterisk over UDP: INVITE, ACK, CANCEL, BYE, OPTIONS, and requests within a
call. Does not support authentication, forking or routing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .sip import BRANCH_COOKIE, Address, Header, Message, Party, Request, Response, SipError, Uri, bracketed

T1_S: Final = 0.5
T2_S: Final = 4.0


def token() -> str:
    """A unique text for tags, branches and Call-IDs."""
    return secrets.token_hex(8)


def request(
    method: str, uri: Uri, via: Address, fixed: Iterable[Header], headers: Iterable[Header] = (), body: bytes = b""
) -> Request:
    """A request from `via` that begins a transaction. `fixed` holds From, To, Call-ID and CSeq."""
    hop = [
        ("Via", f"SIP/2.0/UDP {bracketed(via[0])}:{via[1]};branch={BRANCH_COOKIE}{token()};rport"),
        ("Max-Forwards", "70"),
    ]
    return Request([*hop, *fixed, *headers], body, method, uri)


def invite(uri: Uri, via: Address, sender: Party, headers: Iterable[Header], body: bytes, call_id: str = "") -> Request:
    """The INVITE that begins a call (12.1.2). Its Call-ID begins with `call_id`."""
    fixed = [
        ("From", str(sender.tagged(token()))),
        ("To", str(Party(uri))),
        ("Call-ID", call_id + token()),
        ("CSeq", "1 INVITE"),
    ]
    return request("INVITE", uri, via, fixed, headers, body)


@dataclass(slots=True)
class Dialog:
    """One party's half of a dialog (section 12)."""

    call_id: str
    local: Party
    remote: Party
    target: Uri
    sequence: int

    @classmethod
    def of_caller(cls, invite: Request, response: Response) -> Dialog:
        """The caller's dialog, from a response with a To tag (12.1.2)."""
        return cls(invite.call_id, invite.sender, response.recipient, _contact(response), invite.sequence[0])

    @classmethod
    def of_called(cls, invite: Request, tag: str) -> Dialog:
        """The called party's dialog (12.1.1)."""
        return cls(invite.call_id, invite.recipient.tagged(tag), invite.sender, _contact(invite), 0)

    @property
    def next_hop(self) -> Address:
        return self.target.address

    def request(self, method: str, via: Address, acknowledged: int | None = None) -> Request:
        """The next request within the dialog (12.2.1.1).

        `acknowledged` is the CSeq number of the INVITE that an ACK acknowledges. The default is the number of the last
        request.
        """
        if method != "ACK":
            self.sequence += 1
        fixed = [
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{acknowledged or self.sequence} {method}"),
        ]
        return request(method, self.target, via, fixed)

    def refresh(self, message: Message) -> None:
        """Update the target from a re-INVITE or its response, which may move the other party (12.2)."""
        if message.get("Contact"):
            self.target = _contact(message)


def _contact(message: Message) -> Uri:
    if not message.get("Contact"):
        raise SipError("a message that makes a dialog has no Contact")
    return Party.parse(message.get("Contact")).uri


def client_key(message: Message) -> tuple[str, str]:
    """Key that a request shares with its responses (17.1.3)."""
    return message.branch, message.sequence[1]


def server_key(request: Request) -> tuple[str, str, str]:
    """Key that a request shares with its retransmissions and with the ACK of its refusal (17.2.3)."""
    method = "INVITE" if request.method == "ACK" else request.method
    return request.get("Via").partition(";")[0], request.branch, method


def intervals(t1_s: float = T1_S, cap_s: float = T2_S) -> Iterator[float]:
    """Yield the seconds to wait after each transmission of a message (timers A, E and G), 64 times T1 in all."""
    interval, left = t1_s, 64 * t1_s
    while left > 0:
        yield min(interval, left)
        left -= interval
        interval = min(2 * interval, cap_s)
