"""The rules for every call, with or without a fault: both phones, the dialplan's variables and the evidence agree.

These functions do no I/O. The phones' captures have been measured before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.calls import Reason
from idtone.ledger.evidence.steps import CallStatus
from lab.asterisk import Ending as Told
from lab.endings import TABLE, Event, Step, endings_table

from .call_paths import ENDS_OF_TALK, CallPath, Move

ASSOCIATIONS: Final = "sample"
"""Licensed profile in the lab's registry."""
NOTICE: Final = "notice"
ARRIVAL_MS: Final = 30.0
"""Tolerance of times in ms.

It consists of one frame, in which a sound may end and a voice begin, and half a frame for the arrival times of packets.
"""
LONGEST_WAIT_S: Final = 3.0
MEASURED_S: Final = 0.5
"""Tolerance in seconds above the limit, for a busy machine."""
_HEARD_BY: Final[Mapping[str, frozenset[str]]] = {
    "called": frozenset({"called"}),
    "caller": frozenset({"caller"}),
    "both": frozenset({"called", "caller"}),
}
_DECIDED: Final = {"licensed": Reason.LICENCE_VALID, "expired": Reason.LICENCE_EXPIRED}
_REFUSED: Final = (CallStatus.REFUSED, 21, 403)
_ENDINGS: Final = {
    (status, cause, sip) for row in TABLE for status in row.status for cause in row.cause for sip in row.sip
} | {_REFUSED}
"""Allowed combinations of IDTONE_STATUS, IDTONE_CAUSE and the final status at the caller's phone."""


@dataclass(frozen=True, slots=True)
class HeardSounds:
    """Sounds and voice in the RTP at one phone. Times are milliseconds from the called phone's answer."""

    sounds: Mapping[str, float]
    """Profile that was long enough to be recognised → its first end."""
    whole: frozenset[str] = frozenset()
    """Profiles that were heard at least once from the first frame to the last.

    After a hold, the sound is played again.
    """
    voice_ms: float | None = None
    """Time at which the other party's voice was heard."""


SILENCE: Final = HeardSounds({})


@dataclass(frozen=True, slots=True)
class PlayedPath:
    """One path, and the result of its call."""

    path: CallPath
    hears: str
    """Party in the policy: called, caller or both."""
    answered_first: bool
    """True if a caller who hears the sound is answered before it."""
    disturbed: bool
    """True if the service had a fault during the call."""
    told: Told | None
    """The dialplan's variables at the end, or None if the call did not get that far."""
    record: Mapping[str, Any] | None
    """The evidence, or None if the ledger does not have the call."""
    sip: int | None
    """Final status at the caller's phone."""
    rang: bool
    """True if the call reached the called phone."""
    heard: Mapping[str, HeardSounds]
    """Party → the sounds and the voice that it heard."""
    step: Step | None
    """Step of the call at its last act, or None if this act did not happen or the step is uncertain."""
    event: Event | None
    """Event that ended the call, or None if it ended before its last act."""
    asked_s: float | None = None
    """Seconds from the INVITE to its arrival at the called phone."""
    waited_s: float | None = None
    """Seconds from the answer to the other party's voice, less the sound that was heard before it."""
    held: frozenset[str] = frozenset()
    """Parties that were on hold at some time. Asterisk sends nothing to a party on hold."""
    hung: str = ""
    """Description of an event that did not come in time."""

    @property
    def connected(self) -> bool:
        """True if a party heard the other after the answer."""
        return any(one.voice_ms is not None for one in self.heard.values())

    @property
    def dropped(self) -> bool:
        """True if the parties talked, and the call ended although neither party ended it."""
        return self.connected and self.event is None

    @property
    def lost(self) -> bool:
        """True if the call ended before the parties talked because the service did not return in time."""
        told = self.told and self.told.status
        return self.disturbed and not self.connected and self.event is None and told == CallStatus.FAILED

    @property
    def by_fallback(self) -> bool:
        """True if Asterisk handled the call while the service was down, and the service entered its record later."""
        return self.record is not None and bool(self.record["fallback"])

    @property
    def interrupted(self) -> bool:
        return self.record is not None and "interrupted" in self.record["times"]

    @property
    def complete(self) -> bool:
        return self.record is not None and bool(self.record["complete"])

    def __str__(self) -> str:
        told = self.told and f"{self.told.status}, cause {self.told.cause}, {self.told.reason or 'undecided'}"
        steps = self.record and ", ".join(self.record["times"])
        return (
            f"{self.path}; {'disturbed' if self.disturbed else 'undisturbed'}; {told}; SIP {self.sip};"
            f" evidence: {steps or 'none'}, known by {self.record and self.record['known_by']}; RTP: {dict(self.heard)}"
        )


def judge(walk: PlayedPath) -> list[str]:
    """Faults of a call, or an empty list."""
    rules = (_ended, _claims, _licence, _sound_first, _evidence, _waits, _undisturbed)
    return [complaint for rule in rules for complaint in rule(walk)]


def false_claims(walk: PlayedPath) -> list[str]:
    """Sounds that are played according to the evidence, but missing from the RTP."""
    return list(_claims(walk))


def _ended(walk: PlayedPath) -> Iterator[str]:
    """Faults of the call's end, on which the caller's phone, the dialplan and the path must agree."""
    if walk.hung:
        yield f"it hung: {walk.hung}"
    if walk.told is None:
        yield "the dialplan says nothing of its end"
        return
    told = CallStatus(walk.told.status), int(walk.told.cause or 0), walk.sip
    early_answer = walk.answered_first and walk.hears != "called" and walk.sip == 200
    if not early_answer and told not in _ENDINGS:
        yield f"{told[0]} with cause {told[1]}, and the caller's phone got {walk.sip}"
    if not early_answer and (told[0] is CallStatus.CONNECTED) != (walk.sip == 200) and not _at_once(walk):
        yield f"{told[0]}, and the caller's phone got {walk.sip}"
    if walk.dropped:
        yield "a connected call was dropped"
    elif walk.rang and walk.event is None and not walk.hung and not walk.lost:
        yield "it ended before either party ended it"


def _claims(walk: PlayedPath) -> Iterator[str]:
    if walk.record is None:
        return
    for party in walk.record["known_by"]:
        if party == "caller" and (party in walk.held or _keyed(walk)):
            continue  # neither the hold nor a key that Dial() passes on to the party is seen (docs/explanation)
        profile = walk.record["profiles"][party]
        if profile not in walk.heard[party].whole:
            yield f"the evidence claims that {profile} was played to the {party} party, and the RTP does not"


def _keyed(walk: PlayedPath) -> bool:
    return any(leg.what is Move.CALLED_KEY for leg in walk.path.legs)


def _licence(walk: PlayedPath) -> Iterator[str]:
    """Faults of the licence.

    The association's sound must not be played without a licence, and a suspended number must not reach its destination.
    """
    parties = [party for party, one in walk.heard.items() if ASSOCIATIONS in one.sounds]
    if parties and (walk.path.standing != "licensed" or (walk.told and walk.told.reason != Reason.LICENCE_VALID)):
        yield f"{' and '.join(parties)} heard the association's sound without a verdict that it may be played"
    if walk.path.standing == "suspended" and walk.rang:
        yield "a suspended number reached its destination"


def _sound_first(walk: PlayedPath) -> Iterator[str]:
    """Faults of the order: each party that must hear a sound must have heard it before the parties talk."""
    voices_ms = [one.voice_ms for one in walk.heard.values() if one.voice_ms is not None]
    for party in _HEARD_BY[walk.hears] - walk.held if voices_ms else ():
        if party == "caller" and _keyed(walk):
            continue  # this party heard the key in the middle of the sound
        heard = walk.heard[party].sounds
        if not heard:
            yield f"connected, and the {party} party heard neither the sound nor the notice"
        elif min(voices_ms) < min(heard.values()) - ARRIVAL_MS:
            yield f"connected after {min(voices_ms):.0f} ms, before the {party} party's {heard} had ended"


def _evidence(walk: PlayedPath) -> Iterator[str]:
    """Faults of the evidence.

    A call that entered the hook must have a record that agrees with the dialplan and that is complete or marked as
    interrupted.
    """
    if walk.told is None:
        return
    if walk.record is None:
        yield "there is no evidence of it"
        return
    if not walk.complete and not walk.interrupted:
        yield f"its evidence is open: {list(walk.record['times'])}"
    if walk.interrupted and not walk.disturbed:
        yield "interrupted, and nothing had happened to the service"
    if walk.complete:
        told, written = (walk.told.status, int(walk.told.cause)), (walk.record["status"], walk.record["hangup_cause"])
        if told != written:
            yield f"the dialplan says {told}, and the evidence {written}"
        connected = walk.told.status == CallStatus.CONNECTED
        missed = connected and (walk.disturbed or _at_once(walk))  # the service was not there to see it
        if ("connected" in walk.record["times"]) != connected and not missed:
            yield f"{walk.told.status}, and the evidence has {list(walk.record['times'])}"


def _at_once(walk: PlayedPath) -> bool:
    """True if a party hung up at the moment of the answer or of the connection.

    Asterisk may then report a connection whose bridge is gone, or the caller's phone may have given up.
    """
    return walk.event in ENDS_OF_TALK and walk.step in (Step.ANSWERED, Step.CONNECTING)


def _waits(walk: PlayedPath) -> Iterator[str]:
    for what, took_s in (("INVITE → ringing", walk.asked_s), ("answer → connected", walk.waited_s)):
        if took_s is not None and took_s > LONGEST_WAIT_S + MEASURED_S:
            yield f"{what} took {took_s:.2f} s, beyond the sound"


def _undisturbed(walk: PlayedPath) -> Iterator[str]:
    """Differences from the table of endings, for a call that no fault of the service affected."""
    if walk.disturbed or walk.told is None or walk.record is None:
        return
    if walk.path.standing == "suspended":
        if (walk.told.status, int(walk.told.cause), walk.sip) != _REFUSED:
            yield f"a suspended number: {walk.told.status}, cause {walk.told.cause}, SIP {walk.sip}"
        return
    if walk.told.reason != _DECIDED[walk.path.standing]:
        yield f"decided as {walk.told.reason}"
    # A party on hold hears the notice at most, after its hold, and the evidence records this as an anomaly.
    if walk.record["anomalies"] and not _at_once(walk) and not walk.held:
        yield f"anomalies: {walk.record['anomalies']}"
    # Such a call was also connected later than its step indicates.
    notify = "called" if walk.hears == "called" else "both"
    told = walk.step and walk.event and not walk.held
    row = endings_table().get((walk.step, walk.event, walk.path.interface, notify)) if told else None
    if row and (walk.told.status not in row.status or int(walk.told.cause) not in row.cause):
        yield f"{walk.event} while {walk.step}: {walk.told.status}, cause {walk.told.cause}"
    if row and walk.sip not in row.sip and not (walk.answered_first and walk.sip == 200):
        yield f"{walk.event} while {walk.step}: the caller's phone got {walk.sip}"
