"""The console's parts, as its pages use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from idtone.authority.desk.desk import Desk
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.settings import Settings

from .access.cookies import SESSION
from .access.sessions import Session, Sessions
from .access.sign_in import SignIn
from .access.users import Users
from .decided_by_minute import DecidedByMinute
from .doctor_runs import DoctorRuns
from .live import Live
from .page import Page, Visit
from .registry_in_use import RegistryInUse
from .templates import Templates


@dataclass(slots=True)
class Console:
    """Made once, by `commands`."""

    settings: Settings
    users: Users
    sign_in: SignIn
    sessions: Sessions
    live: Live
    desk: Desk | None
    """The association's desk; None on an operator's node."""
    pages: Sequence[Page] = ()
    templates: Templates = field(default_factory=Templates)
    decided: DecidedByMinute = field(init=False)
    registry: RegistryInUse = field(init=False)
    doctor: DoctorRuns = field(init=False)

    def __post_init__(self) -> None:
        self.decided = DecidedByMinute(self.reader)
        self.registry = RegistryInUse(self.settings.registry)
        self.doctor = DoctorRuns(self.settings)

    @property
    def office(self) -> Path | None:
        """The association's folder; None on an operator's node."""
        return self.desk.folder if self.desk else None

    def reader(self) -> LedgerReader:
        """Read this node's ledger. The numbers stay sealed. Raises LedgerError."""
        return LedgerReader.open(self.settings.ledger.own())

    def opening_reader(self) -> LedgerReader:
        """Read it with its keys, for a visitor who may open numbers. Raises LedgerError."""
        ledger = self.settings.ledger
        return LedgerReader.open(ledger.own(), KeyRing.of(ledger, self.settings.node).days)

    def begin_session(self, visit: Visit, name: str) -> web.Response:
        """Lead a person who has just signed in to the first page, with a new session."""
        token, _ = self.sessions.begin(name)
        answer = visit.redirect("/")
        SESSION.give(answer, token)
        return answer

    def end_session(self, visit: Visit, session: Session) -> web.Response:
        """Lead a person who has signed out to the sign-in."""
        self.sessions.end(session)
        answer = visit.redirect("/")
        SESSION.take(answer)
        return answer
