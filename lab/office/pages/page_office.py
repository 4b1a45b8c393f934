"""An office whose people use only pages: the console, and the holders' signing pages, all in one browser."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from idtone.console.access.cookies import LANGUAGE
from idtone.console.access.rights import Role
from idtone.core.settings.settings import Settings
from idtone.office.signing.address_guard import PageAddress
from idtone.office.signing.holder import Holder
from idtone.office.signing.holders_root import StoredRoot
from idtone.office.signing.signing_server import SigningServer
from lab.chromium import find_or_get_chromium
from lab.console.browser.browser import browser
from lab.console.site import PASSWORD, site_in_thread, users_file
from lab.terminal import Terminal

from ..year.office_year import passphrase
from .browser_user import BrowserUser
from .found_office import found_office

CLERK, OFFICER, SECOND = "sato", "suzuki", "tanaka"
"""Three users with the role `office`."""
WIDE, TELEPHONE = 1280, 390


class PageOffice(Terminal):
    """An office on pages. Only the keys and the first edition are created by commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sessions: dict[str, dict[str, str]] = {}
        self._started = contextlib.ExitStack()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def office(self) -> Path:
        return self.folder / "office"

    @property
    def phrase(self) -> str:
        return self._phrase

    def __enter__(self) -> PageOffice:
        with contextlib.ExitStack() as started:
            self._phrase = started.enter_context(passphrase())
            found_office(self, self.office, self.keys)
            settings = self._settings()
            self.site = started.enter_context(site_in_thread(settings))
            users_file(settings.console.users, dict.fromkeys((CLERK, OFFICER, SECOND), (Role.OFFICE,)))
            self.browser = started.enter_context(browser(find_or_get_chromium(self.folder), self.folder))
            self.hands = BrowserUser(self.browser, self.folder / "downloads")
            self._started = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def _settings(self) -> Settings:
        folder, users = self.folder, self.folder / "users.yaml"
        return Settings.model_validate(
            {
                "node": "office",
                "sounds": {"directory": str(folder / "sounds")},
                "registry": {"source": str(self.office / "registry.yaml"), "trust": "unsigned"},
                "ledger": {"url": f"sqlite:///{folder}/ledger.sqlite3", "key_file": str(folder / "ledger.key")},
                "console": {"users": str(users), "office": str(self.office)},
            }
        )

    def at(self, user: str, width: int = WIDE) -> BrowserUser:
        """Open the console's first page for the office as a user, who is signed in if necessary."""
        self.browser.look(width, "light", 844 if width == TELEPHONE else 900)
        address = f"{self.site.address}/sign-in"
        if user not in self._sessions:
            self.browser.keep(address, {LANGUAGE.name: "en"})
            self.browser.open(address)
            self.browser.sign_in(user, PASSWORD)
            self.hands.element("header a[href='/account']")
            self._sessions[user] = self.browser.cookies()
        self.browser.keep(address, self._sessions[user])
        self.browser.driver.get(f"{self.site.address}/office/today")
        return self.hands

    def sign(self, package: Path, key: str) -> Path:
        """Open, read and sign a package in `idtone-sign`, as a key holder does, and return the signed package."""
        hands = self.hands
        with signing_page(self.folder / "kept" / key) as address:
            hands.open(address.url())
            if "root.json" in hands.expect():
                hands.send("form[action='root']", {"root": str(self.office / "repository/metadata/1.root.json")})
            hands.send("form[action='open']", {"package": str(package)})
            hands.send("form[action='sign']", {"key": str(self.keys / f"{key}.pem"), "passphrase": self.phrase})
            return hands.download("a[href='signed.zip']")

    def file(self, name: str, octets: bytes) -> str:
        """Path of a file that a person already has, such as a scan or an Excel table."""
        path = self.folder / "desk" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(octets)
        return str(path)


@contextmanager
def signing_page(kept: Path) -> Iterator[PageAddress]:
    """Context with a holder's `idtone-sign` in a thread. `kept` is the root file that the holder keeps."""
    begun: Future[tuple[PageAddress, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with SigningServer(Holder(StoredRoot(kept), "")).serve() as address:
            begun.set_result((address, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    address, loop, over = begun.result(60)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
