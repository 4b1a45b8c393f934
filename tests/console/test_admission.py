"""The pages that each role gets, and the headers of every answer."""

import asyncio
import re

import aiohttp
import pytest
from aiohttp import web

from idtone.console import server
from idtone.console.access.cookies import SESSION
from idtone.console.access.rights import RIGHTS, Right, Role
from idtone.console.page import ALL_PAGES, Method, Page
from lab.console.site import PASSWORD, running_site, users_file


async def test_each_page_needs_its_right(site):
    for role in Role:
        visitor = await site.visitor(role)
        for page in site.app[ALL_PAGES]:
            if page.method is Method.GET and page.right and "{" not in page.path and "changes" not in page.path:
                answer = await visitor.get(page.path)
                allowed = page.right in {Right.ENTER, *RIGHTS[role]}
                assert (answer.status != 403) == allowed, (role, page.path)


async def test_without_a_session_every_page_leads_to_the_sign_in(site):
    visitor = await site.visitor()
    for page in site.app[ALL_PAGES]:
        if page.right and "{" not in page.path:
            answer = await (visitor.get if page.method is Method.GET else visitor.post)(page.path)
            assert (answer.status, answer.headers["Location"]) == (303, "/sign-in"), page.path


async def test_signing_in_and_out(site):
    visitor = await site.visitor()
    answer = await visitor.sign_in("viewer")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert re.match(rf"{SESSION.name}=\S+; HttpOnly; Path=/; SameSite=Strict; Secure$", cookie), cookie
    assert (await visitor.get("/")).headers["Location"] == "/now"
    answer = await visitor.send("/now", "/sign-out")
    assert answer.status == 303
    assert (await visitor.get("/now")).status == 303


@pytest.mark.parametrize(("name", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("", ""), ("viewer", "")])
async def test_a_wrong_sign_in_says_the_same_whatever_is_wrong(site, name, password):
    visitor = await site.visitor()
    answer = await visitor.sign_in(name, password)
    assert answer.status == 403
    assert "The name, the password or the code is wrong." in answer.text
    assert SESSION.name not in visitor.cookies


async def test_without_a_page_for_a_role_its_first_page_says_so(site):
    site.app[ALL_PAGES][:] = [page for page in site.app[ALL_PAGES] if not page.title]
    answer = await (await site.visitor(Role.OFFICE)).get("/")
    assert (answer.status, "no page for your role" in answer.text) == (404, True)


@pytest.mark.parametrize("gives_up", [False, True])
async def test_an_answer_that_breaks_off_is_cut_and_no_error_is_logged(settings, monkeypatch, caplog, gives_up):
    ended = asyncio.Event()

    async def endless(visit):
        answer = web.StreamResponse()
        await answer.prepare(visit.request)
        try:
            while True:
                await answer.write(bytes(100_000))
                if gives_up:
                    raise ConnectionAbortedError
        finally:
            ended.set()

    monkeypatch.setattr(server, "PAGES", (Page("/endless", endless, Right.LOOK),))
    async with running_site(settings) as site:
        visitor = await site.visitor(Role.VIEWER)
        if gives_up:
            with pytest.raises(aiohttp.ClientPayloadError):
                await visitor.get("/endless")
        else:
            cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
            async with visitor.http.get(f"{site.address}/endless", headers={"Cookie": cookies}) as answer:
                assert await answer.content.read(1)
        await asyncio.wait_for(ended.wait(), 60)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_form_counts_only_from_our_own_page(site):
    visitor = await site.visitor(Role.VIEWER)
    token = (await visitor.get("/now")).form_token
    right = {"form_token": token, "language": "ja"}
    for fields, headers in (
        ({"language": "ja"}, {}),
        (right | {"form_token": "x"}, {}),
        (right, {"Origin": "https://evil.example"}),
        (right, {"Origin": "null"}),
        (right, {"Sec-Fetch-Site": "cross-site"}),
    ):
        answer = await visitor.post("/language", fields, **headers)
        assert answer.status == 403, (fields, headers)
    assert (await visitor.post("/language", right)).status == 303
    assert '<html lang="ja">' in (await visitor.get("/now")).text


async def test_every_answer_protects_itself(site):
    visitor = await site.visitor(Role.VIEWER)
    for path in ("/now", "/none", "/../etc/passwd", "/static/x/idtone.css"):
        headers = (await visitor.get(path)).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")


async def test_a_user_who_is_removed_is_out_at_once(site, settings):
    visitor = await site.visitor(Role.VIEWER)
    assert (await visitor.get("/now")).status == 200
    users_file(settings.console.users, {"office": [Role.OFFICE]})
    assert (await visitor.get("/now")).status == 303
