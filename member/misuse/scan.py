"""Scans a ledger for signs of misuse.

The ledger is read once, in the order written, and each day is evaluated. Numbers stay sealed.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from idtone.core.misuse_limits import Limits
from idtone.core.numbers import Number
from idtone.ledger.evidence.call_outline import LATE, OUTLINED, Outlines
from idtone.ledger.evidence.leaves import StoredStep
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.store.ledger_reader import LedgerReader

from .findings import DayJudge, Finding, reviews_in
from .rules import RULES, Grouping, Rule

Progress = Callable[[int, int], None]
"""Callback that receives the number of steps read and the total number."""
_TELL_EVERY: Final = 5000
"""Number of steps between progress reports."""
_UNTIL_OVER: Final = timedelta(days=1) + LATE


class LedgerScan:
    """Finds signs of misuse in one ledger.

    Once `findings` has ended, `calls` is the number of calls evaluated, and `left_out` is the number written too late
    to be evaluated.
    """

    def __init__(
        self,
        reader: LedgerReader,
        node: str,
        limits: Limits,
        rules: Sequence[Rule] = RULES,
        expected: Sequence[Number] = (),
    ) -> None:
        """`expected` contains numbers whose customers have announced many calls.

        The reader needs the day keys to recognize them.
        """
        self.calls = 0
        self.left_out = 0
        self._reader = reader
        self._node = node
        self._limits = limits
        self._rules = rules
        self._expected = expected

    def findings(
        self, since: date, until: date | None = None, progress: Progress = lambda done, total: None
    ) -> Iterator[Finding]:
        """Yield the findings for the days (UTC) from `since` through `until`. Raises LedgerError."""
        reviews = reviews_in(self._reader.acts(frozenset({StepKind.DUTY})))
        judge = DayJudge(
            self._node, self._limits, reviews, self._rules, lambda day: self._reader.tokens(self._expected, day)
        )
        outlines = Outlines()
        for day in outlines.days(self._steps(since, until, progress)):
            # Days before `since` are used only for comparison.
            found = list(judge.day(day))
            if since.isoformat() <= day.day <= (until.isoformat() if until else day.day):
                self.calls += len(day.calls)
                yield from found
        self.left_out = outlines.left_out

    def _steps(self, since: date, until: date | None, progress: Progress) -> Iterator[StoredStep]:
        start = datetime.combine(since, time(), UTC) - self._compared
        after = self._reader.place_before(start)
        last = self._reader.newest_place()
        if until is not None:
            last = min(last, self._reader.place_before(datetime.combine(until, time(), UTC) + _UNTIL_OVER))
        for count, step in enumerate(self._reader.steps_in_order(after, last, OUTLINED), 1):
            if count % _TELL_EVERY == 0:
                progress(step.id - after, last - after)
            yield step

    @property
    def _compared(self) -> timedelta:
        """Time before the first day of a scan for which the ledger is read for comparison."""
        surge = self._limits.licence_surge
        needed = surge.enabled and any(rule.grouping is Grouping.LICENCE for rule in self._rules)
        return timedelta(days=surge.past_days) if needed else timedelta(0)
