"""Attacks on accounts, searches, lists and stops, by somebody who has an account of the console."""

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from idtone.console.access.rights import Role
from idtone.console.access.users import User, change_users, read_users
from idtone.console.administration import user_rules
from idtone.ledger.keys.key_ring import KeyRing
from lab.console.past_calls import write_past_calls
from lab.console.site import HASHED, PASSWORD, running_site
from lab.publication import LAB_REGISTRY

NOW = datetime.now(UTC)
KNOWN, UNKNOWN = "03-1234-5678", "03-9999-0000"


@pytest.fixture
async def site(settings, tmp_path):
    (tmp_path / "sounds").mkdir()
    shutil.copy(LAB_REGISTRY, settings.registry.source)
    settings = settings.model_copy(
        update={"sounds": settings.sounds.model_copy(update={"directory": tmp_path / "sounds"})}
    )
    KeyRing.of(settings.ledger, settings.node)
    write_past_calls(settings, 5, timedelta(hours=1), NOW)
    async with running_site(settings) as one:
        yield one


async def test_two_administrators_who_remove_each_other_at_once_leave_one(site, settings):
    def second(users):
        users["abe"] = User(name="abe", roles=(Role.ADMINISTRATOR,), password=HASHED)

    change_users(settings.console.users, second)
    first, other = await site.visitor(Role.ADMINISTRATOR), await site.visitor(Role.ADMINISTRATOR)
    token, _ = site.console.sessions.begin("abe")
    other.cookies = dict.fromkeys(other.cookies, token)
    forms = [(await each.get("/administration")).form_token for each in (first, other)]
    answers = await asyncio.gather(
        first.post("/administration/users/abe/remove", {"form_token": forms[0], "password": PASSWORD}),
        other.post("/administration/users/administrator/remove", {"form_token": forms[1], "password": PASSWORD}),
    )
    assert sorted(each.status == 303 for each in answers) == [False, True], [each.text for each in answers]
    left = [each.name for each in read_users(settings.console.users).users if Role.ADMINISTRATOR in each.roles]
    assert len(left) == 1


@pytest.mark.parametrize("act", ["roles", "lock", "unlock", "sessions", "remove", "reset"])
async def test_an_act_on_users_needs_the_own_proof_and_the_right(site, settings, act):
    before = settings.console.users.read_bytes()
    path = f"/administration/users/viewer/{act}"
    administrator = await site.visitor(Role.ADMINISTRATOR)
    for proof in ({}, {"password": ""}, {"password": "wrong"}, {"password": PASSWORD.upper()}):
        assert (await administrator.send("/administration", path, {"role-duty": "yes", **proof})).status == 403
    for role in (Role.VIEWER, Role.DUTY, Role.OFFICE):
        visitor = await site.visitor(role)
        token = (await visitor.get("/account")).form_token
        assert (await visitor.post(path, {"form_token": token, "password": PASSWORD})).status == 403
    assert settings.console.users.read_bytes() == before


def test_a_reset_keeps_nothing_by_which_somebody_else_could_listen():
    users = {"me": User(name="me", roles=(Role.ADMINISTRATOR,)), "sato": User(name="sato", roles=(Role.DUTY,))}
    users["sato"] = users["sato"].model_copy(update={"mail": "thief@example.net"})
    user_rules.reset_password(users, "sato", "new", "me", NOW)
    assert users["sato"].mail is None


async def test_the_search_field_tells_nobody_more_than_the_pages_do(site):
    viewer = await site.visitor(Role.VIEWER)

    async def found(wanted: str) -> str:
        answer = await viewer.send("/account", "/find", {"wanted": wanted})
        assert answer.status == 200, answer.headers
        return re.sub(r'value="[^"]*"', "", answer.text).replace(wanted, "")

    assert await found(KNOWN) == await found(UNKNOWN), "whether a number has calls is not to be seen"
    for name in ("administrator", "investig", "/administration"):
        assert "/administration/" not in await found(name)
    for hostile in ("%%", "__", "*?", "' OR 1=1 --", "a" * 5000, "\0\0", "{{7*7}}xx", "..%2f..%2f", "(a+)+$x"):
        assert '<ul class="hits">' not in await found(hostile), hostile


async def test_a_search_field_of_another_site_or_session_finds_nothing(site):
    viewer, other = await site.visitor(Role.VIEWER), await site.visitor(Role.APPROVER)
    token = (await other.get("/account")).form_token
    assert (await viewer.post("/find", {"form_token": token, "wanted": "m-00"})).status == 403
    own = (await viewer.get("/account")).form_token
    foreign = await viewer.post("/find", {"form_token": own, "wanted": "m-00"}, Origin="https://evil.example")
    assert foreign.status == 403


@pytest.mark.parametrize(
    "query",
    [
        "//evil.example/?outcome=PLAY", "https://evil.example?outcome=PLAY", "outcome=PLAY&node=//evil.example",
        "outcome=PLAY#@evil.example", "outcome=PLAY\r\nSet-Cookie: a=b", "javascript:alert(1)?outcome=PLAY",
    ],
)  # fmt: skip
async def test_a_saved_search_leads_nowhere_else(site, query):
    viewer = await site.visitor(Role.VIEWER)
    answer = await viewer.send("/calls", "/calls/searches", {"name": "x", "query": query})
    assert "Set-Cookie" not in answer.headers or "a=b" not in answer.headers["Set-Cookie"]
    if answer.status == 303:
        assert answer.headers["Location"].startswith("/calls?")
    links = re.findall(r'href="([^"]*)">x</a>', (await viewer.get("/calls")).text)
    assert all(each.startswith("/calls?") for each in links)


async def test_searches_of_many_sizes_leave_the_users_file_small(site, settings):
    viewer = await site.visitor(Role.VIEWER)
    for number in range(60):
        fields = {"name": f"n{number}", "query": f"member={'x' * 900}{number}"}
        await viewer.send("/calls", "/calls/searches", fields)
    assert settings.console.users.stat().st_size < 64_000


HOSTILE_IDS = ("s-<script>", "../../etc", "s-", "%00", "s-00000000' OR 1", "0312345678")


async def test_a_stop_that_is_none_shows_and_does_nothing(site):
    duty = await site.visitor(Role.DUTY)
    for name in HOSTILE_IDS:
        for path in ("approve", "lift", "close", "paper"):
            answer = await duty.send("/suspensions", f"/suspensions/{path}", {"id": name, "why": "x"})
            assert answer.status in (400, 404), (path, name)
            assert "<script>" not in answer.text.partition("</head>")[2]
    for path in ("/suspensions/stops/%3Cscript%3E", "/suspensions/stops/..%2f", "/suspensions/changes?stop=s-1"):
        assert (await duty.get(path)).status == 404
