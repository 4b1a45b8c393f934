"""Parser for the journal lines in which the hook reports on its calls.

    decided,CALL,NONCE,AT,NUMBER,DIRECTION,CALLED,DIALSTRING,CALLER,CHANNEL,ACCOUNT,OUTCOME,REASON,HEARS,SIP-CALL-ID
    sounded,CALL,NONCE,AT,PLAYED,CALLED-FILE,CALLER-FILE,SENT,SINCE,STATUS,PACKET-MS,CODECS
    reported,CALL,NONCE,AT,RTCP,ROUTE
    ended,CALL,NONCE,AT,STATUS,CAUSE,REASON,DIALSTATUS,TALKED-MS

Values from outside are URI-encoded; times are seconds since 1970 with six decimals. The hook writes `decided` only for
a call that it decides itself or that ends before a decision; for the latter, OUTCOME and REASON are empty. PACKET-MS is
empty unless the number of packets was examined; it begins with a 0, and is 0 if packets are missing. CODECS are the
codecs of the called party's channel and, after Dial(), a slash and the codecs of the caller's channel. `reported` comes
when the called party's channel ends, shortly before or after `ended`.
"""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.core.calls import Direction, ForwardedCall, Outcome, Party, Reason
from idtone.core.errors import JournalError
from idtone.core.numbers import parse, parse_or_none
from idtone.dialplan import PACKET_MS, Played
from idtone.ledger.evidence.steps import CallStatus, q850_cause, truncated_sip_call_id

LONGEST_LINE: Final = 4096
"""Maximum length of a line in octets. The hook's lines take at most three quarters of this, and each is written in one
write.
"""

_LINE: Final = re.compile(r"[!-~]*")
_CALL_ID: Final = re.compile(r"[!-+\--~]{1,450}-[0-9]{1,9}")
_NONCE: Final = re.compile(r"[0-9]{12}")
_FILE: Final = re.compile(r"[A-Za-z0-9_.-]*")
_PACKET_MS: Final = re.compile(r"0([1-9][0-9]{1,2})?")
_CODECS: Final = re.compile(r"[A-Za-z0-9_.|()\-]*(/[A-Za-z0-9_.|()\-]*)?")
"""A channel's formats as Asterisk lists them: `(ulaw)` or `(ulaw|alaw)`."""
_TIME: Final = re.compile(r"([0-9]{10})\.([0-9]{6})")
_NOT_PLAIN: Final = re.compile("[^ -~]")
_DIGIT: Final = re.compile("[0-9]")
_RTCP: Final = re.compile(r"([a-z]+)=([0-9]+(?:\.[0-9]+)?)")
_HEARD_FROM: Final = ("rxjitter", "rtt", "rlp")
"""Figures of CHANNEL(rtcp,all) that a phone reports only after it has received something: the jitter and the loss of
the received packets, and the round-trip time, which needs Asterisk's own report. Some phones also report before
anything has arrived; Asterisk calls that the best quality (`rxmes`). Asterisk's `rx…` figures are about what the phone
receives.
"""
_LOST: Final = "rlp"
_LOST_BACK: Final = "lp"
_RECEIVED: Final = "rxcount"
_ROUTES: Final = {"same": False, "moved": True}
_UNIQUE_ID: Final = re.compile(r"(?:^|-)([0-9]{10})\.[0-9]{1,9}-[0-9]{1,9}$")
_DOES: Final[Mapping[str, Set[str]]] = {
    "": {""},
    Outcome.NOTICE: {Reason.SERVICE_UNAVAILABLE, Reason.CALL_ID_UNREADABLE},
    Outcome.REFUSE: {
        Reason.SERVICE_UNAVAILABLE,
        Reason.CALL_ID_UNREADABLE,
        Reason.SUSPENSIONS_UNKNOWN,
        Reason.NUMBER_SUSPENDED,
        Reason.NUMBER_UNKNOWN,
        Reason.NUMBER_NEVER_ORIGINATES,
        Reason.NUMBER_MALFORMED,
        Reason.PRESENTED_NUMBER_DIFFERS,
        Reason.NUMBER_OF_ANOTHER_CUSTOMER,
        Reason.LINE_UNKNOWN,
        Reason.LINES_MISSING,
    },
    Outcome.BYPASS: {Reason.EMERGENCY},
    Outcome.SHED: {Reason.OVERLOAD},
}
"""Outcome that the hook may decide on its own → the reasons that it may give."""
_THROUGH_LOCAL: Final = "-local"
"""Suffix of a sound's status if the caller should have heard it through a Local channel."""
_PLAYED: Final[Set[str]] = frozenset(Played)
_STATUS: Final[Set[str]] = frozenset(CallStatus)
_REASONS: Final[Set[str]] = frozenset({"", *Reason})
_HEARS: Final = {
    "": frozenset[Party](),
    "none": frozenset[Party](),
    "called": frozenset({Party.CALLED}),
    "caller": frozenset({Party.CALLER}),
    "both": frozenset(Party),
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A call that the hook decided or that ended before a decision (`outcome` is then None)."""

    call: ForwardedCall
    nonce: str
    at: datetime
    outcome: Outcome | None
    reason: Reason | None
    parties: frozenset[Party]

    @property
    def call_id(self) -> str:
        return self.call.id


@dataclass(frozen=True, slots=True)
class Sounded:
    """A sound that the hook played until `at`.

    `files` are the names of the sounds, by party.

    `sent` is the number of RTP packets that Asterisk sent to the called party: for Dial(), in total; otherwise, during
    the playback. It is None if the channel does not count RTP packets or, for Dial(), if the phone's packets do not
    show that the first ones could reach it.

    `since` is the start of the playback or, for Dial(), the time of the answer; None if unknown.

    `status` is PLAYBACKSTATUS. For Dial() it is `1` if the called party held the call, `moved` if another phone took
    the call, `left` if the caller left it, `late` if a phone that may be behind NAT began to send late, and `early` if
    media could flow before the answer.

    `through_local` is True if the caller should have heard a sound through a Local channel. `packet_ms` is the length
    of the called party's packets. `codecs` has the codec of a party's channel if it has only one.
    """

    call_id: str
    nonce: str
    at: datetime
    played: Played
    files: Mapping[Party, str]
    sent: int | None
    since: datetime | None
    status: str
    through_local: bool = False
    packet_ms: int = PACKET_MS
    codecs: Mapping[Party, str] = field(default_factory=dict)

    @property
    def elapsed_ms(self) -> float | None:
        """Duration of the playback in milliseconds, or None if its start is unknown."""
        return None if self.since is None else (self.at - self.since) / timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Reported:
    """The called party's phone's RTCP report up to the end of the call.

    `heard_from` is True if the phone sent a report and packets. `lost` is the number of packets that the phone missed,
    according to its last report. `lost_back` is the number of the phone's packets that Asterisk missed. `moved` is True
    if, at the end, Asterisk was sending to a different address than during the sound.
    """

    call_id: str
    nonce: str
    at: datetime
    heard_from: bool
    lost: int
    lost_back: int
    moved: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """End of a call.

    `talked_ms` is how long the parties were connected; None if they were not or this is unknown.
    """

    call_id: str
    nonce: str
    at: datetime
    status: CallStatus
    hangup_cause: int | None
    reason: Reason | None
    answered: bool
    talked_ms: int | None


Line = Decided | Sounded | Reported | Ended


def read(line: str) -> Line:
    """Parse a journal line without its line end. Raises JournalError, which never quotes the line."""
    fields = line.split(",")
    reader = _READERS.get((fields[0], len(fields)))
    if reader is None or len(line) > LONGEST_LINE or not _LINE.fullmatch(line):
        raise JournalError("it is not a line of the hook, or it was cut off")
    _, call_id, nonce, at, *rest = fields
    if not _CALL_ID.fullmatch(call_id) or not _NONCE.fullmatch(nonce):
        raise JournalError("its call id or its nonce does not have the hook's format")
    return reader(call_id, nonce, _moment(at), *rest)


def split(line: str) -> tuple[str, str] | None:
    """Split a text into two lines if a full disk cut the first one before its line end; otherwise, None."""
    start = max(line.rfind(f"{word},") for word, _ in _READERS)
    return (line[:start], line[start:]) if start > 0 else None


def _decided(
    call_id: str,
    nonce: str,
    at: datetime,
    number: str,
    direction: str,
    called: str,
    dial_string: str,
    caller: str,
    channel: str,
    account: str,
    outcome: str,
    reason: str,
    hears: str,
    sip_call_id: str,
) -> Decided:
    if reason not in _DOES.get(outcome, ()) or hears not in _HEARS or (_HEARS[hears] and outcome != Outcome.NOTICE):
        raise JournalError("the hook cannot make this decision")
    number, caller, dialled = (
        unquote(number),
        unquote(caller),
        unquote(called) or dialplan.dialled_user(unquote(dial_string)),
    )
    call = ForwardedCall(
        id=call_id,
        direction=Direction.OUTGOING if unquote(direction) == Direction.OUTGOING else Direction.INCOMING,
        forwarding_number=parse(number),
        caller=parse(caller),
        called=parse(dialled),
        dialled=dialled,
        perhaps=parse_or_none(number),
        endpoint=dialplan.endpoint_of(unquote(channel)),
        account=unquote(account),
        caller_perhaps=parse_or_none(caller),
        trunks=tuple(sorted(dialplan.endpoints(unquote(dial_string)))),
        sip_call_id=truncated_sip_call_id(unquote(sip_call_id)),
        emergency=outcome == Outcome.BYPASS,
    )
    return Decided(
        call, nonce, at, Outcome(outcome) if outcome else None, Reason(reason) if reason else None, _HEARS[hears]
    )


def _sounded(
    call_id: str,
    nonce: str,
    at: datetime,
    played: str,
    called: str,
    caller: str,
    sent: str,
    since: str,
    status: str,
    packet_ms: str,
    codecs: str,
) -> Sounded:
    if played not in _PLAYED or not (_FILE.fullmatch(called) and _FILE.fullmatch(caller)):
        raise JournalError("its PLAYED field or a file name is invalid")
    files = {party: name for party, name in ((Party.CALLED, called), (Party.CALLER, caller)) if name}
    packets = int(sent) if sent.isdecimal() and len(sent) < 10 else None
    if not files or (sent and packets is None):
        raise JournalError("it names no sound, or its SENT field is not a number")
    if packet_ms and not _PACKET_MS.fullmatch(packet_ms):
        raise JournalError("its PACKET-MS field is invalid")
    if not _CODECS.fullmatch(codecs):
        raise JournalError("its CODECS field is invalid")
    if played != Played.DIAL and (caller or not since):
        raise JournalError("it is about a playback, but has fields that only Dial() can have")
    own = status.removesuffix(_THROUGH_LOCAL)
    return Sounded(
        call_id,
        nonce,
        at,
        Played(played),
        files,
        packets,
        _moment(since) if since else None,
        own,
        own != status,
        int(packet_ms or 0) or PACKET_MS,
        _single_codecs(codecs),
    )


def _single_codecs(codecs: str) -> dict[Party, str]:
    lists = zip((Party.CALLED, Party.CALLER), codecs.split("/"), strict=False)
    return {party: names for party, listed in lists if (names := listed.strip("()")) and "|" not in names}


def _reported(call_id: str, nonce: str, at: datetime, rtcp: str, route: str) -> Reported:
    if route not in _ROUTES:
        raise JournalError("its ROUTE field is invalid")
    figures = {name: float(value) for name, value in _RTCP.findall(rtcp)}
    return Reported(
        call_id,
        nonce,
        at,
        heard_from=figures.get(_RECEIVED, 0) > 0 and any(figures.get(name, 0) > 0 for name in _HEARD_FROM),
        lost=round(figures.get(_LOST, 0)),
        lost_back=round(figures.get(_LOST_BACK, 0)),
        moved=_ROUTES[route],
    )


def _ended(
    call_id: str, nonce: str, at: datetime, status: str, hangup_cause: str, reason: str, dial_status: str, talked: str
) -> Ended:
    if status not in _STATUS or reason not in _REASONS:
        raise JournalError("its STATUS or REASON field is invalid")
    milliseconds = int(talked) if talked.isdecimal() and len(talked) < 12 else None
    connected = CallStatus(status) is CallStatus.CONNECTED
    return Ended(
        call_id,
        nonce,
        at,
        CallStatus(status),
        q850_cause(hangup_cause),
        Reason(reason) if reason else None,
        dial_status == "ANSWER",
        milliseconds if connected else None,
    )


_READERS: Final[Mapping[tuple[str, int], Callable[..., Line]]] = {
    ("decided", 15): _decided,
    ("sounded", 12): _sounded,
    ("reported", 6): _reported,
    ("ended", 9): _ended,
}
"""Readers, by the first field and the number of fields."""


def _moment(text: str) -> datetime:
    match = _TIME.fullmatch(text)
    if not match:
        raise JournalError("one of its times does not have Asterisk's format")
    return datetime.fromtimestamp(int(match[1]), UTC).replace(microsecond=int(match[2]))


EARLIEST: Final = timedelta(hours=1)
LATEST: Final = timedelta(days=7)
"""Maximum time between a call's times and the time in its id, before and after. The clock can be stepped, and calls can
be long.
"""


def fits_call_id(call_id: str, at: datetime) -> bool:
    """True if a call with this id can have been decided at the given time.

    Asterisk's own ids contain the second in which the channel was created. An id chosen by an ARI application does not,
    so it fits any time.
    """
    match = _UNIQUE_ID.search(call_id)
    if not match:
        return True
    made = datetime.fromtimestamp(int(match[1]), UTC)
    return made - EARLIEST <= at <= made + LATEST


def without_digits(line: str) -> str:
    """Replace every digit of a refused line with 0, because the line may contain telephone numbers."""
    return _DIGIT.sub("0", _NOT_PLAIN.sub("?", line))
