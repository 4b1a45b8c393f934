"""What the hook did with a call without the service, a line of its file, as evidence. Pure.

    CALL,BEGAN,NUMBER,DIRECTION,CALLED,DIALSTRING,CALLER,OUTCOME,REASON,HEARS[,ENDED,STATUS,CAUSE,HEARD]

What came from outside is URI-encoded in it; times are seconds since 1970, with six decimals. OUTCOME and REASON are
empty of a call that ended before anybody decided, ENDED of one that was turned away at once. A line with an end says
all that one without it has said: each of them makes the record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Direction, ForwardedCall, Outcome, Party, Reason
from idtone.decision import Policy
from idtone.errors import LedgerError
from idtone.ledger import steps
from idtone.ledger.steps import CallStatus, Step
from idtone.numbers import parse

LONGEST_LINE: Final = 4096
"""Characters; the hook's have at most half as many, and go into the file in one write."""

_FIELD: Final = re.compile(r"[!-+\--~]*")
_CALL_ID: Final = re.compile(r"[!-+\--~]{1,200}-[0-9]{1,9}")
_NOT_PLAIN: Final = re.compile("[^ -~]")
_DIGIT: Final = re.compile("[0-9]")
_TIME: Final = re.compile(r"([0-9]{10})\.([0-9]{6})")
_DOES: Final[Mapping[str, Set[str]]] = {
    "": {""},
    Outcome.NOTICE: {Reason.SERVICE_UNAVAILABLE},
    Outcome.REFUSE: {Reason.SERVICE_UNAVAILABLE, Reason.NUMBER_SUSPENDED, Reason.NUMBER_MALFORMED},
    Outcome.BYPASS: {Reason.EMERGENCY},
    Outcome.SHED: {Reason.OVERLOAD},
}
"""What the hook does by itself → on which grounds."""
_UNIQUE_ID: Final = re.compile(r"[12][0-9]{9}\.[0-9]{1,9}-[0-9]{1,9}$")
"""A call's id of the hook's, as Asterisk makes it where it has no `systemname`."""
_HEARS: Final = {
    dialplan.parties_word(parties): parties for parties in ((), ("called",), ("caller",), ("called", "caller"))
}


def read(line: str) -> tuple[Step, ...]:
    """`unattended`, and `ended` where the line has the end. Raises LedgerError, which holds nothing of the line."""
    fields = line.split(",")
    if len(line) > LONGEST_LINE or len(fields) not in (10, 14) or not all(map(_FIELD.fullmatch, fields)):
        raise LedgerError("it is none of the hook's lines, or was cut off")
    call_id, began, number, direction, called, dial_string, caller, outcome, reason, hears, *end = fields
    if reason not in _DOES.get(outcome, ()) or hears not in (*_HEARS, ""):
        raise LedgerError("what the hook did stands in it in words that it does not have")
    if not _CALL_ID.fullmatch(call_id):
        raise LedgerError("the call's id in it is not one of the hook's")
    begun = _moment(began)
    dialled = unquote(called) or dialplan.dialled_user(unquote(dial_string))
    call = ForwardedCall(
        id=call_id,
        direction=Direction.OUTGOING if unquote(direction) == Direction.OUTGOING else Direction.INCOMING,
        forwarding_number=parse(unquote(number)),
        caller=parse(unquote(caller)),
        called=parse(dialled),
        dialled=dialled,
    )
    parties = frozenset(map(Party, _HEARS.get(hears, ())))
    first = steps.unattended(
        call, begun, Outcome(outcome) if outcome else None, Reason(reason) if reason else None,
        dict.fromkeys(parties, Policy().notice_profile),
    )  # fmt: skip
    if not end:
        return (first,)
    ended, status, cause, heard = end
    if status not in set(CallStatus):
        raise LedgerError("how the call ended stands in it in a word that the hook does not have")
    heard_by = frozenset(party for party in parties if party in heard)
    last = steps.ended(
        call_id, _moment(ended) if ended else begun, CallStatus(status), steps.cause(cause),
        Reason(reason) if reason else None, heard_by,
    )  # fmt: skip
    return first, last


def pieces(line: str) -> tuple[str, str] | None:
    """A line that was cut off, by a disk without room, and the one that was written behind it; None where none was.

    Where Asterisk has a `systemname`, or the first was cut off in its id, nobody can tell where the second begins.
    """
    fields = line.split(",")
    for many in (14, 10):
        found = _UNIQUE_ID.search(fields[-many]) if len(fields) > many else None
        if found and not fields[-many][: found.start()].endswith("-"):
            second = ",".join([found[0], *fields[1 - many :]])
            return line.removesuffix(second), second
    return None


def blotted(line: str) -> str:
    """What may be kept of a line that cannot be read: each digit is 0, but for those of the call's id."""
    line = _NOT_PLAIN.sub("?", line)
    found = _UNIQUE_ID.search(line.partition(",")[0])
    start, end = found.span() if found else (0, 0)
    return _DIGIT.sub("0", line[:start]) + line[start:end] + _DIGIT.sub("0", line[end:])


def _moment(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if not found:
        raise LedgerError("a time in it is not one of Asterisk's")
    return datetime.fromtimestamp(int(found[1]), UTC).replace(microsecond=int(found[2]))
