"""Steps that record a call as evidence, with one constructor for each event.

An interface to Asterisk records each event as one step without interpreting it. `call_record.record_of_steps`
interprets a call's steps.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from idtone.core.calls import Decision, ForwardedCall, Outcome, Party, Reason
from idtone.core.errors import LedgerError
from idtone.core.numbers import Number, NumberKind
from idtone.core.persons import Person

from .canonical_json import canonical, check, is_plain

Scalar = str | int | float | bool | None


class StepKind(StrEnum):
    DECIDED = "decided"
    FALLBACK = "fallback"
    """The dialplan decided without the service, which learned of the decision from the journal. Replaces `decided`."""
    ANSWERED = "answered"
    """The called party has answered, and the sound comes next."""
    SOUND_STARTED = "sound-started"
    SOUND_ENDED = "sound-ended"
    """The sound was played to its end. `known_by` is the proof of its delivery."""
    SOUND_FAILED = "sound-failed"
    """The sound could not be played at all or could not be played to its end."""
    SOUND_REPORTED = "sound-reported"
    """The phone reported how much of the call's sound it received."""
    CONNECTED = "connected"
    SUSPENDED = "suspended"
    """The forwarding number was suspended during the call, and the service ended the call."""
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    """The service was down and lost track of the call, so its end is unknown."""
    EXPORT_REQUESTED = "export-requested"
    """A person requests a disclosure. This kind and the kinds below are separate records, not steps of a call."""
    EXPORT_APPROVED = "export-approved"
    EXPORT_REFUSED = "export-refused"
    EXPORTED = "exported"
    """Evidence was disclosed."""
    EXPORT_RECEIVED = "export-received"
    """The receiving office signed for a pack."""
    EXPORT_CONFIRMED = "export-confirmed"
    """The office confirmed its emergency demand in writing."""
    FORGOTTEN = "forgotten"
    """Day keys were destroyed."""
    NUMBERS_OPENED = "numbers-opened"
    """A person viewed a call's numbers or searched for a number's calls."""
    DUTY = "duty"
    """A person or a member's machine did something that the association's rules require, which `act` names."""
    GAP = "gap"
    """Steps could not be written and are missing from the ledger."""
    CONTINUED = "continued"
    """The ledger before this one was damaged and set aside."""
    QUARANTINED = "quarantined"
    """Steps in the ledger that were changed, or that the service had not written, were found and set aside."""
    LOG_ENDED = "log-ended"
    """The tree ends with this leaf because its key was replaced or the node records no more evidence."""
    END_GIVEN_UP = "end-given-up"
    """A person gives up the end of one of the node's earlier logs because the key that should sign it is lost."""
    CLOCK = "clock"
    """The hourly state of the machine's clock."""


class CallStatus(StrEnum):
    """The outcome of a call, as in the dialplan variable IDTONE_STATUS."""

    CONNECTED = "CONNECTED"
    REFUSED = "REFUSED"
    BUSY = "BUSY"
    NOANSWER = "NOANSWER"
    CANCEL = "CANCEL"
    UNAVAILABLE = "UNAVAILABLE"
    FAILED = "FAILED"


class NumberRole(StrEnum):
    """The role of the party whose number is recorded."""

    FORWARDING = "forwarding"
    CALLER = "caller"
    CALLED = "called"


FIRST: Final = frozenset({StepKind.DECIDED, StepKind.FALLBACK})
"""Kinds of steps that begin a record. They contain the numbers."""
DAY, SEALED, SEALED_KEY = "day", "numbers", "numbers_key"
"""Details of a first step: the day key's day, the sealed numbers, and this record's key."""
NUMBER_SUSPENDED: Final = "number_suspended"
"""A first step's detail that marks an emergency call whose forwarding number was suspended at the time."""
SIP_CALL_ID_TOKEN: Final = "sip_call_id_token"  # noqa: S105  the name of a detail
"""A first step's detail with the token of the caller's SIP Call-ID, by which searches find the call."""
SUSPENDED_BY, OWN_SUSPENSION = "suspended_by", "own_suspension"
"""Details of a step that refuses or ends a call because of a suspension.

They are the suspension's origin and, if this node's operator ordered it, its id.
"""
CANARY: Final = "canary"
"""A first step's detail that marks a canary call, which statistics and `idtone-office misuse` skip."""
UNOPENED: Final = "cannot be opened"
"""Value used instead of sealed numbers that were changed or were sealed with another key."""
UNSEALED: Final = "could not be sealed"
"""Value used instead of numbers whose day key could not be created. Such numbers are not kept."""
CALL_ID_LIMIT: Final = 255
"""Maximum number of characters in a call id."""
SIP_CALL_ID_LIMIT: Final = 128
"""Maximum number of characters in a SIP Call-ID."""
REQUEST_LIMIT: Final = 64_000
"""Maximum number of octets in a request's details, including its calls.

The request's leaf must fit into a bundle (`tree.tiles`).
"""
_WHY_LIMIT: Final = 200
_DIALLED: Final = re.compile(r"[0-9](?:[ ().-]*[0-9]){5,}")
"""Pattern for six or more digits in any grouping, which may be a telephone number."""

_NOTHING: Final[Mapping[str, Scalar]] = {}


def is_call_id(text: str) -> bool:
    """True if a step can have this call id."""
    return 0 < len(text) <= CALL_ID_LIMIT and text.isprintable()


@dataclass(frozen=True, slots=True)
class Step:
    """One event in a call, or one act.

    `at` must have a time zone. `details` are JSON scalars.

    `numbers` are sealed when the step is written, and are written nowhere else. `sip_call_id` is the SIP Call-ID of the
    caller's channel, of which the ledger keeps only a token.

    Raises LedgerError for values that cannot be stored and read back unchanged.
    """

    call_id: str
    kind: StepKind
    at: datetime
    details: Mapping[str, Scalar] = field(default_factory=dict)
    numbers: Mapping[NumberRole, Number] = field(default_factory=dict)
    sip_call_id: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not is_call_id(self.call_id):
            raise LedgerError(
                "a call id needs 1 to {call_id_limit} printable characters, not {value!r}",
                call_id_limit=CALL_ID_LIMIT,
                value=self.call_id[:300],
            )
        if self.at.utcoffset() is None:
            raise LedgerError("the time of the step {kind} needs a time zone", kind=self.kind)
        if is_plain(self.details):
            return
        for key, value in self.details.items():
            if not isinstance(value, Scalar) or (isinstance(value, float) and not math.isfinite(value)):
                raise LedgerError("{key} of the step {kind} is not a JSON scalar", key=key, kind=self.kind)
        check(self.details)


@dataclass(frozen=True, slots=True)
class SuspendedBy:
    """Source of a suspension, either the association or the node's operator.

    `own` is the id of the operator's suspension, and is empty if the association ordered it.
    """

    own: str = ""

    def details(self) -> dict[str, Scalar]:
        return {SUSPENDED_BY: "operator", OWN_SUSPENSION: self.own} if self.own else {SUSPENDED_BY: "association"}


def decided(
    call: ForwardedCall,
    decision: Decision,
    at: datetime,
    interface: str | None = None,
    nonce: str | None = None,
    number_suspended: bool = False,
    canary: bool = False,
    suspended_by: SuspendedBy | None = None,
) -> Step:
    """Create the step for the service's decision on a call.

    `interface` is the interface through which Asterisk's request arrived, and `nonce` is the request's nonce.
    `number_suspended` marks an emergency call whose forwarding number is suspended. `canary` marks a call placed by
    `idtone canary`.
    """
    apart = len(set(decision.profiles.values())) > 1
    details: dict[str, Scalar] = {
        "direction": call.direction,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "member": decision.member,
        "wholesale_chain": decision.wholesale_chain,
        "customer": decision.customer,
        "licence": decision.licence,
        "profile": decision.profile,
        "parties": ",".join(sorted(decision.parties)) or None,
        # If the parties hear different sounds: called=sample,caller=other
        "profiles": ",".join(f"{party}={decision.profiles[party]}" for party in sorted(decision.parties))
        if apart
        else None,
        "skip": decision.skip,
        "interface": interface,
        "registry_version": decision.registry_version,
        "registry_trust": decision.registry_trust,
        "registry_sha256": decision.registry_sha256,
        "hangup_cause": decision.hangup_cause,
        "nonce": nonce,
        NUMBER_SUSPENDED: number_suspended or None,
        CANARY: canary or None,
        **(suspended_by.details() if suspended_by else {}),
        "chain_node": call.chained_from.node if call.chained_from else None,
        "chain_call": call.chained_from.call_id if call.chained_from else None,
    }
    return _first(StepKind.DECIDED, call, at, details)


def fallback(
    call: ForwardedCall,
    at: datetime,
    outcome: Outcome | None,
    reason: Reason | None,
    profiles: Mapping[Party, str],
    nonce: str | None = None,
    number_suspended: bool = False,
    canary: bool = False,
    suspended_by: SuspendedBy | None = None,
) -> Step:
    """Create the step for a decision that the dialplan hook made without the service.

    `profiles` contains each party's sound. `outcome` is None if the call ended before a decision.
    """
    details: dict[str, Scalar] = {
        "direction": call.direction,
        "outcome": outcome,
        "reason": reason,
        "profile": next(iter(profiles.values()), None),
        "parties": ",".join(sorted(profiles)) or None,
        "nonce": nonce,
        NUMBER_SUSPENDED: number_suspended or None,
        CANARY: canary or None,
        **(suspended_by.details() if suspended_by else {}),
    }
    return _first(StepKind.FALLBACK, call, at, details)


def truncated_sip_call_id(text: str) -> str:
    """Shorten a SIP Call-ID to the first `SIP_CALL_ID_LIMIT` characters."""
    return text.strip()[:SIP_CALL_ID_LIMIT]


def _first(kind: StepKind, call: ForwardedCall, at: datetime, details: dict[str, Scalar]) -> Step:
    forwarding = call.forwarding_number
    if call.perhaps:  # so that a service that starts during the call can still end it if that number is suspended
        forwarding = Number(forwarding.kind, call.perhaps.e164)
    numbers = {
        NumberRole.FORWARDING: forwarding,
        NumberRole.CALLER: call.caller,
        NumberRole.CALLED: call.called,
    }
    for role, number in numbers.items():
        details[f"{role}_kind"] = number.kind
        if number.kind is NumberKind.EMERGENCY:
            details[f"{role}_last4"] = number.e164  # in full, because it is no person's number
    return Step(
        call.id,
        kind,
        at,
        {key: value for key, value in details.items() if value is not None},
        {role: number for role, number in numbers.items() if number.known and number.kind is not NumberKind.EMERGENCY},
        call.sip_call_id,
    )


def answered(call_id: str, at: datetime) -> Step:
    return Step(call_id, StepKind.ANSWERED, at)


def sound_started(
    call_id: str,
    at: datetime,
    profile: str,
    sha256: str | None,
    party: Party = Party.CALLED,
    file_format: str | None = None,
) -> Step:
    """Create the step for a sound that started to play.

    `sha256` (64 lower-case hexadecimal digits) is the digest of the played file, whose format is `file_format`. Without
    a format, it is the combined digest of all the sound's files. `sha256` is None if Asterisk plays tones without a
    file.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise LedgerError("the SHA-256 of a sound has 64 lower-case hexadecimal digits")
    details: dict[str, Scalar] = {"party": party, "profile": profile, "format": file_format, "sha256": sha256}
    return Step(
        call_id, StepKind.SOUND_STARTED, at, {key: value for key, value in details.items() if value is not None}
    )


def sound_ended(
    call_id: str,
    at: datetime,
    played_ms: int,
    party: Party = Party.CALLED,
    known_by: str | None = None,
    packets: int | None = None,
    instead: str | None = None,
) -> Step:
    """Create the step for a sound that was played completely, for `played_ms`.

    Use `sound_failed` for an incomplete sound. `known_by` is the proof, and `packets` is the number of RTP packets sent
    during the sound. `instead` is the profile that was played instead of the one decided on.
    """
    if played_ms <= 0:
        raise LedgerError("a sound that was played lasted longer than 0 ms; record what was not played as sound_failed")
    details: dict[str, Scalar] = {
        "party": party,
        "played_ms": played_ms,
        "known_by": known_by,
        "packets": packets,
        "instead": instead,
    }
    return Step(call_id, StepKind.SOUND_ENDED, at, {key: value for key, value in details.items() if value is not None})


def sound_failed(call_id: str, at: datetime, why: str, party: Party = Party.CALLED) -> Step:
    """Create the step for a sound that was not played completely, with the reason.

    `why` may quote another program. Digits in `why` that could be a telephone number are removed.
    """
    return Step(call_id, StepKind.SOUND_FAILED, at, {"party": party, "why": _without_numbers(why)})


def sound_reported(
    call_id: str, at: datetime, confirmed: bool, lost: int, lost_back: int, party: Party = Party.CALLED
) -> Step:
    """Create the step for the phone's report (RTCP) on a sound.

    `lost` is the number of packets that the phone had missed by the time of its last report. `lost_back` is the number
    of packets from the phone that did not arrive. `confirmed` is True if the report confirms that the party received
    its sound.
    """
    details: dict[str, Scalar] = {"party": party, "confirmed": confirmed, "lost": lost, "lost_back": lost_back}
    return Step(call_id, StepKind.SOUND_REPORTED, at, details)


def _without_numbers(why: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in why)
    return _DIALLED.sub("…", printable)[:_WHY_LIMIT]


def connected(call_id: str, at: datetime) -> Step:
    return Step(call_id, StepKind.CONNECTED, at)


def suspended(
    call_id: str,
    at: datetime,
    registry_version: int | None,
    registry_sha256: str | None = None,
    by: SuspendedBy | None = None,
) -> Step:
    """Create the step for a call whose forwarding number was suspended while it was in progress.

    `registry_version` and `registry_sha256` identify the registry in use. That registry contains the suspension if the
    association ordered it.
    """
    known: dict[str, Scalar] = {"registry_version": registry_version, "registry_sha256": registry_sha256}
    details = {key: value for key, value in known.items() if value is not None}
    return Step(call_id, StepKind.SUSPENDED, at, {**details, **(by.details() if by else {})})


def q850_cause(value: object) -> int | None:
    """Convert Asterisk's hangup cause to a Q.850 cause.

    None for 0, which means no cause, and for any other value outside 1 to 127.
    """
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) <= 127 else None


def ended(
    call_id: str, at: datetime, status: CallStatus, hangup_cause: int | None = None, reason: str | None = None
) -> Step:
    """Create the step that ends a call.

    `hangup_cause` is from ITU-T Q.850; 0, which means no cause in Asterisk, is left out. `reason` is the reason on
    which the dialplan hook acted.

    Raises LedgerError for a cause outside 0 to 127.
    """
    if hangup_cause is not None and not 0 <= hangup_cause <= 127:
        raise LedgerError("a Q.850 cause lies between 1 and 127; {hangup_cause} does not", hangup_cause=hangup_cause)
    details: dict[str, Scalar] = {"status": status, "hangup_cause": hangup_cause or None, "reason": reason or None}
    return Step(call_id, StepKind.ENDED, at, {key: value for key, value in details.items() if value is not None})


def interrupted(call_id: str, at: datetime) -> Step:
    return Step(call_id, StepKind.INTERRUPTED, at)


def export_requested(
    act_id: str,
    at: datetime,
    by: Person,
    case: str,
    calls: Sequence[str],
    sealed: bool,
    selection: str,
    until: datetime,
    basis: Mapping[str, Scalar] = _NOTHING,
) -> Step:
    """Create the step for a person's request to disclose evidence about calls.

    `selection` is the digest of the requested evidence (`pack.selection`). `until` is the deadline for another person's
    approval. `basis` contains the details of a `LegalBasis`.

    Raises LedgerError if there are more calls than one tile entry can name.
    """
    details: dict[str, Scalar] = {
        **_by(by), **basis, "case": case, "calls": len(calls), "selected": json.dumps(list(calls), ensure_ascii=False),
        "numbers_sealed": sealed, "selection": selection, "until": until.isoformat(),
    }  # fmt: skip
    if len(canonical(details).encode()) > REQUEST_LIMIT:
        raise LedgerError("{count} calls are too many for one request; request fewer calls at a time", count=len(calls))
    return Step(act_id, StepKind.EXPORT_REQUESTED, at, details)


def export_approved(act_id: str, at: datetime, by: Person, request: str, selection: str, until: datetime) -> Step:
    """Create the step for another person's approval of a request for disclosure.

    `until` is the deadline for making the evidence pack.
    """
    details: dict[str, Scalar] = {**_by(by), "request": request, "selection": selection, "until": until.isoformat()}
    return Step(act_id, StepKind.EXPORT_APPROVED, at, details)


def export_refused(act_id: str, at: datetime, by: Person, request: str, why: str) -> Step:
    """Create the step that refuses a request for disclosure.

    Digits in `why` that could be a telephone number are removed.
    """
    return Step(act_id, StepKind.EXPORT_REFUSED, at, {**_by(by), "request": request, "why": _without_numbers(why)})


def exported(
    act_id: str,
    at: datetime,
    by: Person,
    case: str,
    calls: int,
    sealed: bool,
    digest: str,
    approved: tuple[str, str] | None = None,
    basis: Mapping[str, Scalar] = _NOTHING,
) -> Step:
    """Create the step for the disclosure of evidence about `calls` calls.

    `digest` is the SHA-256 of the evidence pack. `approved` contains the approved request's id and the digest of its
    selection. `basis` contains the details of a `LegalBasis`.
    """
    details: dict[str, Scalar] = {
        **_by(by), **basis, "case": case, "calls": calls, "numbers_sealed": sealed, "sha256": digest,
        **({"request": approved[0], "selection": approved[1]} if approved else {}),
    }  # fmt: skip
    return Step(act_id, StepKind.EXPORTED, at, details)


def export_received(
    act_id: str,
    at: datetime,
    by: Person,
    export: str,
    digest: str,
    receiver: str,
    received: date,
    proof: Mapping[str, Scalar] = _NOTHING,
) -> Step:
    """Create the step for the receipt that an office signed for an evidence pack.

    `export` is the act that disclosed the pack, and `digest` is the pack's SHA-256. `receiver` names the office and the
    officer, without telephone numbers. `received` is the day in Japan.

    `proof` contains either `scan`, the SHA-256 of the scanned receipt, or `signature` and `signature_key`, the digests
    of a signature on the pack and its public key (DER). It is empty if only the paper is kept.
    """
    details: dict[str, Scalar] = {
        **_by(by), "export": export, "sha256": digest, "receiver": receiver, "received": received.isoformat(), **proof
    }  # fmt: skip
    return Step(act_id, StepKind.EXPORT_RECEIVED, at, details)


def export_confirmed(act_id: str, at: datetime, by: Person, export: str, reference: str, received: date) -> Step:
    """Create the step for a document that confirms a demand for evidence.

    `export` is the act that disclosed the evidence. `reference` is the confirming document. `received` is the day in
    Japan.
    """
    details: dict[str, Scalar] = {**_by(by), "export": export, "reference": reference, "received": received.isoformat()}
    return Step(act_id, StepKind.EXPORT_CONFIRMED, at, details)


def _by(person: Person) -> dict[str, Scalar]:
    return {"by": person.name, "by_uid": person.uid, "by_way": person.known_by}


def numbers_opened(
    act_id: str, at: datetime, by: Person, purpose: str, call: str | None = None, token: tuple[str, str] | None = None
) -> Step:
    """Create the step for opening a call's numbers or searching for a number's calls.

    `token` is the pair (day, token) for the number searched for. The ledger does not keep the number itself.
    """
    details: dict[str, Scalar] = {**_by(by), "purpose": purpose}
    if call is not None:
        details["call"] = call
    if token is not None:
        details["number_day"], details["number_token"] = token
    return Step(act_id, StepKind.NUMBERS_OPENED, at, details)


def forgotten(act_id: str, at: datetime, before: str, days: int) -> Step:
    """Create the step that records that `days` day keys were destroyed, all from before the UTC day `before`."""
    return Step(act_id, StepKind.FORGOTTEN, at, {"before": before, "days": days})


def duty(act_id: str, at: datetime, by: Person, act: str, subject: str, details: Mapping[str, Scalar]) -> Step:
    """Create the step for an act that the association's rules require, such as answering a report.

    `subject` is the id of what the act concerns. `details` must not contain telephone numbers. Documents are kept
    elsewhere, and `details` identify them by SHA-256.

    Raises ValueError if a detail has the same name as a sealed detail, because readers skip those.
    """
    if reserved := details.keys() & {DAY, SEALED, SEALED_KEY}:
        raise ValueError(f"details of an act cannot be named {reserved}")
    return Step(act_id, StepKind.DUTY, at, {**details, **_by(by), "act": act, "subject": subject})


def gap(act_id: str, at: datetime, missing: Mapping[str, Scalar]) -> Step:
    """Create the step that reports steps that could not be written.

    `missing` contains their number and the times of the first and last missing step (`MissingSteps`).
    """
    return Step(act_id, StepKind.GAP, at, missing)


def continued(
    act_id: str, at: datetime, origin: str, size: int, root: str, file: str, replaced: Mapping[str, Scalar] = _NOTHING
) -> Step:
    """Create the step that names the previous log, which this log continues.

    The previous tree had the name `origin` and ended with `size` leaves and the root `root` (hexadecimal), as far as is
    known. `file` is the current name of its database. `replaced` contains the reason for a new key, if there is one
    (`key_replaced`).
    """
    details = {"origin": origin, "leaves": size, "root": root, "file": file, **replaced}
    return Step(act_id, StepKind.CONTINUED, at, details)


def key_replaced(by: Person, why: str, key: str, compromised: bool) -> dict[str, Scalar]:
    """Details for `continued` that name the person, the reason, and the replaced verifier key.

    If the key was `compromised`, only the head that `continued` names is still trusted.
    """
    told: dict[str, Scalar] = {**_by(by), "why": _without_numbers(why), "key": key}
    return {**told, "compromised": True} if compromised else told


def log_ended(act_id: str, at: datetime, by: Person, why: str, successor: str | None = None) -> Step:
    """Create the step that ends a log. No leaf may follow it.

    `successor` is the next log's verifier key, under that log's name, or None if the person named no key. Digits in
    `why` that could be a telephone number are removed.
    """
    details: dict[str, Scalar] = {**_by(by), "why": _without_numbers(why)}
    return Step(act_id, StepKind.LOG_ENDED, at, {**details, "next_key": successor} if successor else details)


def end_given_up(
    act_id: str,
    at: datetime,
    by: Person,
    why: str,
    end: tuple[str, int, str],
    signed: int,
    persons: int,
    request: str | None = None,
) -> Step:
    """Create the step that gives up the end of an earlier log whose key is lost.

    `end` is (origin, leaves, root in hexadecimal). The lost key signed only the first `signed` leaves. `persons` is the
    number of persons who must give up the end. `request` is the first person's act, which this act confirms.
    Digits in `why` that could be a telephone number are removed.
    """
    origin, leaves, root = end
    details: dict[str, Scalar] = {
        **_by(by), "why": _without_numbers(why), "origin": origin, "leaves": leaves, "root": root, "signed": signed,
        "persons": persons, **({"request": request} if request else {}),
    }  # fmt: skip
    return Step(act_id, StepKind.END_GIVEN_UP, at, details)


def quarantined(act_id: str, at: datetime, count: int, missing: int) -> Step:
    """Create the step for foreign or changed steps that were set aside.

    `count` is the number of steps set aside, and `missing` is the number of written steps that are gone.
    """
    return Step(act_id, StepKind.QUARANTINED, at, {"steps": count, "missing": missing})


def clock(act_id: str, at: datetime, known: Mapping[str, Scalar]) -> Step:
    """Create the step that records the state of the machine's clock (`clock_status`).

    `known` is empty if the state is unknown.
    """
    return Step(act_id, StepKind.CLOCK, at, known)
