"""From the journal's lines to evidence: which lines are believed, and what becomes of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final

from idtone.calls import Outcome
from idtone.errors import JournalError, LedgerError
from idtone.log_throttle import LogThrottle

from .call_control import CallControl
from .journal_lines import LONGEST_LINE, Decided, Ended, Line, blotted, fits_its_id, read, split

log = logging.getLogger(__name__)

LATE: Final = timedelta(seconds=30)
"""How long after the time that it names a line may come. The hook dates a decision by its request, and can have waited
13 s for a verdict. Only the decision on an emergency call is written when the call is over.
"""


class JournalEntry:
    """Believes the lines of calls in progress, by their nonces, and those of calls that the hook decides now."""

    def __init__(
        self,
        call_control: CallControl,
        times: Callable[[Iterable[str]], Mapping[str, Mapping[str, object]]],
        keep: Callable[[Sequence[str]], None],
    ) -> None:
        """`times` says what the ledger has of calls, by call id and kind of step (LedgerError). `keep` takes lines that
        are not believed, without their digits (OSError).
        """
        self._calls = call_control
        self._times = times
        self._keep = keep
        self._turned_away = LogThrottle(log, "a call was turned away")
        self._throttle = LogThrottle(log, "a line of the journal is not believed")
        self._gap = timedelta()

    def gap_s(self, seconds: float) -> None:
        """All lines were read so many seconds ago, so what comes now is not older."""
        self._gap = timedelta(seconds=min(seconds, 10**9))

    def enter(self, lines: Sequence[bytes]) -> list[Future[None]]:
        """The futures are done when the evidence is on the disk.

        Raises JournalError if the ledger cannot be read; then none of the lines is entered.
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
        known = self._known_before(line for _, line in found)
        for text, line in found:
            try:
                written += self._believed(line, line.call_id in known)
            except JournalError as error:
                refused.append((text, error))
        self._refuse(refused)
        return written

    def _known_before(self, lines: Iterable[Line]) -> set[str]:
        """Calls that are over: they are not in progress, and the ledger has steps of them."""
        calls = self._calls
        asked = {
            line.call_id
            for line in lines
            if not calls.find(line.call_id) and (line.at < calls.since or isinstance(line, Decided))
        }
        try:
            return {call_id for call_id, kinds in self._times(asked).items() if kinds} if asked else set()
        except LedgerError as error:
            raise JournalError(f"which calls are over is not known: {error}") from error

    def _believed(self, line: Line, known_before: bool) -> list[Future[None]]:
        calls = self._calls
        call = calls.find(line.call_id)
        if call:
            if isinstance(line, Ended) and call.decision.outcome is Outcome.BYPASS:
                self._must_be_new(line.at)
            return calls.journal(line)
        if known_before and line.at < calls.since:
            return []  # entered by the service before this one
        if isinstance(line, Decided):
            if known_before or calls.is_closed(line.call_id):
                raise JournalError("its call is over already")
            if not fits_its_id(line.call_id, line.at):
                raise JournalError("it dates the call at another time than the call's id")
            self._must_be_new(line.at, over=line.outcome is Outcome.BYPASS)
            if line.outcome is Outcome.SHED:
                self._turned_away.warning("as many as policy.waiting allows waited for a verdict")
        return calls.journal(line)

    def _must_be_new(self, at: datetime, over: bool = False) -> None:
        """Raises JournalError if all lines of this time were read, or it is yet to come.

        `over`: the line is written when its call is over, so `at` may be long ago.
        """
        now = self._calls.now()
        if at > now + LATE or (at < now - self._gap - LATE and not over):
            raise JournalError("all lines of the time that it names were read")

    def _refuse(self, refused: Sequence[tuple[str, JournalError]]) -> None:
        for _, error in refused:
            self._throttle.warning(str(error))
        if not refused:
            return
        try:
            self._keep([blotted(text[:LONGEST_LINE]) for text, _ in refused])
        except OSError as error:
            self._throttle.warning(f"it cannot be kept: {error.strerror}")
