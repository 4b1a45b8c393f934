"""Every ending of a forwarded call: its event and step, and the effects on each party and on the evidence.

Operators may rely on `TABLE`. Each of its rows names the tests that prove it on a real Asterisk, through both
interfaces if they differ. docs/reference/endings.md is generated from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """Steps of a call."""

    DECIDING = "deciding"
    DIALLING = "dialling"
    """The called phone has the call, and has not answered yet."""
    RINGING = "ringing"
    EARLY_MEDIA = "early media"
    ANSWERED = "answered"
    """The called party answers, and the sound is about to begin."""
    SOUNDING = "sounding"
    CONNECTING = "connecting"
    """The sound is over, and Asterisk is about to connect the parties."""
    CONNECTED = "connected"


class Event(StrEnum):
    """Events during a call."""

    CALLER_HANGS_UP = "the caller hangs up (CANCEL, later BYE)"
    CALLED_HANGS_UP = "the called party hangs up"
    BUSY = "busy"
    DECLINED = "declined (603)"
    NO_ANSWER = "no answer in time"
    CONGESTION = "congestion"
    UNREACHABLE = "unreachable"
    REFER = "transfer (REFER)"
    REINVITE = "hold, re-INVITE"
    PLAYBACK_FAILED = "the sound's file is too short"
    PLAYBACK_LONG = "the sound's file is far too long"
    SOUND_MISSING = "the sound's file is missing or unreadable"
    REGISTRY_UNUSABLE = "the registry is missing or corrupt"
    REGISTRY_STALE = "the registry is stale"
    LEDGER_LOCKED = "the ledger is locked"
    DISK_FULL = "the disk is full"
    SERVICE_KILLED = "the service is killed (SIGKILL)"
    SERVICE_FROZEN = "the service is frozen (SIGSTOP)"
    SERVICE_STOPPED = "the service is stopped (SIGTERM)"
    SERVICE_REPLACED = "the next instance takes over"
    LINE_CUT = "the connection to ARI is cut"
    LINE_DEAD = "the connection to ARI drops everything"
    SECOND_INSTANCE = "a second instance is started"
    ASTERISK_KILLED = "Asterisk is killed and started again"
    ASTERISK_FROZEN = "Asterisk hangs for three seconds"
    ASTERISK_RELOADED = "Asterisk is reloaded"
    CLOCK_STEPPED = "the clock is stepped by an hour"


class Hears(StrEnum):
    """Sounds that the called party hears before the connection."""

    SOUND = "sound"
    NOTICE = "notice"
    NOTHING = "nothing"


class Evidence(StrEnum):
    """The ledger's record of a call at its end."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    """The record is complete up to a point, and states that the rest was not observed."""
    FALLBACK = "fallback"
    """The dialplan handled the call, and the service recorded it afterwards."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ending:
    """Result of one event at some steps.

    `status` holds the possible values of IDTONE_STATUS. It is empty if the call continues, or if no program remains
    that could set it. `cause` holds the values of IDTONE_CAUSE. `sip` holds the final responses to the caller's INVITE.
    A BYE follows a 200. Only the transmitted part of a sound in progress counts as sent.
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
    hears: tuple[Hears, ...] = ()
    record: tuple[Evidence, ...] = (Evidence.COMPLETE,)
    interfaces: tuple[str, ...] = ("ari", "agi")
    notify: tuple[str, ...] = ("called", "both")
    """Parties that may hear the sound in calls with this ending."""


_UNANSWERED: Final = (Step.DIALLING, Step.RINGING, Step.EARLY_MEDIA)
_BEFORE: Final = (Step.DECIDING, *_UNANSWERED)
_SOUND: Final = (Step.ANSWERED, Step.SOUNDING)
_AFTER: Final = (*_SOUND, Step.CONNECTING)
_ALWAYS: Final = tuple(Step)
_DECIDED: Final = (*_UNANSWERED, *_SOUND, Step.CONNECTING, Step.CONNECTED)
"""Steps after the verdict. Asterisk carries out the rest of the call."""
_PHONES: Final = ("tests/calls/test_table_of_endings.py::test_what_the_parties_do",)
_STRIKES: Final = "tests/calls/test_strikes.py"
_FILE: Final = f"{_STRIKES}::test_a_sound_that_cannot_be_played"
_GROUND: Final = f"{_STRIKES}::test_what_the_service_stands_on"
_LIFE: Final = f"{_STRIKES}::test_the_service"
_ON_ASTERISK: Final = "tests/calls/test_strikes_on_asterisk.py"
_LINE: Final = f"{_ON_ASTERISK}::test_the_line"
_FROZEN_OR_RELOADED: Final = f"{_ON_ASTERISK}::test_asterisk"
_OPENED: Final = (Step.SOUNDING, Step.CONNECTING, Step.CONNECTED)
"""Steps at which Asterisk has opened the sound's file."""


def _goes_on(
    event: Event,
    steps: tuple[Step, ...],
    proof: str,
    caller: str = "notices nothing",
    evidence: str = "as usual",
    hears: tuple[Hears, ...] = (Hears.SOUND,),
    record: tuple[Evidence, ...] = (Evidence.COMPLETE,),
    interfaces: tuple[str, ...] = ("ari", "agi"),
    notify: tuple[str, ...] = ("called", "both"),
    lost: bool = False,
) -> Ending:
    """The ending for an event after which the parties are connected.

    If `lost` is true, the call may end in congestion instead.
    """
    called = " or ".join(f"hears {'' if what is Hears.NOTHING else 'the '}{what}" for what in hears)
    return Ending(
        event,
        steps,
        caller,
        called + (", or its call ends" if lost else "") + ("" if lost else ", and is connected"),
        evidence,
        ("CONNECTED", *(("FAILED",) if lost else ())),
        (16, *((34,) if lost else ())),
        (200, *((503,) if lost else ())),
        (proof,),
        hears,
        record,
        interfaces,
        notify,
    )


_MEDIA: Final = "tests/calls/test_media.py"
_TRANSFERS: Final = "tests/calls/test_transfers.py"
TABLE: Final = (
    # -- what the parties do ------------------------------------------------------------------------------------
    Ending(
        Event.CALLER_HANGS_UP, (Step.DECIDING,), "the call ends", "–", "ended as CANCEL",
        ("CANCEL",), (16,), (487,), (f"{_STRIKES}::test_a_caller_who_gives_up_while_it_is_decided",), (Hears.NOTHING,),
        tuple(Evidence),
    ),
    Ending(
        Event.CALLER_HANGS_UP, _UNANSWERED, "the call ends", "the phone stops ringing",
        "ended as CANCEL, nothing sent", ("CANCEL",), (16,), (487,), _PHONES,
    ),
    Ending(
        Event.CALLER_HANGS_UP, _SOUND, "the call ends", "BYE",
        "ended as CANCEL, never connected", ("CANCEL",), (16,), (487,), _PHONES,
    ),
    Ending(
        Event.CALLER_HANGS_UP, (Step.CONNECTING,), "the call ends", "BYE", "as before or after the connection",
        ("CANCEL", "CONNECTED"), (16,), (487, 200), _PHONES,
    ),
    Ending(
        Event.CALLER_HANGS_UP, (Step.CONNECTED,), "the call ends", "BYE", "connected, ended as CONNECTED",
        ("CONNECTED",), (16,), (200,), _PHONES,
    ),
    Ending(
        Event.CALLED_HANGS_UP, _SOUND, "congestion", "its call ends",
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
        Event.BUSY, _UNANSWERED, "busy", "–", "ended as BUSY, nothing sent", ("BUSY",), (17,), (486,), _PHONES,
    ),
    Ending(
        Event.DECLINED, _UNANSWERED, "rejected", "–", "ended as BUSY, nothing sent", ("BUSY",), (21,), (403,), _PHONES,
    ),
    Ending(
        Event.NO_ANSWER, _UNANSWERED, "nobody answers", "the phone stops ringing", "ended as NOANSWER, nothing sent",
        ("NOANSWER",), (19,), (480,), _PHONES,
    ),
    Ending(
        Event.CONGESTION, _UNANSWERED, "congestion", "–", "ended as FAILED, nothing sent",
        ("FAILED",), (34,), (503,), _PHONES,
    ),
    Ending(
        Event.UNREACHABLE, (Step.DIALLING,), "no such destination, or out of order", "–",
        "ended as UNAVAILABLE, nothing sent", ("UNAVAILABLE",), (3, 20), (404, 480), _PHONES,
    ),
    # -- what fails in the sound --------------------------------------------------------------------------------
    *(
        row
        for event in (Event.SOUND_MISSING, Event.PLAYBACK_FAILED)
        for row in (
            _goes_on(event, _BEFORE, _FILE, evidence="not sent, and why", hears=(Hears.NOTICE,)),
            _goes_on(
                event, (Step.ANSWERED,), _FILE, evidence="sent, or not and why", hears=(Hears.SOUND, Hears.NOTICE)
            ),
            _goes_on(event, _OPENED, _FILE),
        )
    ),
    _goes_on(
        Event.PLAYBACK_LONG, (Step.DECIDING,), _FILE, evidence="not sent, and why", hears=(Hears.NOTICE,)
    ),
    _goes_on(
        Event.PLAYBACK_LONG, (*_UNANSWERED, Step.ANSWERED), _FILE, "waits until the file has ended",
        hears=(Hears.SOUND,),
    ),
    _goes_on(Event.PLAYBACK_LONG, _OPENED, _FILE),
    # -- what the service stands on -----------------------------------------------------------------------------
    _goes_on(Event.REGISTRY_UNUSABLE, _ALWAYS, _GROUND, evidence="by the last good registry"),
    _goes_on(
        Event.REGISTRY_STALE, (Step.DECIDING,), _GROUND, evidence="the reason is registry-stale",
        hears=(Hears.NOTICE,),
    ),
    _goes_on(Event.REGISTRY_STALE, (*_UNANSWERED, *_AFTER, Step.CONNECTED), _GROUND),
    _goes_on(Event.LEDGER_LOCKED, _ALWAYS, _GROUND, evidence="written when the ledger is free again"),
    _goes_on(Event.DISK_FULL, _ALWAYS, _GROUND, evidence="kept in memory, and written when there is room again"),
    # -- what happens to the service ----------------------------------------------------------------------------
    _goes_on(
        Event.SERVICE_KILLED, (Step.DECIDING,), _LIFE, evidence="fallback, entered by the next instance",
        hears=(Hears.NOTICE,), record=(Evidence.FALLBACK,),
    ),
    _goes_on(Event.SERVICE_KILLED, _DECIDED, _LIFE, evidence="entered by the next instance"),
    _goes_on(
        Event.SERVICE_FROZEN, (Step.DECIDING,), _LIFE, "waits three seconds longer",
        "fallback, and what was decided too late", (Hears.NOTICE,), (Evidence.FALLBACK,),
    ),
    _goes_on(Event.SERVICE_FROZEN, _DECIDED, _LIFE, evidence="entered when it is back"),
    _goes_on(
        Event.SERVICE_STOPPED, (Step.DECIDING,), _LIFE, evidence="fallback, or as usual",
        hears=(Hears.SOUND, Hears.NOTICE), record=(Evidence.FALLBACK, Evidence.COMPLETE),
    ),
    _goes_on(Event.SERVICE_STOPPED, _DECIDED, _LIFE, evidence="entered by the next instance"),
    _goes_on(Event.SERVICE_REPLACED, _ALWAYS, _LIFE),
    _goes_on(Event.SECOND_INSTANCE, _ALWAYS, _LIFE),
    # -- what happens between the two ---------------------------------------------------------------------------
    _goes_on(
        Event.LINE_CUT, (Step.DECIDING,), _LINE, "waits until the service is connected again",
        "as usual, or fallback", (Hears.SOUND, Hears.NOTICE), (Evidence.COMPLETE, Evidence.FALLBACK),
    ),
    _goes_on(Event.LINE_CUT, _DECIDED, _LINE),
    _goes_on(
        Event.LINE_DEAD, (Step.DECIDING,), _LINE, "waits until the service has noticed",
        "as usual, or fallback", (Hears.SOUND, Hears.NOTICE), (Evidence.COMPLETE, Evidence.FALLBACK),
    ),
    _goes_on(Event.LINE_DEAD, _DECIDED, _LINE),
    # -- what happens to Asterisk -------------------------------------------------------------------------------
    _goes_on(
        Event.ASTERISK_FROZEN, _BEFORE, _FROZEN_OR_RELOADED, "waits three seconds longer",
        hears=(Hears.SOUND, Hears.NOTICE), record=(Evidence.COMPLETE, Evidence.FALLBACK),
    ),
    _goes_on(Event.ASTERISK_FROZEN, _AFTER, _FROZEN_OR_RELOADED, "hears the other three seconds later"),
    _goes_on(Event.ASTERISK_FROZEN, (Step.CONNECTED,), _FROZEN_OR_RELOADED, "hears nothing for three seconds"),
    Ending(
        Event.ASTERISK_KILLED, _ALWAYS, "hears nothing more", "hears nothing more",
        "interrupted, as far as it was written", proof=(f"{_ON_ASTERISK}::test_asterisk_is_killed",),
        record=(Evidence.INTERRUPTED, Evidence.NONE),
    ),
    _goes_on(Event.ASTERISK_RELOADED, _ALWAYS, _FROZEN_OR_RELOADED),
    Ending(
        # In a transfer with a second call, the other party of the second call replaces the phone that asked.
        Event.REFER, (*_SOUND, Step.CONNECTING),
        "notices nothing of a blind transfer, which is refused; if a caller who was to hear the sound transfers with a "
        "second call, the call ends",
        "notices nothing of a blind transfer; after one with a second call, the new party hears the sound from the "
        "beginning",
        "a blind transfer leaves no trace; after one with a second call, the sound begins again; if the caller was to "
        "hear it and transferred, the call ended as FAILED or CANCEL, never connected",
        ("CONNECTED", "FAILED", "CANCEL"), (16, 34), (200, 503),
        (
            f"{_TRANSFERS}::test_a_blind_transfer_during_the_sound_is_refused",
            f"{_TRANSFERS}::test_an_attended_transfer_during_the_sound",
        ),
    ),
    Ending(
        Event.REFER, (Step.CONNECTED,), "talks to the party that the transfer leads to",
        "the same; if the next number is a forwarded one, the next called party hears the sound",
        "connected, ended as CONNECTED; a forwarded number begins its own record",
        ("CONNECTED",), (16,), (200,),
        (
            f"{_TRANSFERS}::test_a_blind_transfer_of_a_connected_call",
            f"{_TRANSFERS}::test_an_attended_transfer_of_a_connected_call",
            f"{_TRANSFERS}::test_a_blind_transfer_while_the_service_is_away",
        ),
    ),
    Ending(
        Event.REINVITE, (*_SOUND, Step.CONNECTING),
        "hears the sound; while holding the call, nothing until it is resumed",
        "hears the sound; if it holds the call, hears nothing until it resumes it, and the hook plays the sound again "
        "or the notice",
        "connected; a called party that held the call did not hear the sound; hold by the caller is not detected",
        ("CONNECTED",), (16,), (200,),
        (
            f"{_MEDIA}::test_a_reinvite_during_the_sound_does_not_interrupt_it",
            f"{_MEDIA}::test_who_holds_the_call_during_the_sound_has_not_heard_it",
        ),
    ),
    Ending(
        Event.REINVITE, (Step.CONNECTED,), "as with any PBX", "as with any PBX", "connected, ended as CONNECTED",
        ("CONNECTED",), (16,), (200,), (f"{_MEDIA}::test_hold_and_resume_in_the_conversation",),
    ),
    _goes_on(
        Event.CLOCK_STEPPED, _ALWAYS, f"{_ON_ASTERISK}::test_the_clock", evidence="as usual, by the clock as it is"
    ),
)  # fmt: skip


_NOBODY: Final = "nobody is called yet"
_ANSWERED: Final = "the call was answered"
_ONWARDS: Final = (*_SOUND, Step.CONNECTING, Step.CONNECTED)

IMPOSSIBLE: Final = (
    (Event.CALLED_HANGS_UP, (Step.DECIDING,), _NOBODY),
    (Event.CALLED_HANGS_UP, _UNANSWERED, "the called party then declines: see busy, declined and congestion"),
    *(
        place
        for event in (Event.BUSY, Event.DECLINED, Event.NO_ANSWER, Event.CONGESTION)
        for place in ((event, (Step.DECIDING,), _NOBODY), (event, _ONWARDS, _ANSWERED))
    ),
    (Event.UNREACHABLE, (Step.DECIDING,), _NOBODY),
    (Event.UNREACHABLE, (Step.RINGING, Step.EARLY_MEDIA, *_ONWARDS), "the phone was reached"),
    (Event.REFER, _BEFORE, "a phone transfers what it has answered"),
    (Event.REINVITE, _BEFORE, "there is no media session to change"),
)
"""Events that are impossible at some steps, each with the reason."""


def endings_table() -> dict[tuple[Step, Event, str, str], Ending]:
    """The endings by step, event, interface and the party that hears the sound."""
    return {
        (step, ending.event, interface, notify): ending
        for ending in TABLE
        for step in ending.steps
        for interface in ending.interfaces
        for notify in ending.notify
    }
