"""Sessions as table rows for the pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..page import Visit
from .sessions import Session


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as a table row. `id` lets a form end the session but grants no access."""

    id: str
    name: str
    address: str
    since: datetime
    used: datetime
    is_own: bool
    """True for the session that is viewing the page."""


def rows_of(visit: Visit, sessions: Iterable[Session]) -> list[SessionRow]:
    """The sessions as table rows, newest first."""
    return sorted((_row(visit, each) for each in sessions), key=lambda row: row.since, reverse=True)


def _row(visit: Visit, session: Session) -> SessionRow:
    now, (began_s, used_s) = datetime.now(UTC), visit.console.sessions.ages_s(session)
    since, used = now - timedelta(seconds=began_s), now - timedelta(seconds=used_s)
    return SessionRow(session.id, session.name, session.address, since, used, session is visit.session)
