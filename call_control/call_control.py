"""The calls in progress: it decides each call, and writes the evidence of the decision and of the journal's lines.

The interfaces pass the hook's requests in, and the journal's reader passes its lines in. This module does not depend
on ARI or AGI.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from idtone import dialplan
from idtone.core.calls import Decision, Delivery, Direction, ForwardedCall, Outcome, Party, Reason, Suspension
from idtone.core.decision import (
    NOTHING_REMEMBERED,
    Lines,
    OwnStops,
    Policy,
    Registry,
    Remembered,
    decide,
    refused_by_brake,
    suspended,
    time_by,
)
from idtone.core.durations import Durations
from idtone.core.errors import JournalError, LedgerBehindError
from idtone.core.logs import about
from idtone.core.numbers import Number, NumberKind, ascii_form, parse, perhaps
from idtone.core.settings.policy import CallerHears
from idtone.core.settings.settings import Interface
from idtone.dialplan import Played
from idtone.dialplan.numbers_in_hook import is_emergency_call
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import CallStatus, Step, kept_sip_call_id
from idtone.tones.making.sounds import Sound

from . import journal_lines
from .braking import Braking
from .call import Call
from .call_log import CallLog, OverCall
from .delivery import KnownBy, PlayedSound, confirmed, played_sound
from .fleet_chain import FleetChain
from .request import Request
from .sound_files import PlayedFile, SoundFiles

log = logging.getLogger(__name__)

KEPT_WITHIN_S: Final = 1.0
"""How long a verdict waits at most until its decision survives this process. It waits only if the file of pending
decisions cannot be written."""
FILE_CHANGED: Final = "a file of the sound was changed, and what was played is not known"
_CONNECTS: Final = frozenset({Outcome.PLAY, Outcome.NOTICE})
BACK_WITHIN: Final = timedelta(seconds=10)
"""How soon a call that the network forwards back to this PBX arrives here: the network only has to look a number up."""
LATE_REPORTS: Final = 1_000
"""How many ended calls may wait for the report of the called party's phone, which comes within milliseconds."""
CLOSED_KEPT: Final = 100_000
"""How many ids of ended calls stay in memory. For older calls the ledger is asked."""
DECISION_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Classes of the time that a call waits for its decision. After 3 s the hook falls back."""


@dataclass
class CallControl:
    """Decides the calls, and turns the journal's lines into evidence. Not thread-safe: use it in one event loop."""

    registry: Callable[[], Registry | None]
    policy: Policy
    sounds: Mapping[str, Sound]
    """The playable sounds, by profile."""
    evidence: Evidence
    made: Mapping[str, Sound] = field(default_factory=dict)
    """All sounds that were made, by the name of their files."""
    files: SoundFiles | None = None
    """None: only the sizes of the files are looked at, and the evidence does not say which file was played."""
    caller_hears: CallerHears = CallerHears.EARLY_MEDIA
    hang_up_suspended: bool = True
    remembered: Remembered = field(default_factory=lambda: NOTHING_REMEMBERED)
    lines: Callable[[], Lines | None] = lambda: None
    """The table of the customers' lines; None if their numbers are not checked."""
    own_stops: Callable[[], OwnStops | None] = lambda: None
    """What the operator has stopped itself (`idtone suspend`)."""
    ended_suspended: Counter[str] = field(default_factory=Counter)
    """How many calls Asterisk has ended because their number is suspended, by the reference of the suspension."""
    ended_by_own: Counter[str] = field(default_factory=Counter)
    """Those of the operator's own suspensions, by their ids."""
    emergency_trunks: tuple[str, ...] = ()
    """The trunks, resources and contexts of emergency calls; empty: all."""
    canary: tuple[Number, Number] | None = None
    """The forwarding and the called number of this node's canary calls (`idtone canary`), which the evidence marks."""
    fleet: FleetChain | None = None
    """The other nodes of the fleet; None if no trunk leads to one."""
    braking: Braking | None = None
    """None if the brake is off."""
    recorded: Callable[[str], bool] = lambda call_id: False
    """Whether the ledger knows a call. It is called only for channels that may be older than `_closed` reaches."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    retiring: bool = False
    """The service is about to stop: the interfaces give no more verdicts, and the hook uses its fallback."""
    call_log: CallLog = field(default_factory=CallLog, init=False)
    _calls: dict[str, Call] = field(default_factory=dict, init=False)
    _closed: dict[str, datetime] = field(default_factory=dict, init=False)
    """The calls that ended most recently, and when this process saw it."""
    _ended_lately: dict[str, Call] = field(default_factory=dict, init=False)
    """Calls that ended most recently, and whose called party's phone has not reported."""
    _forgotten: datetime = field(init=False)
    """`_closed` may no longer hold calls that ended before this time."""
    since: datetime = field(init=False)
    """When this process began to decide calls."""
    deciding: Mapping[Interface, Durations] = field(init=False)
    """How long calls waited, from the hook's request until the decision survived this process."""

    def __post_init__(self) -> None:
        self.since = self._forgotten = self.now()
        self.deciding = {interface: Durations(DECISION_S) for interface in Interface}

    # -- the calls in progress ----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)

    def find(self, call_id: str) -> Call | None:
        return self._calls.get(call_id)

    def is_closed(self, call_id: str) -> bool:
        """Whether this process saw the end of the call."""
        return call_id in self._closed

    def recall(self, calls: Mapping[str, Call]) -> None:
        """Continue calls that another instance decided."""
        self._calls.update(calls)

    def recall_ended(self, calls: Iterable[Call]) -> None:
        """Allow a report for each of these calls, which another instance has ended."""
        for call in calls:
            self._await_report(call)

    # -- the decision -------------------------------------------------------------------------------------------

    def decide(self, request: Request, interface: Interface) -> Call | None:
        """Decide the call of a request. One decision answers exactly one request.

        The same request gets the same decision again. A different request for a known call gets no verdict (None), and
        neither does a request for an ended call. Raises LedgerError if no call can have this id.
        """
        known = self.find(request.call_id)
        if known:
            if known.request == request or (known.request is None and known.nonce == request.nonce):
                return known
            log.error(
                "%s: this call already has a decision for another request; it gets no verdict",
                known.id,
                extra=about(known.id, known.decision.reason),
            )
            return None
        if self._is_over(request.call_id):
            log.error("%s: this call has ended; it gets no verdict", request.call_id, extra=about(request.call_id))
            return None
        forwarded, now = self._forwarded(request), self.now()
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
        of_suspended = decision.outcome is Outcome.BYPASS and self._is_suspended(forwarded, now)
        by = self._suspended_by(forwarded, now) if decision.reason is Reason.NUMBER_SUSPENDED else None
        decided = steps.decided(forwarded, decision, now, interface, request.nonce, of_suspended, canary, by)
        call = Call(
            forwarded.id,
            request.nonce,
            decision,
            now,
            forwarded.forwarding_numbers,
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
            extra=about(call.id, decision.reason),
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

    def _suspension(self, numbers: Sequence[Number], at: datetime) -> Suspension | None:
        registry = self.registry()
        return suspended(numbers, registry, time_by(registry, at), self.remembered, self.own_stops())

    def _is_suspended(self, call: ForwardedCall, at: datetime) -> bool:
        return self._suspension(call.forwarding_numbers, at) is not None

    def _suspended_by(self, call: ForwardedCall, at: datetime) -> steps.SuspendedBy | None:
        """Whose suspension refuses the call, as far as it is known now."""
        found = self._suspension(call.forwarding_numbers, at)
        return steps.SuspendedBy(found.own) if found else None

    def _waited(self, interface: Interface, asked_s: float, _: Future[None]) -> None:
        self.deciding[interface].add(self.now().timestamp() - asked_s)

    def _customer(self, call: ForwardedCall) -> str | None:
        """Whose line it is, by the table of lines."""
        lines = self.lines()
        return lines.presenting(call, self.now())[1] if lines else None

    def _is_over(self, call_id: str) -> bool:
        return call_id in self._closed or (_is_older(call_id, self._forgotten) and self.recorded(call_id))

    def _forwarded(self, request: Request) -> ForwardedCall:
        if request.direction not in ("", *Direction):
            log.error(
                "%s: the hook's DIRECTION is unknown; it counts as incoming",
                request.call_id,
                extra=about(request.call_id),
            )
        dialled = request.called or dialplan.dialled_user(request.dial_string)
        number, called, caller = parse(request.number), parse(dialled), parse(request.caller)
        outgoing = request.direction == Direction.OUTGOING
        numbers = (number, perhaps(request.number))
        chained_from = self.fleet.chained_from(request, (number, called), self.now(), self.find) if self.fleet else None
        return ForwardedCall(
            id=request.call_id,
            direction=Direction.OUTGOING if outgoing else Direction.INCOMING,
            forwarding_number=number,
            caller=caller,
            called=called,
            dialled=dialled,
            perhaps=numbers[1],
            caller_perhaps=perhaps(request.caller),
            parties=frozenset({Party.CALLED}) if request.own_dial else frozenset(Party),
            announced=chained_from is not None or self._announced(request, number, caller),
            chained_from=chained_from,
            endpoint=dialplan.endpoint_of(request.channel),
            account=request.account,
            trunks=tuple(sorted(dialplan.endpoints(request.dial_string))),
            sip_call_id=kept_sip_call_id(request.sip_call_id),
            emergency=is_emergency_call(
                ascii_form(request.dial_string),
                ascii_form(request.called),
                self.emergency_trunks,
                _is_emergency,
                request.own_dial,
            ),
            presents_other=request.own_dial and outgoing and _is_other(caller, numbers),
        )

    def _announced(self, request: Request, number: Number, caller: Number) -> bool:
        """Whether another leg of this call is announced.

        That leg is the one from which the channel descends, or the one that came back from the network by a trunk
        whose word is believed (`policy.diversion_trunks`; the hook reads `diverting` from no other channel).
        """
        parent = self.find(request.chain)
        if parent:
            return parent.announces
        if not request.diverting or not number.known:
            return False
        diverting, now = parse(request.diverting), self.now()
        for call in self._calls.values():
            if _came_back(call, diverting, number, caller, now):
                call.came_back = True
                return True
        return False

    def _playable(self, call: Call, party: Party) -> Sound | None:
        """The sound for this party; None if it must not or cannot be played. The states of its files go into `call`."""
        sound = self.sounds.get(call.decision.profiles.get(party, ""))
        if sound is None or self.files is None:
            return sound if sound and sound.is_there else None
        states = self.files.as_made(sound)
        if states is None:
            return None
        call.files[sound.stem.name] = states
        return sound

    def verdict(self, call: Call) -> dialplan.Verdict:
        """The hook's verdict. The notice replaces a sound that must not or cannot be played."""
        decision = call.decision
        files: dict[str, str] = {}
        for party in Party:
            if party in decision.profiles:
                sound = self._playable(call, party)
                if sound is None:
                    log.error(
                        "%s: the sound for the %s party must not or cannot be played; the notice replaces it",
                        call.id,
                        party,
                        extra=about(call.id, decision.reason),
                    )
                files[party] = name = sound.stem.name if sound else self.policy.notice_profile
                if sound is None and self.files and name in self.made:
                    call.files[name] = self.files.states(self.made[name])
        verdict = self._verdict(call, files)
        if len(verdict.extension) > dialplan.EXTENSION_LIMIT:
            log.error(
                "%s: the names of the profiles %s are too long together; the hook plays the notice",
                call.id,
                set(files.values()),
                extra=about(call.id, decision.reason),
            )
            verdict = self._verdict(call, dict.fromkeys(files, self.policy.notice_profile))
        return self._with_chain(call, verdict)

    def _with_chain(self, call: Call, verdict: dialplan.Verdict) -> dialplan.Verdict:
        """The verdict with what the hook needs to tell other nodes and other legs that the call is announced."""
        marked = replace(verdict, chain=self.fleet.mark(call)) if self.fleet else verdict
        if len(marked.extension) <= dialplan.EXTENSION_LIMIT:
            return marked
        log.error(
            "%s: the names of the profiles %s leave no room for the chain token; the next node plays a sound too",
            call.id,
            set(verdict.files.values()),
            extra=about(call.id, call.decision.reason),
        )
        return verdict

    def _verdict(self, call: Call, files: Mapping[str, str]) -> dialplan.Verdict:
        called = self.made.get(files.get(Party.CALLED, ""))
        return dialplan.Verdict(
            nonce=call.nonce,
            outcome=call.decision.outcome,
            reason=call.decision.reason,
            hangup_cause=call.decision.hangup_cause,
            answer_first=self.caller_hears is CallerHears.ANSWERED,
            files=files,
            packets=dialplan.packets(called.duration_ms) if called else 0,
        )

    # -- the journal --------------------------------------------------------------------------------------------

    def journal(self, line: journal_lines.Line) -> list[Future[None]]:
        """Write the evidence of a journal line; the futures are done when it is on the disk.

        Raises JournalError for a line that contradicts what is known of its call.
        """
        call = self.find(line.call_id)
        if call is None and isinstance(line, journal_lines.Decided):
            return [self._decided_by_hook(line)]
        if call is None and isinstance(line, journal_lines.Reported):
            call = self._ended_lately.pop(line.call_id, None)
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
                return self._sounded(call, line)
            case journal_lines.Reported():
                return self._reported(call, line)
            case journal_lines.Ended():
                return self._ended(call, line)

    def _decided_by_hook(self, line: journal_lines.Decided) -> Future[None]:
        """The hook decided without the service, or the call ended before a decision."""
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
            self._record_acts(self.braking.count_fallback(line, self._customer(line.call), self.now()))
        return self.record(self._fallback(line, notices))

    def _fallback(self, line: journal_lines.Decided, notices: Mapping[Party, str]) -> Step:
        of_suspended = line.outcome is Outcome.BYPASS and self._is_suspended(line.call, line.at)
        by = self._suspended_by(line.call, line.at) if line.reason is Reason.NUMBER_SUSPENDED else None
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
        """The service decided too late, and the hook's decision counts; or the call ended before the verdict, and the
        service's decision counts.
        """
        if line.outcome is None or line.reason is None:
            return []
        notices = dict.fromkeys(line.parties, self.policy.notice_profile)
        call.decision = Decision(line.outcome, line.reason, None, notices)
        return self._write(call, self._fallback(line, notices))

    def _sounded(self, call: Call, line: journal_lines.Sounded) -> list[Future[None]]:
        if line.since and line.since == call.sounded_since:
            return []  # a phone that was replaced by another one has told of this playback before, when it hung up
        call.sounded_since = line.since
        called = self.made.get(line.files.get(Party.CALLED, ""))
        found: dict[Party, tuple[Sound, PlayedSound]] = {}
        for party, name in line.files.items():
            sound = self.made.get(name)
            if sound is None:
                raise JournalError("it names an unknown sound")
            found[party] = sound, played_sound(line, party, sound.duration_ms, called.duration_ms if called else None)
        lasted_ms = max(played.lasted_ms for _, played in found.values())
        # Without the time of the answer, the sound's length gives it. Asterisk sends late packets faster than the sound
        # plays, so that this can lie before the decision, which no answer can.
        began = line.since or max(call.decided_at, line.at - timedelta(milliseconds=lasted_ms))
        written: list[Future[None]] = []
        for party, (sound, played) in found.items():
            written += self._played(call, line, began, party, sound, played)
        call.sounded_at = line.at
        return written

    def _played(
        self, call: Call, line: journal_lines.Sounded, began: datetime, party: Party, sound: Sound, found: PlayedSound
    ) -> list[Future[None]]:
        profile = sound.stem.name
        instead = profile != call.decision.profiles.get(party)
        entered = []
        if not call.answered:
            call.answered = True
            entered.append(steps.answered(call.id, began))
        file = self._file(call, line, party, sound)
        if file is None:
            found = replace(found, known_by=None, why=found.why or FILE_CHANGED)
        elif found.lasted_ms:
            entered.append(steps.sound_started(call.id, began, profile, file.sha256, party, file.format))
        if found.known_by and (not instead or profile == self.policy.notice_profile):
            call.delivery[party] = Delivery.SENT if found.known_by is KnownBy.PACKETS else Delivery.NOT_KNOWN
            entered.append(
                steps.sound_ended(
                    call.id,
                    line.at,
                    found.lasted_ms,
                    party,
                    known_by=found.known_by,
                    packets=line.sent if party is Party.CALLED else None,
                    instead=profile if instead else None,
                )
            )
        else:
            why = found.why or "the sound that was played is not the decided one"
            log.error(
                "%s: no evidence of the sound at the %s party: %s",
                call.id,
                party,
                why,
                extra=about(call.id, call.decision.reason),
            )
            entered.append(steps.sound_failed(call.id, line.at, why, party))
        return self._write(call, *entered)

    def _file(self, call: Call, line: journal_lines.Sounded, party: Party, sound: Sound) -> PlayedFile | None:
        """The file that was played; None if it is not known what was in it."""
        if line.played is Played.TONES:
            return PlayedFile(None)
        if self.files is None:
            return PlayedFile(sound.sha256)
        began = line.since or call.decided_at
        return self.files.played(sound, line.codecs.get(party, ""), began, call.files.get(sound.stem.name))

    def _reported(self, call: Call, line: journal_lines.Reported) -> list[Future[None]]:
        """Only reports about a sound that was sent matter; a phone that sends none says nothing."""
        if call.delivery.get(Party.CALLED) is not Delivery.SENT or not line.heard_from:
            return []
        is_confirmed = confirmed(line)
        if is_confirmed:
            call.delivery[Party.CALLED] = Delivery.CONFIRMED
        return self._write(call, steps.sound_reported(call.id, line.at, is_confirmed, line.lost, line.lost_back))

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
        """Close a call whose channel no longer exists and whose end is not in the journal."""
        if self._calls.get(call.id) is call:
            now = self.now()
            self._close(call, "INTERRUPTED", now)
            self.record(steps.interrupted(call.id, now))

    def _close(self, call: Call, status: str, at: datetime) -> None:
        """Forget the call, except for its line in the log."""
        if log.isEnabledFor(logging.INFO):
            seconds = (at - call.decided_at).total_seconds()
            self.call_log.add(
                OverCall(call.id, None if call.undecided else call.decision, status, call.delivery, seconds)
            )
        del self._calls[call.id]
        self._await_report(call)
        self._closed[call.id] = self.now()
        if len(self._closed) > CLOSED_KEPT:
            self._forgotten = self._closed.pop(next(iter(self._closed)))

    def _await_report(self, call: Call) -> None:
        if call.delivery.get(Party.CALLED) is Delivery.SENT:
            self._ended_lately[call.id] = call
            if len(self._ended_lately) > LATE_REPORTS:
                self._ended_lately.pop(next(iter(self._ended_lately)))

    def _write(self, call: Call, *entered: Step) -> list[Future[None]]:
        return [self.record(step) for step in entered if not call.has_written(step)]

    # -- numbers that are suspended while they are in a call -----------------------------------------------------

    def calls_to_end(self) -> list[Call]:
        """The calls in progress whose number is now suspended. Emergency calls are never included."""
        if not self.hang_up_suspended:
            return []
        registry, stops = self.registry(), self.own_stops()
        now = time_by(registry, self.now())
        return [
            call
            for call in self._calls.values()
            if call.decision.outcome not in (Outcome.BYPASS, Outcome.REFUSE)
            and not call.end_requested
            and suspended(call.forwarding_numbers, registry, now, self.remembered, stops)
        ]

    def record_suspension(self, call: Call) -> bool:
        """Record that the service asks Asterisk to end a call because its number is suspended.

        Returns False if Asterisk must not be asked: the call is over, its number is no longer suspended, or the
        evidence has refused the step.
        """
        cause = self._suspension(call.forwarding_numbers, self.now())
        if cause is None or self.find(call.id) is not call:
            return False
        if not call.suspended:
            registry, by = self.registry(), steps.SuspendedBy(cause.own)
            version, sha256 = (registry.version, registry.sha256) if registry else (None, None)
            written = self.record(steps.suspended(call.id, self.now(), version, sha256, by))
            call.suspended = not _is_refused(written)
        return call.suspended

    def count_suspension(self, call: Call) -> None:
        """Count a call that Asterisk ends because its number is suspended. It may be over already."""
        cause = self._suspension(call.forwarding_numbers, self.now())
        self.ended_suspended[cause.reference if cause else ""] += 1
        if cause and cause.own:
            self.ended_by_own[cause.own] += 1

    # -- evidence -------------------------------------------------------------------------------------------------

    def record(self, step: Step) -> Future[None]:
        """Write evidence, and log a failure. The future is that of `Evidence.append`."""
        written = self.evidence.append(step)
        written.add_done_callback(_log_failure)
        return written

    async def wait_for(self, written: Future[None], within_s: float) -> None:
        """Wait for evidence for at most `within_s`. A failure is not raised: `record` logs it."""
        if written.done():
            return
        self.evidence.hurry()
        waiting = asyncio.wrap_future(written)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait({waiting}, timeout=within_s)


def _came_back(call: Call, diverting: Number, number: Number, caller: Number, now: datetime) -> bool:
    """Whether a leg that names `diverting` is this call on its way back: it plays a sound itself, was decided a moment
    ago, has the same numbers, and no other leg has come back.

    A header can name any call, so more than this must fit: a stranger's call would hear no sound.
    """
    return (
        bool(call.decision.profiles)
        and not call.came_back
        and now - call.decided_at <= BACK_WITHIN
        and call.called == number
        and call.caller == caller
        and diverting.known
        and diverting in call.forwarding_numbers
    )


def _is_other(presented: Number, numbers: Sequence[Number | None]) -> bool:
    """Whether a presented number is none of the numbers; a withheld one is not presented."""
    return presented.kind is not NumberKind.WITHHELD and not (presented.known and presented in numbers)


def _is_emergency(text: str) -> bool:
    return parse(text).kind is NumberKind.EMERGENCY


def _is_older(call_id: str, since: datetime) -> bool:
    """Whether the channel of this call was made before `since`; True also if the id holds no time."""
    seconds = call_id.rpartition(".")[0].rpartition("-")[2]
    return not seconds.isdecimal() or int(seconds) <= since.timestamp()


def _is_refused(written: Future[None]) -> bool:
    """Whether the evidence has not even taken the step."""
    error = written.exception() if written.done() else None
    return error is not None and not isinstance(error, LedgerBehindError)


def _log_failure(done: Future[None]) -> None:
    error = done.exception()
    if error and not isinstance(error, LedgerBehindError):  # the ledger logs this once for all steps
        log.error("evidence could not be written: %s", error)
