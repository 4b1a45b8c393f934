"""The administrators' page: who is signed in, which sign-ins failed, and the end of a session."""

from __future__ import annotations

import logging
import re

from idtone.console.access.rights import Role
from lab.console.site import PASSWORD


async def test_an_administrator_sees_who_is_there_and_ends_a_session(site, caplog):
    administrator, viewer = await site.visitor(Role.ADMINISTRATOR), await site.visitor()
    await viewer.sign_in("viewer")
    await (await site.visitor()).sign_in("viewer", "wrong")
    await (await site.visitor()).sign_in(PASSWORD, "wrong")
    page = (await administrator.get("/administration")).text
    assert page.count("127.0.0.1") == 3, "one session, two failures"
    assert "Failed sign-ins of the last 24 hours: 2" in page
    assert PASSWORD not in page
    assert "no user&#39;s name" in page
    (session,) = re.findall(r'name="session" value="(\w+)"', page)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        ended = await administrator.send("/administration", "/administration/end", {"session": session})
    assert ended.status == 303
    assert caplog.messages == ["administrator ended a session of viewer"]
    assert (await viewer.get("/now")).status == 303
    again = await administrator.send("/administration", "/administration/end", {"session": session})
    assert (again.status, "This session is over already." in again.text) == (404, True)
    assert "$argon2" not in page


async def test_nobody_else_sees_or_ends_anything(site):
    administrator, viewer = await site.visitor(Role.ADMINISTRATOR), await site.visitor(Role.VIEWER)
    assert (await viewer.get("/administration")).status == 403
    (session,) = [each.id for each in site.console.sessions.all() if each.name == "administrator"]
    assert (await viewer.send("/now", "/administration/end", {"session": session})).status == 403
    assert (await administrator.get("/administration")).status == 200


async def test_in_japanese(site):
    page = (await (await site.visitor(Role.ADMINISTRATOR, language="ja")).get("/administration")).text
    assert "利用者とセッション" in page
    assert not re.search(r">[A-Z][a-z]+ [a-z]+", page.partition("<main")[2])
