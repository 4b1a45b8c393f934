"""The console on a free port, and visitors with each role.

Their requests look like a browser's, but are sent without a browser.
"""

from __future__ import annotations

import asyncio
import atexit
import re
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from argon2 import PasswordHasher

from idtone.console.access.cookies import SESSION
from idtone.console.access.rights import Role
from idtone.console.console import CONSOLE, Console
from idtone.console.read_process import ReadProcesses
from idtone.console.server import attend, make_application
from idtone.core.settings.settings import Settings
from lab.asterisk import LOOPBACK, free_ports

PASSWORD = "correct horse battery"  # noqa: S105 — of users of a test
HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Password hash of the lowest cost, for tests that do not measure the cost of a guess."""


class SharedReads(ReadProcesses):
    """One read server for the consoles of all tests."""

    def __init__(self) -> None:
        super().__init__()
        atexit.register(super().end)

    def end(self) -> None:
        """Do nothing, because the server must not end with one console."""


READS = SharedReads()


def users_file(path: Path, users: Mapping[str, Iterable[Role]]) -> Path:
    """Write a file with users who have `PASSWORD` and no one-time codes."""
    rows = [{"name": name, "roles": [*map(str, roles)], "password": HASHED} for name, roles in users.items()]
    path.write_text(yaml.safe_dump({"users": rows}), "utf-8")
    return path


@dataclass
class Answer:
    """The console's answer, read to its end."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.text)
        assert found, "the page has no form"
        return found[1]


@dataclass
class Visitor:
    """A client like a browser. It keeps cookies and sends its origin, but does not follow redirects."""

    site: Site
    http: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "en"

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._send("GET", path, headers)

    async def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """Send a form exactly as given, without adding a token."""
        return await self._send("POST", path, {"Origin": self.site.address} | headers, data=dict(fields or {}))

    async def send(self, page: str, path: str, fields: Mapping[str, str] | None = None) -> Answer:
        """Open a page and send one of its forms to `path`."""
        token = (await self.get(page)).form_token
        return await self.post(path, {"form_token": token, **(fields or {})})

    async def download(self, path: str, fields: Mapping[str, str]) -> bytes:
        """Send a form and return the file in the answer."""
        headers = {"Origin": self.site.address, "Cookie": f"{SESSION.name}={self.cookies[SESSION.name]}"}
        async with self.http.post(f"{self.site.address}{path}", headers=headers, data=dict(fields)) as answer:
            assert answer.status == HTTPStatus.OK, await answer.text(errors="replace")
            return await answer.read()

    async def upload(self, path: str, octets: bytes, name: str = "file", /, **fields: str) -> Answer:
        """Send a form with a file."""
        form = aiohttp.FormData(fields)
        form.add_field("file", octets, filename=name)
        return await self._send("POST", path, {"Origin": self.site.address}, data=form)

    async def sign_in(self, name: str, password: str = PASSWORD, code: str = "") -> Answer:
        return await self.post("/sign-in", {"name": name, "password": password, "code": code})

    async def _send(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> Answer:
        sent = {"Accept-Language": self.language, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.http.request(
            method, f"{self.site.address}{path}", headers=sent, allow_redirects=False, **more
        ) as answer:
            for header in answer.headers.getall("Set-Cookie", ()):
                for name, morsel in SimpleCookie(header).items():
                    self.cookies[name] = morsel.value
            return Answer(answer.status, await answer.text(errors="replace"), answer.headers)


@dataclass
class Site:
    """A running console."""

    app: web.Application
    address: str
    stack: AsyncExitStack

    @property
    def console(self) -> Console:
        return self.app[CONSOLE]

    async def visitor(self, *roles: Role, language: str = "en") -> Visitor:
        """A browser in which a user with these roles is signed in. Without roles, no user is signed in.

        The sign-in form is skipped because it is slow on purpose. `test_sign_in` tests it.
        """
        http = await self.stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        visitor = Visitor(self, http, language=language)
        if roles:
            token, _ = self.console.sessions.begin(name_of(*roles))
            visitor.cookies[SESSION.name] = token
        return visitor


def name_of(*roles: Role) -> str:
    return "-".join(sorted(roles))


@asynccontextmanager
async def running_site(settings: Settings, *combined: tuple[Role, ...]) -> AsyncIterator[Site]:
    """Context with a console that has a user for each role, and one for each combination in `combined`."""
    (port,) = free_ports(1)
    users_file(settings.console.users, {name_of(*roles): roles for roles in (*((role,) for role in Role), *combined)})
    console = settings.console.model_copy(update={"listen": f"{LOOPBACK}:{port}"})
    app = make_application(settings.model_copy(update={"console": console}))
    app[CONSOLE].threads.processes = READS
    over, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(attend(app, lambda _: ready.set(), over))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    try:
        async with AsyncExitStack() as stack:
            yield Site(app, f"http://{LOOPBACK}:{port}", stack)
    finally:
        over.set()
        await serving


@contextmanager
def site_in_thread(settings: Settings) -> Iterator[Site]:
    """Context with a console whose event loop runs in a separate thread."""
    begun: Future[tuple[Site, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with running_site(settings) as site:
            begun.set_result((site, asyncio.get_running_loop(), over))
            await over.wait()

    def serve_or_tell() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    thread = threading.Thread(target=serve_or_tell)
    thread.start()
    try:
        site, loop, over = begun.result(60)
        try:
            yield site
        finally:
            loop.call_soon_threadsafe(over.set)
    finally:
        thread.join()


async def events(visitor: Visitor, path: str) -> str:
    """Events of a page's stream, up to the last one."""
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
    timeout = aiohttp.ClientTimeout(total=60)
    async with visitor.http.get(f"{visitor.site.address}{path}", headers=headers, timeout=timeout) as answer:
        text = ""
        while "event: end" not in text:
            text += (await answer.content.readany()).decode()
    return text
