"""The order comes at night: two officers at home, each with a telephone. Within twelve taps the number is published as
stopped, and no page says more than is true.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.core.settings.settings import Settings
from lab.console.browser.browser import Browser
from lab.console.office_forms import STOPPED
from lab.console.site import Site, in_a_thread, users_file
from lab.office.authority.office import PHRASE, Office, new_office, office
from lab.office.pages.hands import Hands

__all__ = ["new_office", "office"]
PAGE, WIDTH, HEIGHT = "/office/night", 390, 844
MOST_TAPS, MOST_S = 12, 180
FIRST, SECOND = "sato", "tanaka"


@pytest.fixture
def at_night(office: Office, tmp_path: Path) -> Iterator[Site]:
    for user, key in ((FIRST, "duty-1"), (SECOND, "duty-2")):
        office.shown("key keep-for-night", office.folder, user, office.key(key))
    settings = Settings.model_validate(
        {
            "node": "office",
            "registry": {"source": str(office.registry), "trust": "unsigned"},
            "ledger": {"url": f"sqlite:///{tmp_path}/ledger.sqlite3", "key_file": str(tmp_path / "ledger.key")},
            "console": {"users": str(tmp_path / "users.yaml"), "office": str(office.folder)},
        }
    )
    with in_a_thread(settings) as site:
        users_file(settings.console.users, dict.fromkeys((FIRST, SECOND), (Role.OFFICE,)))
        yield site


@pytest.mark.nightly
def test_two_officers_at_home_stop_a_number_on_their_telephones(
    browser: Browser, at_night: Site, tmp_path: Path
) -> None:
    hands = Hands(browser, tmp_path / "downloads")
    tokens = {user: at_night.console.sessions.begin(user)[0] for user in (FIRST, SECOND)}

    def at(user: str) -> None:
        """The officer opens the page by the link of a message."""
        browser.keep(at_night.address, {LANGUAGE.name: "en", SESSION.name: tokens[user]})
        browser.look(WIDTH, "light", HEIGHT)
        hands.open(f"{at_night.address}{PAGE}")
        assert browser.overflow() is None

    def says(state: str) -> None:
        """The page's newest stop stands so, and nothing claims more."""
        text = hands.expect()
        assert not re.search(r"in force on [1-9]", text), text
        for later in ("approved", "published")[("approved", "published", "").index(state) + 1 :] if state else ():
            assert f"\n{later} " not in text.partition("The newest stops")[2], text
        assert state in text.partition("The newest stops")[2]

    began_s = time.monotonic()
    at(FIRST)
    hands.act(f"{PAGE}/request", {"entered": STOPPED, "reference": "R-7"})
    says("")
    at(SECOND)
    hands.expect("良い電話株式会社")
    hands.act(f"{PAGE}/approve", {"entered": STOPPED})
    says("approved")
    hands.expect("03-1234-5677")
    hands.act(f"{PAGE}/sign", {"passphrase": PHRASE})
    says("approved")
    at(FIRST)
    hands.act(f"{PAGE}/sign", {"passphrase": PHRASE})
    says("published")
    took_s, taps = time.monotonic() - began_s, hands.clicks
    paper = hands.download("main a[href$='/paper/R-7']")
    assert paper.read_bytes()[:5] == b"%PDF-"
    print(f"{taps} taps, {hands.typed} fields, {took_s:.1f} s")
    assert taps <= MOST_TAPS
    assert took_s <= MOST_S
