"""Decides each call and writes the evidence of the decision and of the journal's lines.

ARI and AGI pass the hook's requests to this module, and the journal's reader passes its lines. The module does not
depend on ARI or AGI.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from idtone import dialplan
from idtone.core.calls import Decision, ForwardedCall, Outcome, Party, Reason
from idtone.core.decision import (
    NOTHING_REMEMBERED,
    Lines,
    OwnStops,
    Policy,
    Registry,
    Remembered,
    decide,
    refused_by_brake,
    time_by,
)
from idtone.core.duration_histogram import Durations
from idtone.core.errors import JournalError, LedgerBehindError
from idtone.core.log_output import call_extra
from idtone.core.numbers import Number
from idtone.core.settings.policy import CallerHears
from idtone.core.settings.settings import Interface
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.tones.making.sound_files import Sound

from . import journal_lines
from .call import Call
from .call_brake import CallBrake
from .call_log import CallLog, OverCall
from .call_sounds import CallSounds, reported_steps
from .ended_calls import EndedCalls
from .fleet_chain import FleetChain
from .forwarded_call import RequestNumbers, call_that_came_back, forwarded_call
from .request import Request
from .sound_files import SoundFiles
from .suspended_calls import SuspendedCalls
from .verdicts import Verdicts

log = logging.getLogger(__name__)

KEPT_WITHIN_S: Final = 1.0
"""Maximum time in seconds that a verdict waits for its decision to be stored. It waits only if the file of pending
decisions cannot be written.
"""
_CONNECTS: Final = frozenset({Outcome.PLAY, Outcome.NOTICE})
DECISION_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Buckets for the time that a call waits for its decision, in seconds. After 3 s, the hook falls back."""


@dataclass
class CallControl:
    """Calls in progress, with the methods that decide them and record their evidence.

    Not thread-safe: use an instance in one event loop.
    """

    registry: Callable[[], Registry | None]
    policy: Policy
    sounds: Mapping[str, Sound]
    """The playable sounds, by profile."""
    evidence: Evidence
    made: Mapping[str, Sound] = field(default_factory=dict)
    """All sounds that were made, by file name."""
    files: SoundFiles | None = None
    """The sound files; None if only file sizes are checked and the evidence does not say which file was played."""
    caller_hears: CallerHears = CallerHears.EARLY_MEDIA
    hang_up_suspended: InitVar[bool] = True
    remembered: Remembered = field(default_factory=lambda: NOTHING_REMEMBERED)
    lines: Callable[[], Lines | None] = lambda: None
    """Returns the table of customer lines, or None if customers' numbers are not checked."""
    own_stops: Callable[[], OwnStops | None] = lambda: None
    """Returns the operator's suspensions (`idtone suspend`)."""
    emergency_trunks: tuple[str, ...] = ()
    """The trunks, resources and contexts of emergency calls; empty means all."""
    canary: tuple[Number, Number] | None = None
    """Forwarding and called numbers of this node's canary calls (`idtone canary`), which the evidence marks."""
    fleet: FleetChain | None = None
    """The other nodes of the fleet; None if no trunk leads to one."""
    braking: CallBrake | None = None
    """The brake; None if it is off."""
    recorded: Callable[[str], bool] = lambda call_id: False
    """Returns True if the ledger knows a call."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    retiring: bool = False
    """True if the service is about to stop. The interfaces then give no more verdicts, and the hook uses its fallback.
    """
    call_log: CallLog = field(default_factory=CallLog, init=False)
    _calls: dict[str, Call] = field(default_factory=dict, init=False)
    ended: EndedCalls = field(init=False)
    suspended: SuspendedCalls = field(init=False)
    since: datetime = field(init=False)
    """When this process began to decide calls."""
    deciding: Mapping[Interface, Durations] = field(init=False)
    """How long calls waited, from the hook's request until the decision was stored."""

    _sounds: CallSounds = field(init=False)
    _verdicts: Verdicts = field(init=False)

    def __post_init__(self, hang_up_suspended: bool) -> None:
        self._sounds = CallSounds(self.sounds, self.made, self.files, self.policy.notice_profile)
        self._verdicts = Verdicts(self._sounds, self.caller_hears, self.fleet)
        self.since = self.now()
        self.ended = EndedCalls(self.since)
        self.suspended = SuspendedCalls(
            in_progress=self._calls,
            registry=lambda: self.registry(),
            remembered=lambda: self.remembered,
            own_stops=lambda: self.own_stops(),
            now=lambda: self.now(),
            record=self.record,
            hang_up=hang_up_suspended,
        )
        self.deciding = {interface: Durations(DECISION_S) for interface in Interface}

    # -- the calls in progress ----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)

    def find(self, call_id: str) -> Call | None:
        return self._calls.get(call_id)

    def restore(self, calls: Mapping[str, Call]) -> None:
        """Continue calls that another instance of the service decided."""
        self._calls.update(calls)

    # -- the decision -------------------------------------------------------------------------------------------

    def needs_look_up(self, call_id: str) -> bool:
        """True if only the ledger knows whether the call has ended, because its channel may be older than this process.

        Then `decide_after_look_up` must be used.
        """
        return self.find(call_id) is None and self.ended.may_have_forgotten(call_id)

    async def decide_after_look_up(self, request: Request, interface: Interface) -> Call | None:
        """Like `decide`, but asks the ledger first if necessary, and returns None if the service is about to stop.

        The look-up runs in a thread, because a locked ledger answers only after seconds. Raises LedgerError.
        """
        known = self.needs_look_up(request.call_id) and await asyncio.to_thread(self.recorded, request.call_id)
        if self.retiring:
            return None
        if known and self.find(request.call_id) is None:  # the journal may have reported the call during the look-up
            _log_ended(request.call_id)
            return None
        return self.decide(request, interface)

    def decide(self, request: Request, interface: Interface) -> Call | None:
        """Decide a request's call. A repeated request gets the same decision.

        Returns None for a different request for a known call and for a call that has ended. Raises LedgerError if the
        call id is invalid.
        """
        known = self.find(request.call_id)
        if known:
            if known.request == request or (known.request is None and known.nonce == request.nonce):
                return known
            log.error(
                "%s: this call already has a decision for another request; it gets no verdict",
                known.id,
                extra=call_extra(known.id, known.decision.reason),
            )
            return None
        if self.ended.has_seen(request.call_id):
            _log_ended(request.call_id)
            return None
        now = self.now()
        forwarded = self._forwarded(request, now)
        registry, canary = self.registry(), self._is_canary(forwarded)
        lines, braking = (None, None) if canary else (self.lines(), self.braking)  # it comes from no customer's line
        decision = decide(
            forwarded,
            registry,
            self.policy,
            time_by(registry, now),
            self.remembered,
            self.evidence.full,
            lines,
            self.own_stops(),
        )
        if braking and decision.outcome in _CONNECTS:
            braked = braking.refusal(forwarded, decision.customer, now)
            decision = refused_by_brake(decision, braked, self.policy) if braked else decision
        numbers = forwarded.forwarding_numbers
        of_suspended = decision.outcome is Outcome.BYPASS and self.suspended.suspension(numbers, now) is not None
        by = self.suspended.origin(numbers, now) if decision.reason is Reason.NUMBER_SUSPENDED else None
        decided = steps.decided(forwarded, decision, now, interface, request.nonce, of_suspended, canary, by)
        call = Call(
            forwarded.id,
            request.nonce,
            decision,
            now,
            numbers,
            forwarded.called,
            forwarded.caller,
            request,
            forwarded.chained_from,
        )
        self._calls[call.id] = call
        call.kept = self.record(decided)
        if request.asked_s is not None:
            call.kept.add_done_callback(partial(self._waited, interface, request.asked_s))
        log.debug(
            "%r: %s, %s, %s",
            forwarded,
            decision.outcome,
            decision.reason,
            decision.skip,
            extra=call_extra(call.id, decision.reason),
        )
        if braking:
            call.subjects, acts = braking.count(forwarded, decision, now)
            self._record_acts(acts)
        return call

    def _record_acts(self, acts: Iterable[Step]) -> None:
        for act in acts:
            self.record(act)

    def _is_canary(self, call: ForwardedCall) -> bool:
        return (call.forwarding_number, call.called) == self.canary

    def _waited(self, interface: Interface, asked_s: float, _: Future[None]) -> None:
        self.deciding[interface].add(self.now().timestamp() - asked_s)

    def _forwarded(self, request: Request, now: datetime) -> ForwardedCall:
        numbers = RequestNumbers.of(request)
        chained_from = None
        if self.fleet:
            chained_from = self.fleet.chained_from(request, (numbers.forwarding, numbers.called), now, self.find)
        announced = chained_from is not None or self._is_announced(request, numbers, now)
        return forwarded_call(request, numbers, chained_from, announced, self.emergency_trunks)

    def _is_announced(self, request: Request, numbers: RequestNumbers, now: datetime) -> bool:
        """True if another leg of this call plays the sound.

        The other leg is either the one that the channel descends from or the one that came back from the network.
        """
        parent = self.find(request.chain)
        if parent:
            return parent.announces
        back = call_that_came_back(request, numbers, self._calls.values(), now)
        if back:
            back.came_back = True
        return back is not None

    def verdict(self, call: Call) -> dialplan.Verdict:
        """Verdict for the hook. The notice replaces any sound that must not or cannot be played."""
        return self._verdicts.of(call)

    # -- the journal --------------------------------------------------------------------------------------------

    def record_journal_line(self, line: journal_lines.Line) -> list[Future[None]]:
        """Record a journal line's evidence. Each future completes when its step is on disk.

        Raises JournalError if the line contradicts what is known about the call.
        """
        call = self.find(line.call_id)
        if call is None and isinstance(line, journal_lines.Decided):
            return [self._decided_by_hook(line)]
        if call is None and isinstance(line, journal_lines.Reported):
            call = self.ended.take_reporting(line.call_id)
            if call is None:
                return []  # nothing more can be known of that call
        if call is None:
            raise JournalError("no such call is in progress")
        if call.nonce != line.nonce:
            raise JournalError("its nonce differs from that of the call's request")
        match line:
            case journal_lines.Decided():
                return self._decided_twice(call, line)
            case journal_lines.Sounded():
                return self._write(call, *self._sounds.evidence(call, line))
            case journal_lines.Reported():
                return self._write(call, *reported_steps(call, line))
            case journal_lines.Ended():
                return self._ended(call, line)

    def _decided_by_hook(self, line: journal_lines.Decided) -> Future[None]:
        """Add a call that the hook decided without the service or that ended before a decision."""
        notices = dict.fromkeys(line.parties, self.policy.notice_profile)
        decision = Decision(line.outcome or Outcome.NOTICE, line.reason or Reason.SERVICE_UNAVAILABLE, None, notices)
        self._calls[line.call_id] = Call(
            line.call_id,
            line.nonce,
            decision,
            line.at,
            line.call.forwarding_numbers,
            line.call.called,
            line.call.caller,
            undecided=line.outcome is None,
        )
        if self.braking:
            lines, now = self.lines(), self.now()
            customer = lines.presentation(line.call, now)[1] if lines else None
            self._record_acts(self.braking.count_fallback(line, customer, now))
        return self.record(self._fallback(line, notices))

    def _fallback(self, line: journal_lines.Decided, notices: Mapping[Party, str]) -> Step:
        numbers = line.call.forwarding_numbers
        of_suspended = line.outcome is Outcome.BYPASS and self.suspended.suspension(numbers, line.at) is not None
        by = self.suspended.origin(numbers, line.at) if line.reason is Reason.NUMBER_SUSPENDED else None
        return steps.fallback(
            line.call,
            line.at,
            line.outcome,
            line.reason,
            notices,
            line.nonce,
            of_suspended,
            self._is_canary(line.call),
            by,
        )

    def _decided_twice(self, call: Call, line: journal_lines.Decided) -> list[Future[None]]:
        """Record a second decision on a call.

        If the service decided too late, the hook's decision counts. If the call ended before the verdict, the service's
        decision counts.
        """
        if line.outcome is None or line.reason is None:
            return []
        notices = dict.fromkeys(line.parties, self.policy.notice_profile)
        call.decision = Decision(line.outcome, line.reason, None, notices)
        return self._write(call, self._fallback(line, notices))

    def _ended(self, call: Call, line: journal_lines.Ended) -> list[Future[None]]:
        entered = []
        if line.status is CallStatus.CONNECTED:
            talked = timedelta(milliseconds=line.talked_ms or 0)
            entered.append(steps.connected(call.id, call.sounded_at or line.at - talked))
        elif line.answered and call.sounded_at is None:
            why = "the call ended during the sound"
            entered += [steps.sound_failed(call.id, line.at, why, party) for party in call.decision.profiles]
        entered.append(steps.ended(call.id, line.at, line.status, line.hangup_cause, line.reason))
        written = self._write(call, *entered)
        if self.fleet and call.chained_from and line.status is CallStatus.CONNECTED:
            self.fleet.connected(call.chained_from, self.now())
        if self.braking and call.subjects:
            self._record_acts(self.braking.ended(call, line, self.now()))
        self._close(call, line.status, line.at)
        return written

    def close_interrupted(self, call: Call) -> None:
        """Close a call whose channel is gone although the journal does not report its end."""
        if self._calls.get(call.id) is call:
            now = self.now()
            self._close(call, "INTERRUPTED", now)
            self.record(steps.interrupted(call.id, now))

    def _close(self, call: Call, status: str, at: datetime) -> None:
        if log.isEnabledFor(logging.INFO):
            seconds = (at - call.decided_at).total_seconds()
            self.call_log.add(
                OverCall(call.id, None if call.undecided else call.decision, status, call.delivery, seconds)
            )
        del self._calls[call.id]
        self.ended.add(call, self.now())

    def _write(self, call: Call, *entered: Step) -> list[Future[None]]:
        return [self.record(step) for step in entered if not call.has_written(step)]

    # -- evidence -------------------------------------------------------------------------------------------------

    def record(self, step: Step) -> Future[None]:
        """Append a step to the evidence. The future completes when the step is on disk; a failure is logged."""
        written = self.evidence.append(step)
        written.add_done_callback(_log_failure)
        return written

    async def wait_for(self, written: Future[None], within_s: float) -> None:
        """Wait up to `within_s` seconds for evidence. Does not raise failures, because `record` logs them."""
        if written.done():
            return
        self.evidence.hurry()
        waiting = asyncio.wrap_future(written)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait({waiting}, timeout=within_s)


def _log_ended(call_id: str) -> None:
    log.error("%s: this call has ended; it gets no verdict", call_id, extra=call_extra(call_id))


def _log_failure(done: Future[None]) -> None:
    error = done.exception()
    if error and not isinstance(error, LedgerBehindError):  # the ledger logs this once for all steps
        log.error("evidence could not be written: %s", error)
