"""Every page in a browser, as each role sees it: in both languages, light and dark, narrow and wide, by the keyboard
alone. Nothing is listed here: a page is found by the table of pages and by the links to it. With PICTURES=folder the
pictures of all of them stand there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.console.page import Method

from ..site import Site, name_of
from .browser import AXE, AXE_SHA256, Browser
from .visits import Shown, Visitor, visits

NARROW, WIDE = 320, 1920
LOOKS = (
    ("en", ((NARROW, "light"), (WIDE, "dark"))),
    ("ja", ((NARROW, "dark"), (WIDE, "light"))),
)
"""Each language in both schemes and both widths, with two loads of a page."""
AFTER_A_FORM = frozenset({"/evidence/exports/{act}", "/evidence/exports/{act}/pack"})
"""Pages to which only a form leads, and no link."""


def test_axe_is_the_one_that_was_published():
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256


def test_every_page_can_be_seen_read_and_reached_by_everyone(browser, demo):
    found = [*visits(demo.console.pages, demo.address, visitors(demo))]
    wrong = {
        f"{shown.path} ({shown.visitor.name})": faults
        for shown in found
        if shown.is_html and (faults := faults_of(browser, demo.address, shown))
    }
    assert not wrong, "\n".join(f"{page}:\n  " + "\n  ".join(faults) for page, faults in wrong.items())
    with_parts = {page.path for page in demo.console.pages if page.method is Method.GET and "{" in page.path}
    reached = {shown.pattern for shown in found}
    assert not reached & AFTER_A_FORM
    assert with_parts - reached - AFTER_A_FORM == set()


def visitors(site: Site) -> Iterator[Visitor]:
    """Someone who has not signed in, and a user of each role."""
    english = {LANGUAGE.name: "en"}
    yield Visitor.of(cookies=english)
    for role in Role:
        token, _ = site.console.sessions.begin(name_of(role))
        yield Visitor.of(role, cookies={**english, SESSION.name: token})


def faults_of(browser: Browser, address: str, shown: Shown) -> list[str]:
    """What is wrong with a page."""
    wrong = []
    for language, looks in LOOKS:
        browser.keep(address, {**shown.visitor.cookies, LANGUAGE.name: language})
        for number, (width, scheme) in enumerate(looks):
            look = f"{language}, {width}, {scheme}"
            browser.look(width, scheme)
            if number == 0:
                browser.open(f"{address}{shown.path}")
            wrong += [f"{look}: {finding}" for finding in browser.axe()]
            if wide := browser.overflow():
                wrong.append(f"{look}: wider than the window: {wide}")
            if "PICTURES" in os.environ:
                picture(browser, f"{shown.name}-{language}-{width}-{scheme}")
        if language == "en":
            wrong += [f"{look}, keyboard: {fault}" for fault in browser.keyboard()]
        wrong += [f"{language}: {error}" for error in browser.errors()]
    return wrong


def picture(browser: Browser, name: str) -> None:
    browser.picture(Path(os.environ["PICTURES"]) / f"{name}.png")
