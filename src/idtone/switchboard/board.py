"""The calls in progress: what was decided for each, what has been told of it since, and the evidence of both.

A door tells what it sees; it asks here what that means. Nothing here knows Asterisk's interfaces.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from idtone import dialplan
from idtone.calls import Decision, Direction, ForwardedCall, Outcome, Party, Reason, Skip, Trust
from idtone.decision import NOTHING_REMEMBERED, Policy, Registry, decide, suspended, time_by
from idtone.errors import LedgerBehindError
from idtone.ledger import steps
from idtone.ledger.records import Record
from idtone.ledger.steps import CallStatus, Role, Step, StepKind
from idtone.numbers import Number, NumberKind, digits_alone, parse
from idtone.settings import CallerHears, Door
from idtone.tones.making.sounds import Sound

log = logging.getLogger(__name__)

GUARD_S: Final = 2
"""Beyond the sound's length: how long the hook waits for us before it goes on by itself."""
OVERDUE_S: Final = 1.0
"""Beyond the sound's length: when a door no longer waits for its end, or for the evidence of it. Before the guard."""


class Evidence(Protocol):
    """The ledger, as far as the calls need it."""

    @property
    def full(self) -> bool:
        """There is no room for more of it."""
        ...

    def append(self, step: Step) -> Future[None]:
        """Its future is done when a decision outlives this process, or any other step is on the disk."""
        ...

    def hurry(self) -> None:
        """Somebody waits for what was appended."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What the hook asks of a call, every part as text as it came.

    `caller` is the caller id of the channel, `called` CALLED_NUMBER; `chain` is the id of the call that this one is a
    leg of, `diverting` who forwarded it here according to its signalling.
    """

    call_id: str
    number: str
    direction: str = ""
    caller: str = ""
    called: str = ""
    dial_string: str = ""
    chain: str = ""
    diverting: str = ""
    own_dial: bool = False
    """Asked in the operator's own Dial(), after the answer: only the called party can hear something."""

    def __repr__(self) -> str:
        return f"<Question of {self.call_id}>"


@dataclass
class Call:
    """A call between its decision and its end."""

    id: str
    decision: Decision
    forwarding_numbers: tuple[Number, ...] = ()
    """None of a call that an earlier service decided, and whose evidence cannot be opened any more."""
    called: Number | None = None
    own_dial: bool = False
    """The operator's own Dial(): no hook tells how it ends."""
    answered: bool = False
    connected: bool = False
    kept: Future[None] | None = None
    """Done when the decision outlives this process; None of a call that an earlier service decided."""
    suspended: bool = False
    """Since it was in progress, and it is being ended."""
    watched: bool = False
    """Events tell what becomes of it."""

    @property
    def channel(self) -> str:
        """Whose talking and end are the call's: the caller's channel, or the called one under an own Dial()."""
        return dialplan.channel_of(self.id)


@dataclass
class Switchboard:
    """Not thread-safe: it belongs to one event loop."""

    registry: Callable[[], Registry | None]
    policy: Policy
    sounds: Mapping[str, Sound]
    evidence: Evidence
    caller_hears: CallerHears = CallerHears.EARLY_MEDIA
    hang_up_suspended: bool = True
    remembered: Mapping[str, datetime] = field(default_factory=lambda: NOTHING_REMEMBERED)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    watch: Callable[[str], None] = lambda channel: None
    """Told of each channel of which the doors must hear what becomes of it."""
    retiring: bool = False
    """The service is about to stop: the doors begin nothing new and send who asks on to what Asterisk does alone."""
    _holding: set[str] = field(default_factory=set, init=False)
    _held: set[str] = field(default_factory=set, init=False)
    """Channels that hold the call, and those that held it since their sound began."""
    _calls: dict[str, Call] = field(default_factory=dict, init=False)
    _by_channel: dict[str, Call] = field(default_factory=dict, init=False)

    # -- which calls there are ----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def find(self, call_id: str) -> Call | None:
        return self._calls.get(call_id)

    def of_channel(self, channel: str) -> Call | None:
        return self._by_channel.get(channel)

    def recall(self, records: Iterable[Record]) -> None:
        """Know the calls again that were in progress when the service last stopped."""
        for record in records:
            if record.outcome is None or record.reason is None or StepKind.DECIDED not in record.times:
                continue  # of what the hook does alone it tells the end in its own way, unless we decided too
            decision = Decision(
                Outcome(record.outcome), Reason(record.reason), record.licence,
                {Party(party): profile for party, profile in record.profiles.items()},
                registry_version=record.registry_version, skip=Skip(record.skip) if record.skip else None,
                registry_trust=Trust(record.registry_trust) if record.registry_trust else None, member=record.member,
            )  # fmt: skip
            numbers = record.opened
            forwarding = (numbers[Role.FORWARDING],) if Role.FORWARDING in numbers else ()
            call = Call(record.call_id, decision, forwarding, numbers.get(Role.CALLED))
            call.answered, call.connected = (kind in record.times for kind in (StepKind.ANSWERED, StepKind.CONNECTED))
            self._enter(call)

    def _enter(self, call: Call) -> None:
        self._calls[call.id] = self._by_channel[call.channel] = call

    # -- the decision -------------------------------------------------------------------------------------------

    def decide(self, question: Question, door: Door) -> Call:
        """The call that is asked about, decided now; one that is known already keeps its decision.

        Raises LedgerError where no call can have this id.
        """
        known = self.find(question.call_id)
        if known:
            return known
        forwarded, now = self._forwarded(question), self.now()
        registry = self.registry()
        decision = decide(forwarded, registry, self.policy, time_by(registry, now), self.remembered, self.evidence.full)
        decided = steps.decided(forwarded, decision, now, door)
        call = Call(
            forwarded.id, decision, forwarded.forwarding_numbers, forwarded.called, own_dial=question.own_dial
        )  # fmt: skip
        self._enter(call)
        self.watch(call.channel)
        call.kept = self.record(decided)
        log.info(
            "%r: %s, %s%s", forwarded, decision.outcome, decision.reason, f", {decision.skip}" * bool(decision.skip)
        )
        return call

    def _forwarded(self, question: Question) -> ForwardedCall:
        if question.direction not in ("", *Direction):
            log.error("%s: the hook was given an unknown DIRECTION; it counts as incoming", question.call_id)
        dialled = question.called or dialplan.dialled_user(question.dial_string)
        number = parse(question.number)
        return ForwardedCall(
            id=question.call_id,
            direction=Direction.OUTGOING if question.direction == Direction.OUTGOING else Direction.INCOMING,
            forwarding_number=number,
            caller=parse(question.caller),
            called=parse(dialled),
            dialled=dialled,
            perhaps=digits_alone(question.number) if number.kind is NumberKind.MALFORMED else None,
            parties=frozenset({Party.CALLED}) if question.own_dial else frozenset(Party),
            announced=self._announced(question, number),
        )

    def _announced(self, question: Question, number: Number) -> bool:
        """Whether another leg of this call sounds: the one that its channel descends from, or the one that its
        signalling names, if we know of such a leg ourselves. A header alone can be forged, and silences nothing.

        Of a leg that is connected comes no other leg, but a transfer, to one who has heard nothing.
        """
        parent = self.find(question.chain)
        if parent:
            return bool(parent.decision.profiles) and not parent.connected
        if not question.diverting or not number.known:
            return False
        diverting = parse(question.diverting)
        return diverting.known and any(
            call.decision.profiles and diverting in call.forwarding_numbers and call.called == number
            for call in self._calls.values()
        )

    def sound(self, call: Call, party: Party) -> Sound | None:
        """What the party is to hear; None where nothing, or where it may not or cannot be played."""
        return self.sounds.get(call.decision.profiles.get(party, ""))

    def verdict(self, call: Call, nonce: str) -> dialplan.Verdict:
        """What the hook is told. A sound that may not be played has no file there: the hook plays the notice."""
        decision = call.decision
        heard = {party: self.sound(call, party) for party in decision.profiles}
        longest_ms = max((sound.duration_ms for sound in heard.values() if sound), default=0.0)
        return dialplan.Verdict(
            nonce=nonce,
            outcome=decision.outcome,
            reason=decision.reason,
            hangup_cause=decision.hangup_cause,
            guard_s=math.ceil(longest_ms / 1000) + GUARD_S,
            parties=tuple(party for party in Party if party in decision.profiles),
            answer_first=self.caller_hears is CallerHears.ANSWERED,
            files={party: sound.stem.name for party, sound in heard.items() if sound},
        )

    # -- numbers that are suspended while they are in a call -----------------------------------------------------

    def to_be_ended(self) -> list[Call]:
        """Calls that go on though their number is suspended by now. An emergency call is never among them."""
        if not self.hang_up_suspended:
            return []
        registry = self.registry()
        now = time_by(registry, self.now())
        return [
            call
            for call in self._calls.values()
            if call.decision.outcome not in (Outcome.BYPASS, Outcome.REFUSE)
            and not call.suspended
            and suspended(call.forwarding_numbers, registry, now, self.remembered)
        ]

    def suspends(self, call: Call) -> None:
        """Its end was asked for."""
        if not call.suspended and self.find(call.id) is call:
            call.suspended = True
            registry = self.registry()
            self.record(steps.suspended(call.id, self.now(), registry.version if registry else None))

    # -- what the doors tell ------------------------------------------------------------------------------------

    def answered(self, call: Call, at: datetime | None = None) -> None:
        """The called party has answered; told again, or of a call that has ended meanwhile, it is not written."""
        if not call.answered and self.find(call.id) is call:
            call.answered = True
            self.record(steps.answered(call.id, at or self.now()))

    def connected(self, call: Call) -> None:
        if not call.connected:
            call.connected = True
            self.record(steps.connected(call.id, self.now()))

    # A phone that holds is sent nothing, while Asterisk plays on. ARI tells of it, for the sounds of either door.

    def holds(self, channel: str, on: bool) -> None:
        if on:
            self._holding.add(channel)
            self._held.add(channel)
        else:
            self._holding.discard(channel)

    def begins_to_hear(self, channel: str) -> None:
        if channel not in self._holding:
            self._held.discard(channel)

    def held(self, channel: str) -> bool:
        """Since it began to hear its sound, as far as was told."""
        return channel in self._held

    def hangs_up(self, channel: str) -> None:
        self._holding.discard(channel)
        self._held.discard(channel)

    def hook_ended(
        self, call_id: str, status: CallStatus, hangup_cause: int | None, reason: Reason | None = None,
        heard_by: frozenset[Party] = frozenset(),
    ) -> None:  # fmt: skip
        """The hook told how a call ended, and who heard the notice that it played without us."""
        if call := self.find(call_id):
            self.ended(call, status, hangup_cause, reason, heard_by)

    def gone(self, call: Call, hangup_cause: int | None) -> None:
        """Its channel is gone, and no hook has told how it ended."""
        if call.connected:
            self.ended(call, CallStatus.CONNECTED, hangup_cause)
        elif call.own_dial:
            self.ended(call, CallStatus.CANCEL, hangup_cause)
        else:
            self.interrupted(call)

    def ended(
        self, call: Call, status: CallStatus, hangup_cause: int | None, reason: Reason | None = None,
        heard_by: frozenset[Party] = frozenset(),
    ) -> None:  # fmt: skip
        self._over(call, steps.ended(call.id, self.now(), status, hangup_cause, reason, heard_by))

    def interrupted(self, call: Call) -> None:
        """It is gone, and nobody of us saw how."""
        self._over(call, steps.interrupted(call.id, self.now()))

    def _over(self, call: Call, last: Step) -> None:
        del self._calls[call.id]
        if self._by_channel.get(call.channel) is call:
            del self._by_channel[call.channel]
        self.record(last)

    def record(self, step: Step) -> Future[None]:
        """Write evidence; the future is as `Evidence.append` has it, and a failure is logged here."""
        written = self.evidence.append(step)
        written.add_done_callback(_complain)
        return written

    async def wait_for(self, written: Future[None], within_s: float) -> None:
        """Wait for evidence, but not longer; a failure was logged when it was written."""
        if written.done():
            return
        self.evidence.hurry()
        waiting = asyncio.wrap_future(written)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait({waiting}, timeout=within_s)


def _complain(done: Future[None]) -> None:
    error = done.exception()
    if error and not isinstance(error, LedgerBehindError):  # that the ledger has told of, once for all of them
        log.error("evidence could not be written: %s", error)
