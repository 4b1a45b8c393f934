"""Lighthouse on each of the console's pages that need no session."""

import pytest

from idtone.console.page import ALL_PAGES
from lab.chromium import find_or_get_chromium
from lab.console.browser.visits import Visitor, visits
from lab.office.site.lighthouse import scores

pytestmark = [pytest.mark.nightly, pytest.mark.alone]
LEAST = 0.95
CATEGORIES = ("performance", "accessibility", "best-practices")
"""Categories of Lighthouse. No search engine is to find a console."""


def test_each_public_page_reaches_the_goal(demo, tmp_path):
    chromium = find_or_get_chromium(tmp_path)
    public = [each.path for each in visits(demo.app[ALL_PAGES], demo.address, [Visitor.of(cookies={})]) if each.is_html]
    assert "/sign-in" in public
    found = {path: scores(f"{demo.address}{path}", chromium) for path in public}
    low = {path: each for path, each in found.items() if min(each[category] for category in CATEGORIES) < LEAST}
    assert low == {}, found
