"""Lines of the journal in the hook's format."""

from datetime import datetime
from urllib.parse import quote

from .memory_evidence import CALLED, CALLER, LICENSED, NONCE, NOW, id_of


def encode_text(text: str) -> str:
    """The text as encoded by Asterisk's URIENCODE()."""
    return quote(text, safe="", errors="replace")


def hook_time(at: datetime) -> str:
    """The time in the hook's format."""
    return f"{int(at.timestamp())}.{at.microsecond:06}"


def decision_line(
    call_id: str = "",
    nonce: str = NONCE,
    at: datetime = NOW,
    number: str = LICENSED,
    direction: str = "",
    called: str = CALLED,
    dial_string: str = "",
    caller: str = CALLER,
    channel: str = "",
    account: str = "",
    outcome: str = "NOTICE",
    reason: str = "service-unavailable",
    hears: str = "called",
    sip_call_id: str = "",
) -> str:
    from_outside = [encode_text(text) for text in (number, direction, called, dial_string, caller, channel, account)]
    return ",".join(
        [
            "decided", call_id or id_of(), nonce, hook_time(at), *from_outside,
            outcome, reason, hears, encode_text(sip_call_id),
        ]
    )  # fmt: skip


def undecided_line(call_id: str = "", nonce: str = NONCE, at: datetime = NOW) -> str:
    """Line of a call that ended before a decision."""
    return decision_line(call_id, nonce, at, outcome="", reason="", hears="")


def sound_line(
    call_id: str = "",
    nonce: str = NONCE,
    at: datetime = NOW,
    played: str = "dial",
    called: str = "sample",
    caller: str = "",
    sent: int | str = "",
    since: datetime | None = None,
    status: str = "",
    packet_ms: str = "",
    codecs: str = "",
) -> str:
    began = hook_time(since) if since else ""
    return ",".join(
        ["sounded", call_id or id_of(), nonce, hook_time(at), played, called, caller, str(sent), began, status,
         packet_ms, codecs]
    )  # fmt: skip


def report_line(call_id: str = "", nonce: str = NONCE, at: datetime = NOW, lost: int = 0) -> str:
    """Line with a phone's RTCP report. It confirms the sound if `lost` is 0."""
    rtcp = f"ssrc=198;themssrc=281;lp=0;rxjitter=0.000125;rxcount=83;txjitter=0.0005;txcount=73;rlp={lost};rtt=0.0"
    return ",".join(["reported", call_id or id_of(), nonce, hook_time(at), f"{rtcp};rxmes=88.08;txmes=0.0", "same"])


def end_line(
    call_id: str = "",
    nonce: str = NONCE,
    at: datetime = NOW,
    status: str = "CONNECTED",
    cause: int | str = 16,
    reason: str = "licence-valid",
    dial_status: str | None = None,
    talked_ms: int | str = 4000,
) -> str:
    dialled = {"CONNECTED": "ANSWER"}.get(status, status) if dial_status is None else dial_status
    return ",".join(
        ["ended", call_id or id_of(), nonce, hook_time(at), status, str(cause), reason, dialled, str(talked_ms)]
    )  # fmt: skip
