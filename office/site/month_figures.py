"""Computes a month's figures for the public site from the office's facts, and stores them in a file."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import reading, writing
from idtone.core.japan_time import JAPAN
from idtone.core.numbers import parse
from idtone.member.evaluation.figures import KIND
from idtone.registry.model import SuspensionsDocument
from idtone.registry.suspended_numbers import stops

from ..authority import group_shared_files
from ..authority.history import Action, HistoryEntry
from ..desk.document_desk import DocumentDesk
from ..desk.reports.report_desk import ReportDesk
from ..desk.reports.report_settings import read_report_settings
from ..evaluation.read_figures import read_figures
from .public_figures import MonthFacts, public_figures

FOLDER: Final = "public-figures"
"""Folder for the figures, inside the authority's folder."""


_STOPS: Final = (Action.SUSPEND_NUMBER, Action.SUSPEND_RANGE, Action.SUSPEND_MEMBER)


def figures_of_month(
    desk: DocumentDesk,
    month: str,
    history: Iterable[HistoryEntry],
    suspensions: SuspensionsDocument,
    secret: bytes,
    now: datetime,
) -> bytes:
    """Compute the figures for a month such as `2026-11`, as JSON.

    The figures are computed once and then read from their file, because two versions would reveal more than one.
    `history` contains the signed history lines about suspensions, because lifted suspensions are no longer in
    `suspensions`. Raises UsageError if the month is not over, or another IdtoneError.
    """
    begins, ends = _bounds(month)
    if now < ends:
        raise UsageError("--month {month}: is not over yet", month=month)
    path = desk.folder / FOLDER / f"{month}.json"
    if path.exists():
        return path.read_bytes()
    stopped = [entry for entry in history if entry.action in _STOPS and begins <= entry.at < ends]
    facts = _facts(desk, month, list(_stops(desk, stopped, suspensions)))
    made = public_figures(facts, read_report_settings(desk.folder).statistics.least, secret)
    with writing(path, UsageError):
        group_shared_files.write(path, made)
    return made


def _bounds(month: str) -> tuple[datetime, datetime]:
    if not re.fullmatch("[1-9][0-9]{3}-(0[1-9]|1[0-2])", month):
        raise UsageError("--month {month}: write it like 2026-11", month=month)
    begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=JAPAN)
    return begins, begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)


def _facts(desk: DocumentDesk, month: str, stopped: list[tuple[datetime, datetime | None]]) -> MonthFacts:
    sent: Counter[str] = Counter()
    documents: dict[tuple[str, str], str] = {}
    counts: dict[tuple[str, str], int] = {}
    for kept in desk.documents.of(KIND):
        for node in read_figures([kept], {kept.member: desk.keys_of(kept.member)}):
            for row in node.figures.months:
                if row.month == month:  # a later document of the same node replaces the one before
                    counts[kept.member, str(node.key)] = row.sent
                    documents[kept.member, str(node.key)] = hashlib.sha256(kept.octets).hexdigest()
    for (member, _), count in counts.items():
        sent[member] += count
    return MonthFacts(month, dict(sent), list(documents.values()), stopped)


def _stops(
    desk: DocumentDesk, stopped: Iterable[HistoryEntry], suspensions: SuspensionsDocument
) -> Iterator[tuple[datetime, datetime | None]]:
    """Pairs of the time when a stop was entered and the time of the first earlier report about its number.

    The latter is known only for stops in force, because the history does not contain numbers.
    """
    reports = ReportDesk(desk)
    for entry in stopped:
        first, left = None, [each for each in stops(suspensions.suspensions) if each.reference == entry.subject]
        # One reference may stop several numbers; each command writes the moment at which it stopped its own.
        one = min(left, key=lambda each: abs(each.since - entry.at), default=None)
        if one is not None and one.number is not None and reports.store.exists:
            token = reports.key.token(parse(one.number))
            before = [each.received for each in reports.store.listed(token=token) if each.received <= entry.at]
            first = min(before, default=None)
        yield entry.at.astimezone(UTC), first


def newest(folder: Path) -> bytes | None:
    """Read the newest stored figures, or return None if there are none. Raises TrustError."""
    found = sorted((folder / FOLDER).glob("????-??.json"))
    if not found:
        return None
    with reading(found[-1], TrustError):
        return found[-1].read_bytes()
