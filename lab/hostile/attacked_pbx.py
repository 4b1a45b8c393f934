"""The PBX under attack, with a member's dialplan from the README and with careless ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from lab.asterisk import Asterisk, Ending
from lab.lab import CALLED_NUMBER, CALLER_NUMBER, LICENSED, SUSPENDED, wait_until
from lab.rtp import Address
from lab.service import Service

from .raw_sip import Attacker, Counter, Parts, unique_name

DIALPLAN: Final = r"""
#include idtone.conf
[globals]
IDTONE_INTERFACE=ari
[from-lab]
exten = _[+0-9a-z].,1,Set(CALLER=${FILTER(0-9+,${CALLERID(num)})})
 same = n,Set(DIVERTED=${FILTER(0-9+,${REDIRECTING(from-num)})})
 same = n,Set(DIGITS=${FILTER(0-9,${EXTEN})})
 same = n,Set(LAB_CALL=${FILTER(0-9a-z,${PJSIP_HEADER(read,X-Lab-Call)})})
 same = n,Set(LAB_AT=${FILTER(0-9.:,${PJSIP_HEADER(read,X-Lab-Called)})}\;lab=${LAB_CALL})
 same = n,Set(SEEN_EXTEN=${URIENCODE(${EXTEN})})
 same = n,Set(SEEN_CALLER=${URIENCODE(${CALLERID(num)})})
 same = n,Set(SEEN_DIVERTED=${URIENCODE(${REDIRECTING(from-num)})})
 same = n,Goto(${FILTER(a-z\-,${PJSIP_HEADER(read,X-Lab-Way)})})
; As the README says.
 same = n(hook),Gosub(idtone-forward,s,1(PJSIP/lab/sip:${DIGITS}@${LAB_AT},${CALLER},outgoing,60,${DIGITS}))
 same = n,Hangup(${IDTONE_CAUSE})
; As the README says, for a call that was forwarded to us.
 same = n(diverted),Gosub(idtone-forward,s,1(PJSIP/lab/sip:${DIGITS}@${LAB_AT},${DIVERTED},incoming,60,${DIGITS}))
 same = n,Hangup(${IDTONE_CAUSE})
; The numbers as they came, the dial string filtered.
 same = n(raw-numbers),Set(DIAL=PJSIP/lab/sip:${DIGITS}@${LAB_AT})
 same = n,Gosub(idtone-forward,s,1(${DIAL},${CALLERID(num)},outgoing,60,${EXTEN}))
 same = n,Hangup(${IDTONE_CAUSE})
; All as it came.
 same = n(raw-dial),Gosub(idtone-forward,s,1(PJSIP/lab/sip:${EXTEN}@${LAB_AT},${CALLERID(num)},outgoing,,${EXTEN}))
 same = n,Hangup(${IDTONE_CAUSE})
 same = n(own-dial),Dial(PJSIP/lab/sip:${DIGITS}@${LAB_AT},,gU(idtone-called^${CALLER}^outgoing))
 same = n,Hangup(${HANGUPCAUSE})
 same = n(raw-own-dial),Dial(PJSIP/lab/sip:${DIGITS}@${LAB_AT},,gU(idtone-called^${CALLERID(num)}^outgoing))
 same = n,Hangup(${HANGUPCAUSE})
exten = h,1,Set(LAB_ENDING=${IDTONE_STATUS}:${IDTONE_REASON}:${IDTONE_CALL_ID}:${IDTONE_CAUSE}:${DIALSTATUS})
 same = n,Set(DB(lab/${LAB_CALL})=${LAB_ENDING})
 same = n,Set(DB(seen/${LAB_CALL})=${SEEN_EXTEN}:${SEEN_CALLER}:${SEEN_DIVERTED})

; Whoever gets here got here by what he called himself.
[canary]
exten = _.,1,Set(DB(canary/sang)=yes)
 same = n,Hangup()
exten = s,1,Set(DB(canary/sang)=yes)
 same = n,Return()
"""
"""Dialplan in which a header of the lab selects the way. Other headers give the name and the called phone."""


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """Parts of a call, as Asterisk read them."""

    extension: str
    caller: str
    diverted: str


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile call. `status` is its final SIP status, or 0 if there was no response."""

    name: str
    parts: Parts
    status: int


def headers(name: str, way: str, called: Address) -> bytes:
    return f"X-Lab-Call: {name}\r\nX-Lab-Way: {way}\r\nX-Lab-Called: {called[0]}:{called[1]}\r\n".encode()


async def attack(asterisk: Asterisk, attacker: Attacker, called: Counter, parts: Parts, way: str) -> Attack:
    """Make one hostile call, and return its result when it is over."""
    name = unique_name()
    invite = parts.invite(attacker.address, asterisk.sip_address, headers(name, way, called.address))
    return Attack(name, parts, await attacker.send_invite(invite, asterisk.sip_address))


def received_calls(asterisk: Asterisk) -> dict[str, ReceivedCall]:
    """Name of each call that reached the dialplan → its parts."""
    found = {}
    for line in asterisk.command("database show seen").splitlines():
        key, separator, value = line.partition(": ")
        if separator and key.strip().startswith("/seen/"):
            texts = [unquote_to_bytes(part).decode("utf-8", "replace") for part in value.strip().split(":")]
            found[key.strip().removeprefix("/seen/")] = ReceivedCall(*texts)
    return found


def code_was_executed(asterisk: Asterisk) -> bool:
    return "/canary/sang" in asterisk.command("database show canary")


@dataclass
class Pbx:
    """The PBX and the service under attack, and their state after a batch of calls."""

    asterisk: Asterisk
    service: Service

    async def batch(self, calls: Sequence[tuple[Parts, str]], answering: bool = False) -> Batch:
        """Place all calls at once, wait until Asterisk has no channels, and return the results."""
        async with Attacker() as attacker, Counter(answering) as called:
            attacks = await asyncio.gather(
                *(attack(self.asterisk, attacker, called, parts, way) for parts, way in calls)
            )
            await wait_until(
                lambda: not self.asterisk.channels() and not self.asterisk.bridges(), "Asterisk to be empty"
            )

            def all_over() -> bool:
                known, endings = self.service.records(), self.asterisk.endings()
                over = [known[ending.call_id] for ending in endings.values() if ending.call_id in known]
                return all(record["complete"] for record in over)

            await wait_until(all_over, "the last record to be complete")
            return Batch(
                attacks, called, received_calls(self.asterisk), self.asterisk.endings(), self.service.records()
            )


@dataclass
class Batch:
    attacks: list[Attack]
    called: Counter
    seen: dict[str, ReceivedCall]
    endings: dict[str, Ending]
    records: dict[str, dict[str, Any]]


LOG_LINE: Final = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (info|warning|err) \S[^\r\x00-\x08\x0b-\x1f]*"
)
CALL_ID: Final = re.compile(r"\d+\.\d+-\d+")


def assert_log_is_clean(log: str) -> None:
    for line in log.split("\n"):
        if line:
            assert LOG_LINE.fullmatch(line), line
            assert not re.search(r"\d{6}", CALL_ID.sub("", line)), line
    assert "Traceback" not in log


def assert_no_number_is_logged(service: Service) -> None:
    """Assert that neither the service nor its Asterisk logs a number."""
    asterisk = service.asterisk
    for log in (service.log(), asterisk.log(), (asterisk.scratch / "console").read_text()):
        for number in (LICENSED, SUSPENDED, CALLED_NUMBER, CALLER_NUMBER):
            assert number[1:] not in log
