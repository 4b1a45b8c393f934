"""The console's parts, as its pages use them."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.http.connection_limits import ConnectionLimits
from idtone.core.http.request_limits import RequestLimits
from idtone.core.log_throttle import LogThrottle
from idtone.core.settings.settings import Settings
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.office.desk.document_desk import DocumentDesk
from idtone.registry.expiries import SIGNED_SOON

from .access.attempts import Attempts
from .access.cookies import SESSION
from .access.sessions import Session, Sessions
from .access.sign_in_log import SignInLog
from .access.sign_in_method import SignInMethod
from .access.users import User, Users
from .decision_plots import EVERY_S, DecisionPlots, decision_plots
from .decisions_by_minute import DecisionsByMinute
from .doctor_runs import DoctorRuns
from .evaluation_run import EvaluationRun
from .fleet_live import FleetLive
from .ledger_verification import Verification
from .live_state import LiveState
from .office.office_files import OfficeFiles
from .own_address import OwnAddress
from .pack_cache import PackCache
from .page import Page, Visit
from .pending_tasks import PendingTasks
from .pending_tasks_mail import WaitingMails
from .prometheus_alerts import PrometheusAlerts
from .registry_in_use import RegistryInUse
from .shared_reads import Shared
from .statistics import Statistics
from .templates import Templates
from .threads import Threads
from .upload_room import UploadRoom

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Console:
    """All parts of the console. A process makes one."""

    settings: Settings
    users: Users
    sign_in: SignInMethod
    sessions: Sessions
    live: LiveState
    desk: DocumentDesk | None
    """The association's desk; None on an operator's node."""
    pages: Sequence[Page] = ()
    templates: Templates = field(default_factory=Templates)
    plots: Shared[DecisionPlots] = field(init=False)
    registry: RegistryInUse = field(init=False)
    doctor: DoctorRuns = field(init=False)
    own_address: OwnAddress = field(init=False)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    refused: LogThrottle = field(default_factory=lambda: LogThrottle(_log, "requests are refused"))
    limits: RequestLimits = field(default_factory=RequestLimits)
    night_signatures: Attempts = field(default_factory=Attempts)
    """Failed passphrases by user, for keys that are kept at the office."""
    threads: Threads = field(default_factory=Threads)
    upload_room: UploadRoom = field(default_factory=UploadRoom)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    sign_ins: SignInLog = field(default_factory=SignInLog)
    verification: Verification = field(init=False)
    statistics: dict[str, Statistics] = field(default_factory=dict)
    """Node → its statistics; the empty name is this node."""
    fleet: FleetLive = field(init=False)
    """The fleet's state; only if `settings.ledger.is_shared()`."""
    evaluating: EvaluationRun = field(default_factory=EvaluationRun)
    pack_cache: PackCache = field(default_factory=PackCache)
    waits: PendingTasks = field(default_factory=PendingTasks)
    mails: WaitingMails = field(init=False)
    office_files: OfficeFiles | None = field(init=False)
    prometheus: PrometheusAlerts | None = field(init=False)
    """The operator's Prometheus; None if the settings name none."""

    def signatures_ending_soon(self, now: datetime) -> datetime | None:
        """The expiry of the association's first signature to expire, or, on an operator's node, of its registry. None
        if it is unknown or not soon. Every page shows it; `read_ahead` updates it.
        """
        end = self.office_files.signed_until if self.office_files else self.registry.signed_until
        return end if end is not None and end - now <= SIGNED_SOON else None

    async def read_ahead(self) -> None:
        """Read the files of the pages ahead of time, repeatedly: parsing a registry of many numbers takes seconds."""
        if self.office_files:
            await asyncio.to_thread(self.office_files.read_ahead)
        else:
            with contextlib.suppress(IdtoneError):  # the page that needs it says what is wrong
                await self.registry.look()

    def __post_init__(self) -> None:
        self.plots = Shared(partial(decision_plots, DecisionsByMinute(self.reader)), EVERY_S)
        self.registry = RegistryInUse(self.settings.registry)
        self.doctor = DoctorRuns(self.settings)
        self.own_address = OwnAddress.of(self.settings.console)
        self.verification = Verification(self.settings)
        self.mails = WaitingMails(self.settings.console.users, self.settings.node, self.own_address.public)
        self.fleet = FleetLive(self.settings.ledger)
        self.office_files = OfficeFiles(self.desk) if self.desk else None
        prometheus = self.settings.console.prometheus
        self.prometheus = PrometheusAlerts(prometheus) if prometheus else None

    @property
    def office(self) -> Path | None:
        """The association's folder; None on an operator's node."""
        return self.desk.folder if self.desk else None

    def statistics_of(self, node: str) -> Statistics:
        """The statistics of a node; the empty name is this node."""
        if node not in self.statistics:  # a new one reads a file
            self.statistics[node] = Statistics(self.settings, node)
        return self.statistics[node]

    def reader(self) -> LedgerReader:
        """A reader of this node's ledger. The numbers stay sealed. Raises LedgerError."""
        return LedgerReader.open(self.settings.ledger.own_url())

    async def user(self, name: str) -> User | None:
        """The user with this name. Each request calls this, so it uses a thread only if the file must be read."""
        return self.users.get(name) if self.users.is_read else await self.threads.admitting(self.users.get, name)

    def begin_session(self, visit: Visit, name: str) -> web.Response:
        """Begin a session for a person who has just signed in, and redirect to the first page."""
        answer = visit.redirect("/")
        self.give_session(visit, answer, name)
        return answer

    def give_session(self, visit: Visit, answer: web.Response, name: str) -> None:
        SESSION.set_on(answer, self.signed_in(visit, name))

    def signed_in(self, visit: Visit, name: str) -> str:
        """Begin a session; returns its token. The browser's earlier session ends."""
        before = self.sessions.find(SESSION.value_in(visit.request))
        if before:
            self.sessions.end(before)
        token, _ = self.sessions.begin(name, visit.address)
        self.sign_ins.signed_in(name, visit.address)
        self.waits.look_again()
        return token

    def renew_session(self, visit: Visit, answer: web.Response, name: str) -> None:
        """End all sessions of a user who has proved the identity again, and begin a new one in this browser."""
        self.sessions.end_all_of(name)
        token, _ = self.sessions.begin(name, visit.address)
        SESSION.set_on(answer, token)

    async def still_admits(self, visit: Visit) -> bool:
        """True if the visitor may still see a streaming page: session, user and right are valid."""
        session, right = visit.session, visit.page.right
        if session is None or right is None or not self.sessions.is_open(session):
            return False
        user = await self.user(session.name)
        return user is not None and session.belongs_to(user.password) and right in user.rights

    def end_session(self, visit: Visit, session: Session) -> web.Response:
        """End the session of a person who signs out, and redirect to the sign-in."""
        self.sessions.end(session)
        self.sign_ins.signed_out(session.name, visit.address)
        answer = visit.redirect("/")
        SESSION.delete_on(answer)
        answer.headers["Clear-Site-Data"] = '"cache"'  # a page of the session, which "back" would show
        return answer
