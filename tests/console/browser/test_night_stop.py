"""A stop at night, by two officers at home, each with a smartphone. Within twelve taps the number is stopped, a real
node has confirmed it, and the paper for the police is ready. No page says more than is true.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.core.settings.settings import Settings
from lab.asterisk import Asterisk
from lab.console.browser.browser import Browser
from lab.console.office_forms import STOPPED
from lab.console.site import Site, site_in_thread, users_file
from lab.lab import Forwarding, lab
from lab.office.authority.office import PHRASE, WHY, Office, new_office, office
from lab.office.desk.desk_process import running_desk
from lab.office.pages.browser_user import BrowserUser
from lab.service import Service

__all__ = ["new_office", "office"]
PAGE, WIDTH, HEIGHT = "/office/night", 390, 844
MOST_TAPS, MOST_S = 12, 180
FIRST, SECOND = "sato", "tanaka"


@pytest.fixture
def node(office: Office, asterisk: Asterisk) -> Iterator[Service]:
    """The service of a member. It reads what the office publishes, and confirms stops to the office's desk."""
    with running_desk(office.folder) as desk:
        member = f"member: m-0001, desk: '{desk}'"
        repository = office.folder / "repository"
        with Service(asterisk, repository, trust=str(office.root), association=member) as service:
            key = office.run("document key", "-c", service.settings)[1].strip()
            office.json("node add-key", "m-0001", key, *WHY)
            office.json("publication publish", *office.all_keys())
            yield service


@pytest.fixture
def at_night(office: Office, node: Service, tmp_path: Path) -> Iterator[Site]:
    for user, key in ((FIRST, "duty-1"), (SECOND, "duty-2")):
        office.output("key keep-for-night", user, office.key(key))
    settings = Settings.model_validate(
        {
            "node": "office",
            "registry": {"source": str(office.registry), "trust": "unsigned"},
            "ledger": {"url": f"sqlite:///{tmp_path}/ledger.sqlite3", "key_file": str(tmp_path / "ledger.key")},
            "console": {"users": str(tmp_path / "users.yaml"), "office": str(office.folder)},
        }
    )
    with site_in_thread(settings) as site:
        users_file(settings.console.users, dict.fromkeys((FIRST, SECOND), (Role.OFFICE,)))
        yield site


@pytest.mark.nightly
def test_two_officers_at_home_stop_a_number_on_their_telephones(
    browser: Browser, at_night: Site, office: Office, asterisk: Asterisk, tmp_path: Path
) -> None:
    hands = BrowserUser(browser, tmp_path / "downloads")
    tokens = {user: at_night.console.sessions.begin(user)[0] for user in (FIRST, SECOND)}

    def at(user: str) -> None:
        """Open the page by the link in a message, as the officer does."""
        browser.keep(at_night.address, {LANGUAGE.name: "en", SESSION.name: tokens[user]})
        browser.look(WIDTH, "light", HEIGHT)
        hands.open(f"{at_night.address}{PAGE}")
        assert browser.overflow() is None

    def confirmed() -> int:
        """Number of nodes that have confirmed the stop to the desk."""
        code, rows, _ = office.run("suspension in-force", "R-7", "--json")
        return sum(bool(each["in_use"]) for each in rows) if code != 2 else 0

    def says(state: str) -> None:
        """Check that the newest stop on the page has this state, and that nothing on the page claims more."""
        shown = hands.expect().partition("The newest stops")[2]
        claimed = re.search(r"in force on (\d+) of", shown)
        assert int(claimed[1] if claimed else 0) <= confirmed(), shown
        states = ("approved", "published")
        for later in states[states.index(state) + 1 :] if state else states:
            assert f"\n{later} " not in shown, shown
        assert state in shown

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
    published_s = time.monotonic()
    says("published")
    while not confirmed():
        assert time.monotonic() < published_s + MOST_S
        time.sleep(0.1)
    confirmed_s = time.monotonic()
    at(FIRST)
    says("published")
    hands.expect("in force on 1 of 2 nodes")  # the other member has no node that could confirm it
    paper = hands.download("main a[href*='/paper/']")
    took_s, taps = time.monotonic() - began_s, hands.clicks
    words = "".join(page.extract_text() for page in pypdf.PdfReader(paper).pages)
    assert "R-7" in words
    assert re.search(r"in force on nodes\s*1 / 2", words), words
    assert STOPPED not in re.sub("[^0-9]", "", words)
    print(f"{taps} taps, {hands.typed} fields, {took_s:.1f} s; confirmed after {confirmed_s - published_s:.1f} s")
    assert taps <= MOST_TAPS
    assert took_s <= MOST_S

    async def called() -> str:
        async with lab(asterisk) as phones:
            return (await phones.ending(await phones.place(Forwarding(STOPPED)))).reason

    assert asyncio.run(called()) == "number-suspended"
