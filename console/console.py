"""Parts of the console that access checks and many pages share."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.http.request_limits import RequestLimits
from idtone.core.settings.settings import Settings
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.registry.expiries import SIGNED_SOON

from .access.sessions import Sessions
from .access.sign_in_log import SignInLog
from .access.users import User, Users
from .live_state import LiveState
from .office.office_files import OfficeFiles
from .own_address import OwnAddress
from .pending_tasks import PendingTasks
from .registry_in_use import RegistryInUse
from .threads import Threads


@dataclass(slots=True)
class Console:
    """The console's shared parts, created once per process.

    Parts used by only one group of pages are stored in the application under that group's `web.AppKey`.
    """

    settings: Settings
    users: Users = field(init=False)
    sessions: Sessions = field(default_factory=lambda: Sessions(time.monotonic))
    sign_ins: SignInLog = field(default_factory=SignInLog)
    own_address: OwnAddress = field(init=False)
    limits: RequestLimits = field(default_factory=RequestLimits)
    threads: Threads = field(default_factory=Threads)
    live: LiveState = field(init=False)
    registry: RegistryInUse = field(init=False)
    waits: PendingTasks = field(default_factory=PendingTasks)
    office_files: OfficeFiles | None = None
    """The association's folder, or None on an operator's node."""

    def __post_init__(self) -> None:
        console = self.settings.console
        self.users = Users(console.users)
        self.own_address = OwnAddress.of(console)
        self.live = LiveState(path_of(self.settings.ledger.own_url()))
        self.registry = RegistryInUse(self.settings.registry)
        if console.office:
            self.office_files = OfficeFiles(DocumentDesk(console.office, RULES))

    def signatures_ending_soon(self, now: datetime) -> datetime | None:
        """Time at which the first signature expires, or None if that is unknown or not soon.

        On an operator's node, this is the registry's signature. Every page shows the time, and `read_ahead` updates it.
        """
        end = self.office_files.signed_until if self.office_files else self.registry.signed_until
        return end if end is not None and end - now <= SIGNED_SOON else None

    async def read_ahead(self) -> None:
        """Read the pages' files in advance. Called repeatedly, because parsing a large registry takes seconds."""
        if self.office_files:
            await asyncio.to_thread(self.office_files.read_ahead)
        else:
            with contextlib.suppress(IdtoneError):  # the page that needs the registry shows the error
                await self.registry.look()

    def reader(self) -> LedgerReader:
        """A reader of this node's ledger that cannot decrypt the numbers. Raises LedgerError."""
        return LedgerReader.open(self.settings.ledger.own_url())

    async def user(self, name: str) -> User | None:
        """The user with this name, or None if the user is locked or does not exist.

        Every request calls this method, so it uses a thread only if the file must be read. Raises DocumentError.
        """
        return self.users.get(name) if self.users.is_read else await self.threads.admitting(self.users.get, name)


CONSOLE: Final = web.AppKey("console", Console)
