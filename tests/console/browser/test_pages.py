"""Every page in a browser, as each role sees it: in both languages, light and dark, narrow and wide, by the keyboard
alone. No page is listed here: the table of pages and the links between the pages lead to them. With PICTURES=folder,
pictures of all pages are written to that folder.
"""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from selenium.webdriver.common.keys import Keys

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.console.office.new_evaluation import EVALUATION
from idtone.console.page import ALL_PAGES, Method
from lab.console.browser.browser import AXE, AXE_SHA256, WAIT_S, Browser
from lab.console.browser.layout_faults import LOOKS, WIDE, faults_here
from lab.console.browser.visits import Shown, Visitor, visits
from lab.console.site import Site, name_of
from lab.nightly_tests import breadth, nightly
from tools.messages import catalogue_text

GENUINE = "Genuine. The list in force names this badge."
AFTER_A_FORM = frozenset(
    {"/evidence/exports/{act}", "/evidence/exports/{act}/pack", "/office/papers/{file}", "/office/pledges/{sha256}"}
)
"""Pages to which only a form leads, and no link."""


def test_axe_is_the_one_that_was_published():
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256


@pytest.mark.parametrize(
    ("language", "each", "looks"),
    [("ja", "page", 1), breadth("ja", "page", 2), nightly("ja", "appearance", 2), nightly("en", "appearance", 2)],
)
def test_every_page_can_be_seen_read_and_reached_by_everyone(browser, demo, language, each, looks):
    """By day, only one visitor looks at each page: the one with the most rights. In the nightly tests, all its visitors
    do.
    """
    found = [*visits(demo.app[ALL_PAGES], demo.address, visitors(demo))]
    looked_at = [shown for shown in found if shown.is_html]
    if each == "page":
        looked_at = [*{shown.pattern: shown for shown in looked_at}.values()]
    wrong = {
        f"{shown.path} ({shown.visitor.name})": faults
        for shown in looked_at
        if (faults := faults_of(browser, demo.address, shown, language, looks))
    }
    assert not wrong, "\n".join(f"{page}:\n  " + "\n  ".join(faults) for page, faults in wrong.items())
    with_parts = {page.path for page in demo.app[ALL_PAGES] if page.method is Method.GET and "{" in page.path}
    reached = {shown.pattern for shown in found}
    assert not reached & AFTER_A_FORM
    assert with_parts - reached - AFTER_A_FORM == set()


def visitors(site: Site) -> Iterator[Visitor]:
    """A visitor who has not signed in, and a user of each role."""
    english = {LANGUAGE.name: "en"}
    yield Visitor.of(cookies=english)
    for role in Role:
        token, _ = site.console.sessions.begin(name_of(role))
        yield Visitor.of(role, cookies={**english, SESSION.name: token})


def opened_by_viewer(browser: Browser, demo: Site, path: str) -> None:
    viewer = next(each for each in visitors(demo) if each.name == Role.VIEWER)
    browser.keep(demo.address, viewer.cookies)
    browser.look(WIDE, "light")
    browser.open(f"{demo.address}{path}")


def test_who_reads_by_the_keyboard_stays_in_place_while_the_page_changes(browser, demo):
    """Each second, htmx replaces a part of the page and in it the link that has the focus."""
    opened_by_viewer(browser, demo, "/now")
    run = browser.driver.execute_script
    with browser.still():
        run("""
            window.link = document.querySelector("main a[href='/health']");
            link.focus();
            window.came = 0;
            document.addEventListener("htmx:sseBeforeMessage", () => came++);
        """)
        browser.until("return came", "a change of the page")
        assert run("return link.isConnected"), "what is judged has changed"
    browser.until("return !link.isConnected", "the page to change itself")
    assert run("return document.activeElement.getAttribute('href')") == "/health"
    browser.press(Keys.ENTER)
    browser.wait_for("The doctor checks everything", WAIT_S)


def test_a_table_that_comes_after_the_page_sorts_by_its_heads(browser, demo):
    opened_by_viewer(browser, demo, "/sounds")
    run = browser.driver.execute_script
    browser.until("return document.querySelector('table.sortable button.sort') !== null", "a table that sorts")
    run("document.querySelector('table.sortable button.sort').click()")
    first = run("return document.querySelector('table.sortable').innerText").split("\n")[1]
    assert run("return document.querySelector('table.sortable [aria-sort]').ariaSort") == "ascending", first


@pytest.mark.nightly
def test_a_badge_is_verified_and_a_period_evaluated_with_results(browser, demo, tmp_path):
    """The results of forms. No link leads to them."""
    office = next(each for each in visitors(demo) if each.name == Role.OFFICE)
    browser.keep(demo.address, office.cookies)
    browser.open(f"{demo.address}/office/evaluations")
    period, member = browser.link("/office/evaluations/2").split("/")[-2:]
    badge = tmp_path / "badge.svg"
    badge.write_bytes(demo.console.office_files.published().files[f"evaluation/{member}.svg"])
    wrong = []
    for language, looks in LOOKS.items():
        browser.keep(demo.address, {**office.cookies, LANGUAGE.name: language})
        browser.look(WIDE, "light")
        browser.open(f"{demo.address}/public/operators?lang={language}")
        browser.send({"badge": str(badge)})
        # The list of operators names the member too, so only the verdict says that the answer is there.
        browser.wait_for(catalogue_text(GENUINE) if language == "ja" else GENUINE, WAIT_S)
        assert member in browser.text()
        wrong += faults_here(browser, f"public-badge-{language}", looks)
        demo.app[EVALUATION].found = None
        browser.open(f"{demo.address}/office/evaluations/new")
        start, until = period.split("_")
        browser.send(
            {
                "since": start,
                "until": str(date.fromisoformat(until) - timedelta(days=1)),
            }
        )
        browser.wait_for(rf"{member}[^%]+\d\.\d", WAIT_S)
        browser.open_details()
        wrong += faults_here(browser, f"office-evaluated-{language}", looks)
    assert not wrong, "\n".join(wrong)


def faults_of(browser: Browser, address: str, shown: Shown, language: str, count: int) -> list[str]:
    """The faults of a page in the first `count` widths and colour schemes."""
    looks = LOOKS[language][:count]
    browser.keep(address, {**shown.visitor.cookies, LANGUAGE.name: language})
    browser.look(*looks[0])
    browser.open(f"{address}{shown.path}")
    browser.settle()
    wrong = faults_here(browser, f"{shown.name}-{language}", looks)
    wrong += [f"keyboard: {fault}" for fault in browser.keyboard()]
    return wrong + browser.errors()
