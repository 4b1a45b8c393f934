"""Finds the faults of a console page in each width and colour scheme."""

import os
from collections.abc import Iterable
from pathlib import Path

from lab.console.browser.browser import Browser

NARROW, WIDE = 320, 1920
LOOKS = {
    "en": ((NARROW, "light"), (WIDE, "dark")),
    "ja": ((WIDE, "dark"), (NARROW, "light")),
}
"""Each language in both schemes and both widths, with two loads of a page. axe checks the first of each language, with
PICTURES all of them: at each width, in each scheme.
"""
PICTURED = ((390, "light"), (1440, "light"))
"""The looks with pictures: a telephone and a laptop, as most people see the page."""


def faults_here(browser: Browser, name: str, looks: Iterable[tuple[int, str]]) -> list[str]:
    """The faults of the open page in each of the widths and colour schemes."""
    wrong = []
    for number, (width, scheme) in enumerate(looks):
        look = f"{name}-{width}-{scheme}"
        browser.look(width, scheme)
        if number == 0 or "PICTURES" in os.environ:
            wrong += [f"{look}: {finding}" for finding in browser.axe()]
        if wide := browser.overflow():
            wrong.append(f"{look}: wider than the window: {wide}")
        if folder := os.environ.get("PICTURES"):
            browser.picture(Path(folder) / f"{look}.png")
    if folder := os.environ.get("PICTURES"):
        for width, scheme in PICTURED:
            browser.look(width, scheme)
            browser.picture(Path(folder) / f"{name}-{width}-{scheme}.png")
    return wrong
