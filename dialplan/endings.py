"""Every ending of a forwarded call: what happens, when, and what each party and the evidence get of it.

`TABLE` is what an operator may rely on. Each of its rows names the tests that prove it on a real Asterisk, through both
doors where they differ, and docs/endings.md is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """How far a call has come."""

    DECIDING = "deciding"
    DIALLING = "dialling"
    """The called phone has the call and says nothing yet."""
    RINGING = "ringing"
    EARLY_MEDIA = "early media"
    ANSWERED = "answered"
    """By the called party; the sound is about to begin."""
    SOUNDING = "sounding"
    CONNECTING = "connecting"
    """The sound is over, and Asterisk about to let the parties talk."""
    CONNECTED = "connected"


class Event(StrEnum):
    """What can happen to it."""

    CALLER_HANGS_UP = "the caller hangs up (CANCEL, later BYE)"
    CALLED_HANGS_UP = "the called party hangs up"
    BUSY = "busy"
    DECLINED = "declined (603)"
    NO_ANSWER = "no answer in time"
    CONGESTION = "congestion"
    UNREACHABLE = "unreachable"
    REFER = "transfer (REFER)"
    REINVITE = "hold, re-INVITE"
    PLAYBACK_FAILED = "the playback fails"
    PLAYBACK_ENDLESS = "the playback's end is never told"
    SOUND_MISSING = "the sound's file is missing or unreadable"
    REGISTRY_UNUSABLE = "the registry is missing or corrupt"
    REGISTRY_STALE = "the registry is stale"
    LEDGER_DOWN = "the ledger is locked, full or down"
    SERVICE_KILLED = "the service is killed (SIGKILL)"
    SERVICE_FROZEN = "the service is frozen (SIGSTOP)"
    SERVICE_RESTARTED = "the service is restarted (SIGTERM, next instance)"
    SOCKET_RESET = "the WebSocket is reset or swallows everything"
    SECOND_INSTANCE = "a second instance is started"
    ASTERISK_KILLED = "Asterisk is killed or restarted"
    ASTERISK_FROZEN = "Asterisk is frozen"
    ASTERISK_RELOADED = "Asterisk is reloaded"
    CLOCK_STEPPED = "the clock is stepped by an hour"


@dataclass(frozen=True, slots=True)
class Ending:
    """What comes of one event at some steps.

    `status` are the possible values of IDTONE_STATUS, none where the call goes on or nothing is left to set it;
    `cause` is IDTONE_CAUSE, `sip` what ends the caller's INVITE (200: then a BYE). Where a sound was under way,
    what counts as heard is what was heard.
    """

    event: Event
    steps: tuple[Step, ...]
    caller: str
    called: str
    evidence: str
    status: tuple[str, ...] = ()
    cause: tuple[int, ...] = ()
    sip: tuple[int, ...] = ()
    proof: tuple[str, ...] = ()


_UNANSWERED: Final = (Step.DIALLING, Step.RINGING, Step.EARLY_MEDIA)
_BEFORE: Final = (Step.DECIDING, *_UNANSWERED)
_SOUND: Final = (Step.ANSWERED, Step.SOUNDING)
_LATER: Final = (*_UNANSWERED, *_SOUND, Step.CONNECTING, Step.CONNECTED)
_GOES_ON: Final = "notices nothing"
_PHONES: Final = ("tests/calls/test_table_of_endings.py::test_what_the_parties_do",)
_MEDIA: Final = "tests/calls/test_media.py"
_TRANSFERS: Final = "tests/calls/test_transfers.py"
_ENDINGS: Final = "tests/calls/test_endings.py"
_RESTARTS: Final = "tests/calls/test_service_restarts.py"
_APPLICATION: Final = "tests/ari_app/test_application.py"

TABLE: Final = (
    # -- what the parties do ------------------------------------------------------------------------------------
    Ending(
        Event.CALLER_HANGS_UP, _BEFORE, "his call ends", "the phone stops ringing", "ended as CANCEL, nothing heard",
        ("CANCEL",), (16,), (487,), _PHONES,
    ),
    Ending(
        Event.CALLER_HANGS_UP, _SOUND, "his call ends",
        "hears the sound to its end, then BYE; where the caller was to hear it too, BYE at once",
        "ended as CANCEL, never connected", ("CANCEL",), (16,), (487,), _PHONES,
    ),
    Ending(
        Event.CALLER_HANGS_UP, (Step.CONNECTING,), "his call ends", "BYE", "as before or after the connection",
        ("CANCEL", "CONNECTED"), (16,), (487, 200), _PHONES,
    ),
    Ending(
        Event.CALLER_HANGS_UP, (Step.CONNECTED,), "his call ends", "BYE", "connected, ended as CONNECTED",
        ("CONNECTED",), (16,), (200,), _PHONES,
    ),
    Ending(
        # Asterisk may see so quick a hangup only when it has connected the two.
        Event.CALLED_HANGS_UP, (Step.ANSWERED,), "congestion", "its call ends", "ended as FAILED, not connected",
        ("FAILED", "CONNECTED"), (34, 16), (503, 200), _PHONES,
    ),
    Ending(
        Event.CALLED_HANGS_UP, (Step.SOUNDING,), "congestion", "its call ends",
        "the called party did not hear it; ended as FAILED, not connected", ("FAILED",), (34,), (503,), _PHONES,
    ),
    Ending(
        Event.CALLED_HANGS_UP, (Step.CONNECTING,), "congestion or BYE", "its call ends",
        "as before or after the connection", ("FAILED", "CONNECTED"), (34, 16), (503, 200), _PHONES,
    ),
    Ending(
        Event.CALLED_HANGS_UP, (Step.CONNECTED,), "BYE", "its call ends", "connected, ended as CONNECTED",
        ("CONNECTED",), (16,), (200,), _PHONES,
    ),
    Ending(
        Event.BUSY, _UNANSWERED, "busy", "–", "ended as BUSY, nothing heard", ("BUSY",), (17,), (486,), _PHONES,
    ),
    Ending(
        Event.DECLINED, _UNANSWERED, "rejected", "–", "ended as BUSY, nothing heard", ("BUSY",), (21,), (403,), _PHONES,
    ),
    Ending(
        Event.NO_ANSWER, _UNANSWERED, "nobody answers", "the phone stops ringing", "ended as NOANSWER, nothing heard",
        ("NOANSWER",), (19,), (480,), _PHONES,
    ),
    Ending(
        Event.CONGESTION, _UNANSWERED, "congestion", "–", "ended as FAILED, nothing heard",
        ("FAILED",), (34,), (503,), _PHONES,
    ),
    Ending(
        Event.UNREACHABLE, (Step.DIALLING,), "no such destination, or out of order", "–",
        "ended as UNAVAILABLE, nothing heard", ("UNAVAILABLE",), (3, 20), (404, 480), _PHONES,
    ),
    Ending(
        # A transfer with a second call puts the other party of that in the place of the phone that asked.
        Event.REFER, (*_SOUND, Step.CONNECTING),
        "notices nothing of a blind one, which is refused; with a second call he is connected to its party, or his "
        "call ends where he was to hear the sound too",
        "notices nothing of a blind one; with a second call its party hears the sound from the beginning",
        "a blind one leaves no trace; with a second call the sound is begun again, or the call ended as FAILED, or as "
        "CANCEL where the caller transferred, never connected",
        ("CONNECTED", "FAILED", "CANCEL"), (16, 34), (200, 503),
        (
            f"{_TRANSFERS}::test_a_blind_transfer_during_the_sound_is_refused",
            f"{_TRANSFERS}::test_an_attended_transfer_during_the_sound",
        ),
    ),
    Ending(
        Event.REFER, (Step.CONNECTED,), "talks to whom the transfer leads to",
        "the same; who is called next hears the sound where that is a forwarded number",
        "connected, ended as CONNECTED; a forwarded number begins a record of its own",
        ("CONNECTED",), (16,), (200,),
        (
            f"{_TRANSFERS}::test_a_blind_transfer_of_a_connected_call",
            f"{_TRANSFERS}::test_an_attended_transfer_of_a_connected_call",
            f"{_TRANSFERS}::test_a_blind_transfer_while_the_service_is_away",
        ),
    ),
    Ending(
        Event.REINVITE, (*_SOUND, Step.CONNECTING),
        "hears the sound; where he holds the call, nothing until he resumes it",
        "hears the sound; where it holds the call, nothing until it resumes it",
        "connected; who held the call did not hear the sound", ("CONNECTED",), (16,), (200,),
        (
            f"{_MEDIA}::test_a_reinvite_during_the_sound_does_not_interrupt_it",
            f"{_MEDIA}::test_who_holds_the_call_during_the_sound_has_not_heard_it",
        ),
    ),
    Ending(
        Event.REINVITE, (Step.CONNECTED,), "as with any PBX", "as with any PBX", "connected, ended as CONNECTED",
        ("CONNECTED",), (16,), (200,), (f"{_MEDIA}::test_hold_and_resume_in_the_conversation",),
    ),
)  # fmt: skip


def cells() -> dict[tuple[Step, Event], Ending]:
    """The table by step and event; what is not in it cannot happen."""
    return {(step, ending.event): ending for ending in TABLE for step in ending.steps}
