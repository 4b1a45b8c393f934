"""The log monitor, which reads all logs in turn and writes a page with its findings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, UsageError
from idtone.core.files import file_lock, replace_durably, writing
from idtone.core.paper.html import as_html

from ..keys.private_files import make_parents
from ..witness.add_checkpoint import log_digest
from .alarms import Alarm
from .findings_page import LogReport, add_given_up_ends, compare_ends, findings_page
from .follow_log import follow
from .log_state import LogState
from .monitored_logs import MonitoredLog, MonitoredLogs

PROOFS: Final = "proofs"
"""Folder for proofs of split views, next to the files for the logs."""

_log = logging.getLogger(__name__)


@dataclass
class Monitor:
    """A log monitor that keeps its state in a folder.

    Open it with `locked`.
    """

    logs: MonitoredLogs
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @contextmanager
    def locked(self) -> Iterator[Monitor]:
        """Lock the monitor's folder during the block.

        Raises UsageError if the folder cannot be used or another monitor is using it.
        """
        lock = self.logs.state / "lock"
        busy = UsageError("{folder}: another monitor keeps its state here", folder=self.logs.state)
        try:
            make_parents(lock)
        except OSError as error:
            raise _unusable(lock, error) from error
        with file_lock(lock, busy, _unusable):
            yield self

    def look(self, is_over: Callable[[], bool] = lambda: False) -> list[LogReport]:
        """Read and check each monitored log once, then write the page with the findings.

        Raises UsageError if the page cannot be written.
        """
        reports = []
        for log in self.logs.logs:
            if is_over():
                break
            reports.append(self._look_at(log, is_over))
        add_given_up_ends(reports)
        for report, alarm in compare_ends(reports, self.clock()):
            self._keep(report, alarm)
        if len(reports) == len(self.logs.logs):
            self._write_page(reports)
        return reports

    def run(self, over: threading.Event) -> None:
        """Check all logs repeatedly until `over` is set.

        Each alarm is logged when it begins and when it ends.
        """
        before: dict[str, set[str]] = {}
        while not over.is_set():
            try:
                reports = self.look(over.is_set)
            except UsageError as error:
                _log.error("%s", error)
                reports = []
            for report in reports:
                now = {f"{each.kind}: {each.text}" for each in report.alarms} | set(filter(None, [report.trouble]))
                known = before.get(report.origin, set())
                if report.trouble:
                    now |= known  # the log was not looked at, so nothing of it has ended
                for text in sorted(now - known):
                    _log.error("%s: %s", report.origin, text)
                for text in sorted(known - now):
                    _log.info("%s: no longer: %s", report.origin, text)
                before[report.origin] = now
            over.wait(self.logs.every.total_seconds())

    def _look_at(self, log: MonitoredLog, is_over: Callable[[], bool]) -> LogReport:
        report = LogReport(log.origin, log.place)
        try:
            with LogState.opened(self._state_of(log.origin)) as state:
                proofs = self.logs.state / PROOFS / self._state_of(log.origin).stem
                follow(log, state, proofs, self.clock(), is_over)
                report.known, report.alarms = state.known(), state.alarms()
        except LedgerError as error:
            report.trouble = str(error)
        return report

    def _keep(self, report: LogReport, alarm: Alarm) -> None:
        if any((each.kind, each.text) == (alarm.kind, alarm.text) for each in report.alarms):
            return
        try:
            with LogState.opened(self._state_of(report.origin)) as state:
                state.add_alarms([alarm])
                report.alarms = state.alarms()
        except LedgerError as error:
            report.trouble = str(error)

    def _state_of(self, origin: str) -> Path:
        return self.logs.state / f"{log_digest(origin)[:16]}.sqlite3"

    def _write_page(self, reports: list[LogReport]) -> None:
        page = self.logs.page
        if page is None:
            return
        with writing(page, UsageError):
            replace_durably(page, as_html(findings_page(reports, self.clock())))


def _unusable(path: Path, error: OSError) -> UsageError:
    return UsageError("{path}: cannot be written: {reason}", path=path, reason=error.strerror)
