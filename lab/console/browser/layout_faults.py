"""Finds the faults of a console page at each width and in each colour scheme."""

import os
from collections.abc import Iterable
from pathlib import Path

from lab.console.browser.browser import Browser

NARROW, WIDE = 320, 1920
LOOKS = {
    "en": ((NARROW, "light"), (WIDE, "dark")),
    "ja": ((WIDE, "dark"), (NARROW, "light")),
}
"""Language → its widths and colour schemes.

Each language has both widths and both schemes, with two loads of a page. axe checks the first look of each language, or
all of them if PICTURES is set.
"""
PICTURED = ((390, "light"), (1440, "light"))
"""Looks that are saved as pictures: a telephone and a laptop, as most people see the page."""


def faults_here(browser: Browser, name: str, looks: Iterable[tuple[int, str]]) -> list[str]:
    """Faults of the open page at each of the widths and in each of the colour schemes."""
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
