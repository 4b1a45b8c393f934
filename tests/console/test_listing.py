"""Long lists: their order, their pages and their counts, by the query of the address."""

import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from types import SimpleNamespace

import pytest

from idtone.console.access.rights import Role
from idtone.console.listing import ListRequest, listing
from lab.console.site import running_site
from lab.registry.examples import GOOD

STOPS = 250
ROWS = "".join(
    f'  - {{number: "050{each:08}", since: "2026-03-{1 + each % 28:02}T00:00:00+09:00", reference: R-{each:03}}}\n'
    for each in range(STOPS)
)
REFERENCE = re.compile(r">(R-\d{3})<")


def visit_of(query: str, method: str = "GET"):
    values = dict(part.split("=") for part in query.split("&") if part)
    request = SimpleNamespace(path="/list", query=values, method=method)
    return SimpleNamespace(request=request, query=lambda name: values.get(name, ""))


COLUMNS = {"size": lambda each: each or None}


@pytest.mark.parametrize(
    ("query", "rows", "page"),
    [
        ("", [3, 1, 0], 1),
        ("page=2", [2, 4], 2),
        ("page=9", [2, 4], 2),
        ("page=0", [3, 1, 0], 1),
        ("page=1e3", [3, 1, 0], 1),
        ("page=99999999999", [3, 1, 0], 1),
        ("sort=size", [1, 2, 3], 1),
        ("sort=size&page=2", [4, 0], 2),
        ("sort=-size", [4, 3, 2], 1),
        ("sort=-size&page=2", [1, 0], 2),
        ("sort=number", [3, 1, 0], 1),
        ("sort=__class__", [3, 1, 0], 1),
    ],
)
def test_an_address_names_the_order_and_the_page(query, rows, page):
    found = listing(visit_of(query), [3, 1, 0, 2, 4], COLUMNS, size=3)
    assert (list(found.rows), found.page, found.pages, found.total) == (rows, page, 2, 5)
    assert (found.first, found.last) == ((page - 1) * 3 + 1, (page - 1) * 3 + len(rows))


def test_addresses_keep_what_was_asked_for_and_go_the_other_way():
    found = listing(visit_of("stage=open&sort=size&page=2&done=1"), range(9), COLUMNS, size=3)
    assert found.sorted_by("size") == "/list?stage=open&sort=-size"
    assert found.of_page(3) == "/list?stage=open&sort=size&page=3"
    assert found.of_page(1) == "/list?stage=open&sort=size"
    assert (found.order_of("size"), found.order_of("other")) == ("ascending", "")
    other = listing(visit_of("own-page=2&page=3"), range(9), COLUMNS, size=3, name="own")
    assert (other.page, other.of_page(3)) == (2, "/list?page=3&own-page=3")
    assert not listing(visit_of("", "POST"), range(9), COLUMNS, size=3).is_linked


def test_an_empty_list_has_one_page():
    found = listing(visit_of("page=7"), [], COLUMNS)
    assert (list(found.rows), found.page, found.pages) == ([], 1, 1)
    assert ListRequest("", False, 3, 100).within(201) == ListRequest("", False, 3, 100)
    assert replace(found.asked, page=2).within(101).page == 2


@pytest.fixture
async def site(settings, tmp_path):
    (tmp_path / "registry.yaml").write_text(f"{GOOD.partition('suspensions:')[0]}suspensions:\n{ROWS}")
    async with running_site(settings) as one:
        yield one


def hrefs(text: str, words: str) -> list[str]:
    return [unescape(path) for path in re.findall(rf'<a[^>]*href="([^"]*)"[^>]*>{words}</a>', text)]


async def test_every_suspension_is_reached_by_its_pages_in_each_order(site):
    viewer = await site.visitor(Role.VIEWER)
    first = await viewer.get("/suspensions")
    assert "1 to 100 of 250" in first.text
    paths, seen = ["/suspensions", *hrefs(first.text, "Reference")], []
    assert paths[1] == "/suspensions?force-sort=reference"
    for path in paths:
        found, next_page = [], [path]
        while next_page:
            answer = await viewer.get(next_page[0])
            found += REFERENCE.findall(answer.text)
            next_page = hrefs(answer.text, "Next page")
        seen.append(found)
    assert sorted(seen[0]) == seen[1] == [f"R-{number:03}" for number in range(STOPS)]
    again = await viewer.get(paths[1])
    assert 'aria-sort="ascending"' in again.text
    falls = REFERENCE.findall((await viewer.get(hrefs(again.text, "Reference")[0])).text)
    assert all(one > other for one, other in pairwise(falls))


async def test_no_list_sorts_by_a_number(site):
    viewer = await site.visitor(Role.VIEWER)
    for path in ("/suspensions", "/evidence/exports", "/evidence/disclosures"):
        assert not re.search(r"sort=-?(number|scope|what)", (await viewer.get(path)).text), path


async def test_hostile_orders_change_nothing(site):
    viewer = await site.visitor(Role.VIEWER)
    plain = REFERENCE.findall((await viewer.get("/suspensions")).text)
    for hostile in ("%22%3E%3Cscript%3E", "since;DROP", "-", "--since", "%00", "sinc%C3%A9"):
        answer = await viewer.get(f"/suspensions?force-sort={hostile}&force-page={hostile}&x=%3Cscript%3E")
        assert (answer.status, REFERENCE.findall(answer.text)) == (200, plain)
        assert "<script>" not in answer.text
