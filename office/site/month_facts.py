"""What the office knows of a month for the public figures, and the file that keeps them once they were made."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import replace_durably
from idtone.core.japan import JAPAN
from idtone.core.numbers import parse
from idtone.core.translation import Message
from idtone.member.evaluation.figures import KIND
from idtone.registry.model import SuspensionsDocument
from idtone.registry.suspended_numbers import stops

from ..desk.desk import Desk
from ..desk.reports.report_desk import ReportDesk
from ..desk.reports.report_rules import read_rules
from ..evaluation.kept_figures import read_figures
from .public_figures import MonthFacts, public_figures

FOLDER: Final = "public-figures"
"""In the authority's folder."""


def figures_of_month(desk: Desk, month: str, suspensions: SuspensionsDocument, secret: bytes, now: datetime) -> bytes:
    """The figures of a month (`2026-11`) as JSON. They are made once, and stay: figures that change would tell more
    than each of them. Raises UsageError for a month that is not over, and IdtoneError.
    """
    begins, ends = _bounds(month)
    if now < ends:
        raise UsageError(Message("--month {month}: is not over yet", month=month))
    path = desk.folder / FOLDER / f"{month}.json"
    if path.exists():
        return path.read_bytes()
    made = public_figures(
        _facts(desk, month, begins, ends, suspensions), read_rules(desk.folder).statistics.least, secret
    )
    try:
        path.parent.mkdir(exist_ok=True)
        replace_durably(path, made)
    except OSError as error:
        raise UsageError(Message("{file}: cannot be written: {reason}", file=path, reason=error.strerror)) from error
    return made


def _bounds(month: str) -> tuple[datetime, datetime]:
    try:
        begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=JAPAN)
    except ValueError as error:
        raise UsageError(Message("--month {month}: write it like 2026-11", month=month)) from error
    return begins, begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)


def _facts(desk: Desk, month: str, begins: datetime, ends: datetime, suspensions: SuspensionsDocument) -> MonthFacts:
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
    return MonthFacts(month, dict(sent), list(documents.values()), list(_stops(desk, begins, ends, suspensions)))


def _stops(
    desk: Desk, begins: datetime, ends: datetime, suspensions: SuspensionsDocument
) -> Iterator[tuple[datetime, datetime | None]]:
    """When the stops of the month began, and the first report about the number before."""
    reports = ReportDesk(desk)
    for entry in stops(suspensions.suspensions):
        if not begins <= entry.since < ends:
            continue
        first = None
        if entry.number is not None and reports.store.exists:
            token = reports.key.token(parse(entry.number))
            before = [each.received for each in reports.store.listed(token=token) if each.received <= entry.since]
            first = min(before, default=None)
        yield entry.since.astimezone(UTC), first


def newest(folder: Path) -> bytes | None:
    """The figures of the last month for which there are some."""
    found = sorted((folder / FOLDER).glob("????-??.json"))
    try:
        return found[-1].read_bytes() if found else None
    except OSError as error:
        raise TrustError(Message("{path}: cannot be read: {reason}", path=found[-1], reason=error.strerror)) from error
