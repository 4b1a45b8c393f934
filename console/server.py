"""Makes the console of the settings, and serves it on its socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from idtone.authority.desk.desk import Desk
from idtone.authority.desk.document_rules import RULES
from idtone.errors import UsageError
from idtone.ledger.store.sqlite import path_of
from idtone.settings import Settings, SignInBy
from idtone.translation import Message

from . import common_pages
from .access.by_password import ByPassword
from .access.sessions import Sessions
from .access.sign_in import SignIn
from .access.users import Users
from .application import application
from .console import Console
from .live import Live
from .operator import call, calls, expiry_calendar, health, licences, nodes, now, sounds, suspensions
from .page import Page
from .public import operators, packs

CLOSE_WITHIN_S: Final = 2.0
PAGES: Final[tuple[Page, ...]] = (*common_pages.PAGES, *now.PAGES, *calls.PAGES, *call.PAGES)
"""The pages of every console, but for the sign-in's; those with a title stand in the menu in this order."""
STATE_PAGES: Final[tuple[Page, ...]] = (*expiry_calendar.PAGES, *suspensions.PAGES, *sounds.PAGES, *health.PAGES)
"""Those of what a node has: its registry, its sounds, its machine."""
OFFICE_PAGES: Final[tuple[Page, ...]] = (*operators.PAGES,)
"""Those of the association's office, and for everyone."""


def made(settings: Settings) -> Console:
    """Raises IdtoneError if the settings cannot be used."""
    sign_in, office = _sign_in(settings), settings.console.office
    return Console(
        settings,
        Users(settings.console.users),
        sign_in,
        Sessions(time.monotonic),
        Live(path_of(settings.ledger.own())),
        Desk(office, RULES) if office else None,
        (
            *sign_in.pages,
            *PAGES,
            *licences.pages(),
            *STATE_PAGES,
            *nodes.pages(settings.ledger),
            *packs.pages(is_office=office is not None),
            *(OFFICE_PAGES if office else ()),
        ),
    )


def _sign_in(settings: Settings) -> SignIn:
    if settings.console.sign_in is SignInBy.PASSWORD:
        return ByPassword()
    raise UsageError(Message("console.sign_in: this way is not there yet"))


async def attend(console: Console, ready: Callable[[str], object], over: asyncio.Event) -> None:
    """Serve until `over`; `ready` gets the address. Raises OSError if the socket cannot be used."""
    runner = web.AppRunner(application(console), access_log=None, shutdown_timeout=CLOSE_WITHIN_S)
    async with console.live.asked():
        await runner.setup()
        try:
            where = console.settings.console.socket()
            if isinstance(where, Path):
                await web.UnixSite(runner, str(where)).start()
                ready(f"unix:{where}")
            else:
                await web.TCPSite(runner, *where).start()
                host, port = runner.addresses[0][:2]
                ready(f"http://{host}:{port}/")
            await over.wait()
        finally:
            await runner.cleanup()
