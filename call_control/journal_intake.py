"""Validates journal lines: credible lines become evidence, and others are refused."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final

from idtone.core.calls import Outcome
from idtone.core.errors import JournalError, LedgerError
from idtone.core.log_throttle import LogThrottle
from idtone.ledger.evidence.leaves import CLOSING
from idtone.ledger.evidence.steps import StepKind

from .call import Call
from .call_control import CallControl
from .ended_calls import LATE_REPORTS
from .journal_lines import LONGEST_LINE, Decided, Ended, Line, Reported, fits_call_id, read, split, without_digits

log = logging.getLogger(__name__)

LATE: Final = timedelta(seconds=30)
"""Maximum delay of a line after its own time. The hook gives a decision the time of its request and may wait 13 s for a
verdict. Only the decision on an emergency call is written later, at the end of the call.
"""

Times = Mapping[str, datetime]
"""The time of a call's first step of each kind."""


class JournalIntake:
    """Accepts lines for calls in progress, based on their nonces, and for calls that the hook has just decided."""

    def __init__(
        self,
        call_control: CallControl,
        times: Callable[[Iterable[str]], Mapping[str, Times]],
        keep: Callable[[Sequence[str]], None],
        restore: Callable[[Iterable[str]], Mapping[str, Call]],
    ) -> None:
        """Set the functions that access the ledger and the file of refused lines.

        The ledger's functions run in a thread, because a read waits while the ledger's disk is slow, and no call may
        wait for that. `times` returns the times of calls' steps in the ledger and may raise LedgerError. `keep` stores
        refused lines, without their digits, and may raise OSError. `restore` reads calls from the ledger. A call that
        cannot be restored gets no report.
        """
        self._calls = call_control
        self._times = times
        self._keep = keep
        self._restore = restore
        self._shed = LogThrottle(log, "a call was rejected")
        self._throttle = LogThrottle(log, "a journal line was refused")
        self._unrestored = LogThrottle(log, "the report of an ended call is left out")
        self._reported: dict[str, None] = {}
        """An earlier service's calls whose report was entered recently. The step may not be in the ledger yet."""
        self._gap = timedelta()

    def set_gap_s(self, seconds: float) -> None:
        """Set how many seconds ago all lines were last read. New lines cannot be older."""
        self._gap = timedelta(seconds=min(seconds, 10**9))

    async def enter(self, lines: Sequence[bytes]) -> list[Future[None]]:
        """Record journal lines as evidence. Each future completes when its step is on disk.

        Raises JournalError and records nothing if the ledger cannot be read.
        """
        found: list[tuple[str, Line]] = []
        refused: list[tuple[str, JournalError]] = []

        def find(text: str) -> None:
            try:
                found.append((text, read(text)))
            except JournalError as error:
                parts = split(text)
                refused.append((parts[0] if parts else text, error))
                if parts:
                    find(parts[1])

        for octets in lines:
            find(octets.decode("ascii", "replace"))
        written: list[Future[None]] = []
        known = await self._known_before([line for _, line in found])
        for text, line in _reports_first(found):
            try:
                written += self._accepted(line, known.get(line.call_id))
            except JournalError as error:
                refused.append((text, error))
        self._refuse(refused)
        return written

    async def _known_before(self, lines: Sequence[Line]) -> Mapping[str, Times]:
        """Ledger steps of the ended calls that the lines are about.

        Also restores the calls that an earlier service ended before the phone's report was written.
        """
        calls = self._calls
        late = [line for line in lines if self._may_be_late(line)]
        asked = {line.call_id for line in late} | {
            line.call_id
            for line in lines
            if not calls.find(line.call_id) and (line.at < calls.since or isinstance(line, Decided))
        }
        try:
            times = await asyncio.to_thread(self._times, asked) if asked else {}
        except LedgerError as error:
            raise JournalError(f"the ledger cannot say which calls have ended: {error}") from error
        known = {call_id: kinds for call_id, kinds in times.items() if kinds}
        for call_id in dict.fromkeys(line.call_id for line in late if _is_report_of(known.get(line.call_id), line)):
            await self._recall(call_id)
        return known

    def _may_be_late(self, line: Line) -> bool:
        """True if the line may be a report about a call that an earlier service ended."""
        calls = self._calls
        return (
            isinstance(line, Reported)
            and line.heard_from
            and line.at < calls.since + LATE
            and self._is_new(line.at)
            and line.call_id not in self._reported
            and not calls.find(line.call_id)
            and not calls.ended.has_seen(line.call_id)
        )

    async def _recall(self, call_id: str) -> None:
        try:
            restored = await asyncio.to_thread(self._restore, [call_id])
            self._calls.ended.await_report(*restored.values())
        except Exception as error:  # a damaged record, or one of a newer version: the other lines are entered
            why = str(error) if isinstance(error, LedgerError) else type(error).__name__
            self._unrestored.warning(f"{call_id} cannot be restored: {why}")

    def _accepted(self, line: Line, before: Times | None) -> list[Future[None]]:
        calls = self._calls
        call = calls.find(line.call_id)
        if call:
            if isinstance(line, Ended) and call.decision.outcome is Outcome.BYPASS:
                self._must_be_new(line.at)
            return calls.record_journal_line(line)
        if isinstance(line, Reported) and not calls.ended.has_seen(line.call_id):
            return self._late_report(line, before)
        if before and line.at < calls.since and not isinstance(line, Reported):
            return []  # an earlier service has entered this line
        if isinstance(line, Decided):
            if before or calls.ended.has_seen(line.call_id):
                raise JournalError("its call has already ended")
            if not fits_call_id(line.call_id, line.at):
                raise JournalError("its time contradicts the time in the call id")
            self._must_be_new(line.at, over=line.outcome is Outcome.BYPASS)
            if line.outcome is Outcome.SHED:
                self._shed.warning("the number of calls that wait for a verdict has reached policy.waiting")
        return calls.record_journal_line(line)

    def _late_report(self, line: Reported, before: Times | None) -> list[Future[None]]:
        """Record the first report about a call that an earlier service ended."""
        if not self._may_be_late(line) or not _is_report_of(before, line):
            return []
        written = self._calls.record_journal_line(line)
        self._reported[line.call_id] = None
        if len(self._reported) > LATE_REPORTS:
            del self._reported[next(iter(self._reported))]
        return written

    def _must_be_new(self, at: datetime, over: bool = False) -> None:
        """Raise JournalError if all lines from this time were already read or the time is in the future.

        `over` means that the hook writes the line at the end of the call, so `at` may be long ago.
        """
        if not self._is_new(at, over):
            raise JournalError("its time is in the future, or all lines of that time were read before")

    def _is_new(self, at: datetime, over: bool = False) -> bool:
        now = self._calls.now()
        return at <= now + LATE and (at >= now - self._gap - LATE or over)

    def _refuse(self, refused: Sequence[tuple[str, JournalError]]) -> None:
        for _, error in refused:
            self._throttle.warning(str(error))
        if not refused:
            return
        try:
            self._keep([without_digits(text[:LONGEST_LINE]) for text, _ in refused])
        except OSError as error:
            self._throttle.warning(f"it cannot be saved: {error.strerror}")


def _is_report_of(times: Times | None, line: Line) -> bool:
    """True if the line is the first report about the ended call with these steps and fits their times."""
    if times is None or StepKind.SOUND_REPORTED in times or StepKind.ANSWERED not in times:
        return False
    return any(times[StepKind.ANSWERED] <= line.at <= times[end] + LATE for end in CLOSING & times.keys())


def _reports_first(found: Sequence[tuple[str, Line]]) -> list[tuple[str, Line]]:
    """Move each report before the end of its call.

    A call's channels end at the same time, each in a separate thread.
    """
    ends = {line.call_id: place for place, (_, line) in enumerate(found) if isinstance(line, Ended)}
    places = [
        (min(place, ends.get(line.call_id, place)), 0) if isinstance(line, Reported) else (place, 1)
        for place, (_, line) in enumerate(found)
    ]
    return [found[place] for place in sorted(range(len(found)), key=places.__getitem__)]
