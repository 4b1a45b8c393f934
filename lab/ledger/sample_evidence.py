"""The evidence of sample calls, and the locations of the tests' ledgers."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from idtone.core.calls import Decision, Direction, ForwardedCall, Outcome, Party, Reason
from idtone.core.numbers import parse
from idtone.core.persons import AccountKnownBy, Person
from idtone.core.signed_notes import Signer
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.checkpoint_file import CheckpointFile
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.keys.successor_trees import SuccessorTrees
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.writing.ledger_writer import LedgerWriter

NOW = datetime(2026, 11, 1, 0, 0, 0, 123456, UTC)
KEY = bytes(range(32))
RING = LedgerKey(KEY)
SEED = bytes(range(32, 64))
LOG = Signer("pbx-1/idtone", SEED).key
SHA256 = "5e" * 32

NONCE = "123456789012"
FORWARDING, CALLER, CALLED = "0312345678", "09012345679", "05031234567"

ALICE, BOB = Person(1001, "alice", AccountKnownBy.LOGIN), Person(1002, "bob", AccountKnownBy.SUDO)

PLAY = Decision(Outcome.PLAY, Reason.LICENCE_VALID, "L-0001", {Party.CALLED: "sample"}, 42, member="m-0001")
NOTICE = Decision(Outcome.NOTICE, Reason.LICENCE_EXPIRED, "L-0001", {Party.CALLED: "notice"}, 42, member="m-0001")
REFUSE = Decision(Outcome.REFUSE, Reason.NUMBER_SUSPENDED, registry_version=42, hangup_cause=21)
BYPASS = Decision(Outcome.BYPASS, Reason.EMERGENCY)


def time_after(ms: float) -> datetime:
    """The time `ms` milliseconds after the sample decision."""
    return NOW + timedelta(milliseconds=ms)


def forwarded(call_id: str = "c-1", called: str = CALLED) -> ForwardedCall:
    return ForwardedCall(
        call_id, Direction.INCOMING, parse(FORWARDING), parse(CALLER), parse(called), f"PJSIP/{called}@trunk"
    )


def decided(decision: Decision = PLAY, call_id: str = "c-1", ms: float = 0) -> Step:
    return steps.decided(forwarded(call_id), decision, time_after(ms), nonce=NONCE)


def fallback(
    outcome: Outcome | None, reason: Reason | None, *parties: Party, call_id: str = "c-1", ms: float = 0
) -> Step:
    """Step of a fallback decision by the hook. `parties` hear the notice."""
    return steps.fallback(forwarded(call_id), time_after(ms), outcome, reason, dict.fromkeys(parties, "notice"), NONCE)


def heard_call(call_id: str = "c-1", start_ms: float = 0) -> list[Step]:
    """All steps of a call with the licensed sound."""
    return [
        decided(PLAY, call_id, start_ms),
        steps.answered(call_id, time_after(start_ms + 3000)),
        steps.sound_started(call_id, time_after(start_ms + 3002), "sample", SHA256),
        steps.sound_ended(call_id, time_after(start_ms + 3404), 400, known_by="packets", packets=20),
        steps.connected(call_id, time_after(start_ms + 3406)),
        steps.ended(call_id, time_after(start_ms + 60_000), CallStatus.CONNECTED, 16),
    ]


def played_to(known_by: dict[Party, str | None], call_id: str = "c-1") -> list[Step]:
    """Steps of a call whose sound was played to some parties.

    `known_by` maps each party to the way in which the end of the sound is known.
    """
    told = [
        decided(PLAY._replace(profiles=dict.fromkeys(known_by, "sample")), call_id),
        steps.answered(call_id, time_after(10)),
    ]
    for party, code in known_by.items():
        told.append(steps.sound_started(call_id, time_after(20), "sample", SHA256, party))
        told.append(steps.sound_ended(call_id, time_after(420), 400, party, known_by=code))
    return told


def cancelled_call(call_id: str, start_ms: float) -> list[Step]:
    """A call whose caller gave up during the sound. The end of the sound is recorded after the end of the call."""
    return [
        decided(PLAY, call_id, start_ms),
        steps.answered(call_id, time_after(start_ms + 10)),
        steps.sound_started(call_id, time_after(start_ms + 11), "sample", SHA256),
        steps.ended(call_id, time_after(start_ms + 100), CallStatus.CANCEL, 16),
        steps.sound_failed(call_id, time_after(start_ms + 101), "hung up"),
    ]


def evidence(calls: int = 20) -> list[Step]:
    """Steps of overlapping calls, most of them finished, sorted by time.

    In each group of four calls, one has a sent sound, and the second has two leaves.
    """
    told: list[Step] = []
    for number in range(calls):
        name, ms = f"pbx-1-1793491200.{number}", number * 20_000
        told += [
            heard_call(name, ms),
            cancelled_call(name, ms),
            [decided(REFUSE, name, ms), steps.ended(name, time_after(ms + 1), CallStatus.REFUSED, 21)],
            [decided(NOTICE, name, ms), steps.interrupted(name, time_after(ms + 900))],
        ][number % 4]
    told += heard_call("in progress", calls * 20_000)[:4]
    return sorted(told, key=lambda step: step.at)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def days_of(url: str) -> DayKeys:
    """Day keys in the file beside the ledger."""
    return DayKeys(path_of(url).with_name("key.days"), RING)


def successor_trees_of(url: str) -> SuccessorTrees:
    return SuccessorTrees(path_of(url).with_name("key.continued"), LOG.name)


def key_ring_of(url: str) -> KeyRing:
    """Key ring of a ledger: a signing key in memory, and otherwise the files beside the ledger."""
    return KeyRing(
        days_of(url),
        Signer(LOG.name, SEED),
        CheckpointFile(path_of(url).with_name("key.seen")),
        CheckpointFile(path_of(url).with_name("key.cosigned")),
        successor_trees_of(url),
    )


def write_each(writer: LedgerWriter, *told: Step, within_s: float = 60) -> None:
    """Write each step at once, in a separate transaction. Raises LedgerError, TimeoutError."""
    for step in told:
        written = writer.append(step)
        writer.hurry()
        written.result(within_s)


def without_tokens(step: Step) -> Step:
    """The step as it is read without keys: without the search tokens."""
    return replace(step, details={name: value for name, value in step.details.items() if not name.endswith("_token")})


def wait_until(true: Callable[[], object], within_s: float = 60) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "it did not come true"
        time.sleep(0.01)
