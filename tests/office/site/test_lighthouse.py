"""Lighthouse on each page of the public site, in both languages."""

import pytest

from lab.chromium import find_or_get_chromium
from lab.office.site.demo import demo
from lab.office.site.lighthouse import pages, scores

pytestmark = [pytest.mark.nightly, pytest.mark.alone]
LEAST = 0.95


def test_each_page_reaches_the_goal_in_four_categories(tmp_path):
    with demo(tmp_path / "public") as public:
        chromium = find_or_get_chromium(tmp_path)
        found = {name: scores(f"{public.address}/{name}", chromium) for name in pages(public.site)}
    assert all(len(each) == 4 for each in found.values())
    assert any(name.startswith("en/") for name in found)
    low = {name: each for name, each in found.items() if min(each.values()) < LEAST}
    assert low == {}
