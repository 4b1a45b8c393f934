"""Sign-in by a proxy, over a Unix socket for the proxy's group alone. One header names the user, and counts for its
request only.
"""

import asyncio
import gc
import grp
import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from idtone.console.access.cookies import SESSION
from idtone.console.access.rights import Role
from idtone.console.console import CONSOLE, Console
from idtone.console.own_address import OwnAddress
from idtone.console.server import attend, make_application
from idtone.core.errors import DocumentError, UsageError
from idtone.core.settings.console import ConsoleSettings, SignInBy
from idtone.core.settings.settings import Settings
from lab.console.site import users_file
from lab.lab import wait_until
from lab.registry.examples import valid_until_2096

HEADER = "X-Remote-User"
HOST = "pbx.example"


def by_proxy(settings: Settings, **more: object) -> Settings:
    console = settings.console.model_copy(update={"sign_in": SignInBy.PROXY, "address": f"https://{HOST}", **more})
    return settings.model_copy(update={"console": console})


@asynccontextmanager
async def attended(settings: Settings) -> AsyncIterator[Console]:
    users_file(settings.console.users, {"viewer": [Role.VIEWER], "office": [Role.OFFICE]})
    made, over, ready = make_application(settings), asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(attend(made, lambda _: ready.set(), over))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        serving.result()
    try:
        yield made[CONSOLE]
    finally:
        over.set()
        await serving


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "c.sock"


async def test_the_session_follows_the_header(settings, socket_path, caplog):
    caplog.set_level(logging.INFO)
    async with attended(by_proxy(settings, listen=f"unix:{socket_path}")) as console:
        connector = aiohttp.UnixConnector(str(socket_path))
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            cookie = ""

            async def get(*names: str, path: str = "/now") -> int:
                nonlocal cookie
                headers = [("Host", HOST), ("Cookie", cookie), ("X-Forwarded-For", "192.0.2.1, 198.51.100.7")]
                headers += [(HEADER, name) for name in names]
                async with http.get(f"http://{HOST}{path}", headers=headers, allow_redirects=False) as answer:
                    await answer.read()
                    if given := answer.cookies.get(SESSION.name):
                        cookie = f"{SESSION.name}={given.value}"
                    return answer.status

            assert await get("viewer") == 200
            first = cookie
            assert (await get("viewer"), cookie) == (200, first), "the same session"
            assert await get() == 403, "a session alone is not enough"
            assert await get("viewer", "office") == 403, "two headers"
            assert await get("nobody") == 403
            assert (await get("office"), await get("office", path="/")) == (403, 404), (
                "no right; and no page on this machine"
            )
            assert [each.name for each in console.sessions.all()] == ["office"], "the earlier session is over"
            cookie = first
            assert await get("viewer") == 200
            assert cookie != first, "and its cookie opens nothing"
            assert {each.address for each in console.sessions.all()} == {"198.51.100.7"}, "what our own proxy wrote"
            assert caplog.messages.count("viewer signed in from 198.51.100.7") == 2
            assert caplog.messages.count("office signed in from 198.51.100.7") == 1
            assert "a sign-in failed: an unknown name, from 198.51.100.7" in caplog.messages


async def test_only_the_proxys_group_may_connect(settings, socket_path):
    own = grp.getgrgid(os.getegid()).gr_name
    for group, mode in ((None, 0o600), (own, 0o660)):
        async with attended(by_proxy(settings, listen=f"unix:{socket_path}", group=group)):
            found = socket_path.stat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, os.getegid())
    with pytest.raises(UsageError, match=r"console\.group: there is no group nowhere"):
        async with attended(by_proxy(settings, listen=f"unix:{socket_path}", group="nowhere")):
            pass
    socket_path.unlink()
    socket_path.write_text("something else")
    with pytest.raises(UsageError, match="is not a socket"):
        async with attended(by_proxy(settings, listen=f"unix:{socket_path}")):
            pass
    assert socket_path.read_text() == "something else"


def test_settings_that_do_not_fit_are_named(settings):
    with pytest.raises(DocumentError, match=r"console\.sign_in: is proxy, and console\.listen is an IP address"):
        make_application(by_proxy(settings))
    with pytest.raises(DocumentError, match=r"console\.group: is set, and console\.listen is an IP address"):
        make_application(by_proxy(settings, sign_in=SignInBy.PASSWORD, group="www-data"))
    with pytest.raises(DocumentError, match=r"console\.address: is not set, and console\.listen is a Unix socket"):
        make_application(by_proxy(settings, listen="unix:/run/a", address=None))


@pytest.mark.parametrize(
    "address", ["http://pbx.example", "https://pbx.example/idtone", "https://a@pbx.example", "pbx"]
)
def test_an_address_that_browsers_cannot_use_is_refused(address):
    with pytest.raises(ValueError, match=r"https|host"):
        ConsoleSettings(address=address)


@pytest.mark.parametrize(
    ("settings", "public", "hosts"),
    [
        ({}, "http://127.0.0.1:8720", {"127.0.0.1:8720", "localhost:8720"}),
        ({"listen": "[::1]:80"}, "http://[::1]", {"[::1]", "localhost"}),
        (
            {"address": "https://PBX.example:443/"}, "https://pbx.example",
            {"pbx.example", "127.0.0.1:8720", "localhost:8720"},
        ),
        ({"address": "https://a.example:8443", "listen": "unix:/a"}, "https://a.example:8443", {"a.example:8443"}),
    ],
)  # fmt: skip
def test_the_consoles_own_addresses(settings, public, hosts):
    own = OwnAddress.of(ConsoleSettings(**settings))
    assert (own.public, own.hosts) == (public, hosts)


@pytest.mark.parametrize(
    ("peer", "forwarded", "has_proxy", "found"),
    [
        ("127.0.0.1", ["192.0.2.1"], False, "127.0.0.1"),  # without a proxy the header is anyone's word
        (None, ["203.0.113.9, 192.0.2.1"], True, "192.0.2.1"),
        (None, ["192.0.2.1", "2001:db8::1"], True, "2001:db8::1"),
        ("127.0.0.1", [], True, ""),
        (None, ["<script>"], True, ""),
    ],
)
def test_from_where_a_request_comes(peer, forwarded, has_proxy, found):
    address = "https://pbx.example" if has_proxy else None
    assert OwnAddress.of(ConsoleSettings(address=address)).from_where(peer, forwarded) == found


async def test_the_report_page_knows_visitors_behind_the_socket(settings, socket_path, office):
    settings = by_proxy(settings, listen=f"unix:{socket_path}", office=office.folder)
    async with attended(settings):
        connector = aiohttp.UnixConnector(str(socket_path))
        async with aiohttp.ClientSession(connector=connector) as http:
            statuses = {}
            for address in ("192.0.2.1", "192.0.2.2"):
                headers = {"Host": HOST, "X-Forwarded-For": address}
                for _ in range(400):
                    async with http.post(f"http://{HOST}/report", headers=headers, data={"x": "y"}) as answer:
                        statuses.setdefault(address, []).append(answer.status)
                    if answer.status == 429:
                        break
            assert statuses["192.0.2.1"][-1] == 429
            assert len(statuses["192.0.2.2"]) == len(statuses["192.0.2.1"]), "each has its own count"


async def test_the_garbage_collector_skips_what_the_console_keeps(settings, socket_path, monkeypatch):
    """Scanning those objects would delay all pages."""
    monkeypatch.setattr("idtone.console.server.LOOK_EVERY_S", 0.05)
    file = settings.registry.file()
    file.write_text(valid_until_2096(), "utf-8")
    async with attended(by_proxy(settings, listen=f"unix:{socket_path}")) as console:
        first = await console.registry.look()
        await wait_until(lambda: not _is_scanned(first.document), "the console has read ahead")
        file.write_text(f"{valid_until_2096()}\n", "utf-8")
        await wait_until(lambda: console.registry.read_at != first.read_at, "the console has read the newer one")
        newer = await console.registry.look()
        await wait_until(lambda: not _is_scanned(newer.document), "the newer one is spared, too")


def _is_scanned(kept: object) -> bool:
    return any(each is kept for each in gc.get_objects())
