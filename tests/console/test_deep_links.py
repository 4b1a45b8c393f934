"""The address of a page survives the sign-in and a change of language, and cannot lead to another site."""

import re

import pytest

from idtone.console.access.rights import Role
from idtone.console.own_address import own_page

HTML = {"Accept": "text/html,*/*"}


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("/calls?from=2026-11-01T09%3A00&outcome=REFUSE", True),
        ("/calls/pbx-1-1.1", True),
        ("/?a", True),
        ("/", False),
        ("", False),
        ("//evil.example/", False),
        ("/\\evil.example", False),
        ("https://evil.example/", False),
        ("/calls\r\nSet-Cookie: a=b", False),
        ("/sign-out", False),
        ("/sign-in/back?error=x", False),
        ("/" + "a" * 2000, False),
    ],
)
def test_only_addresses_of_this_console_are_kept(address, is_ours):
    assert own_page(address) == (address if is_ours else "")


async def test_the_page_that_was_wanted_comes_after_the_sign_in(site):
    stranger, wanted = await site.visitor(), "/calls?outcome=REFUSE&member=m-0001"
    assert (await stranger.get(wanted, **HTML)).headers["Location"] == "/sign-in"
    assert (await stranger.get("/now/changes", Accept="text/event-stream")).headers["Location"] == "/sign-in"
    signed_in = await stranger.sign_in("viewer")
    assert (signed_in.status, signed_in.headers["Location"]) == (303, "/")
    assert (await stranger.get("/")).headers["Location"] == wanted
    assert (await stranger.get("/")).headers["Location"] == "/now"


async def test_another_language_shows_the_same_page(site):
    visitor, page = await site.visitor(Role.VIEWER), "/calls?outcome=REFUSE"
    shown = await visitor.get(page)
    to = re.search(r'name="to" value="([^"]+)"', shown.text)
    assert to
    fields = {"form_token": shown.form_token, "language": "ja"}
    for given, leads_to in ((to[1], page), ("//evil.example", "/"), ("", "/")):
        assert (await visitor.post("/language", fields | {"to": given})).headers["Location"] == leads_to
