"""A user's own account: a new password, a new secret of the one-time codes, and the end of other sessions."""

import asyncio
import errno
import logging
import re
import time

import pytest
import yaml

from idtone.console import event_stream
from idtone.console.access import users
from idtone.console.access.attempts import MOST_OF_NAME
from idtone.console.access.cookies import SESSION
from idtone.console.access.passwords import one_time_codes
from idtone.console.access.rights import Role
from idtone.console.access.sign_in_method import SIGN_IN_METHOD
from idtone.console.access.users import read_users
from idtone.core.settings.console import SignInBy
from lab.console.openid_provider import openid
from lab.console.site import HASHED, PASSWORD, Site, Visitor, running_site, users_file

NEW = "several words, easy to remember"


async def signed_in(site: Site) -> Visitor:
    """A viewer who has signed in by the form, so that the browser is known."""
    visitor = await site.visitor()
    assert (await visitor.sign_in("viewer")).status == 303
    return visitor


def codes_of(settings, name: str = "viewer") -> str | None:
    (secret,) = [user.totp for user in read_users(settings.console.users).users if user.name == name]
    return secret


def code(secret: str) -> str:
    return one_time_codes(secret).generate(int(time.time())).decode()


async def test_what_a_session_watches_ends_with_it(site, settings, monkeypatch):
    monkeypatch.setattr(event_stream, "CHECKED_EVERY_S", 0.0)
    watching, other = await site.visitor(Role.VIEWER), await site.visitor(Role.VIEWER)
    cookies = "; ".join(f"{name}={value}" for name, value in watching.cookies.items())
    async with watching.http.get(f"{site.address}/now/changes", headers={"Cookie": cookies}) as stream:
        assert await stream.content.readuntil(b"\n\n")
        answer = await other.send("/account", "/account/password", {"password": PASSWORD, "new": NEW, "again": NEW})
        assert answer.status == 303
        await asyncio.wait_for(stream.content.read(), 10)
    cookies = "; ".join(f"{name}={value}" for name, value in other.cookies.items())
    async with other.http.get(f"{site.address}/now/changes", headers={"Cookie": cookies}) as stream:
        assert await stream.content.readuntil(b"\n\n")
        users_file(settings.console.users, {"office": [Role.OFFICE]})
        await asyncio.wait_for(stream.content.read(), 10)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"password": "wrong"}, 403, "The name, the password or the code is wrong."),
        ({"again": NEW + "x"}, 400, "entered in two different ways"),
        ({"new": PASSWORD, "again": PASSWORD}, 400, "is the one that you have"),
        ({"new": "elevenchars", "again": "elevenchars"}, 400, "fewer than 12 characters"),
        ({"new": "I am the Viewer", "again": "I am the Viewer"}, 400, "easy to guess"),
        ({"new": "secret of PBX-1", "again": "secret of PBX-1"}, 400, "easy to guess"),
        ({"new": "1Qaz2wsx3edc", "again": "1Qaz2wsx3edc"}, 400, "one that many people use"),
    ],
)
async def test_a_password_stays_as_it_was(site, settings, fields, status, words):
    before = settings.console.users.read_text()
    visitor = await site.visitor(Role.VIEWER)
    sent = {"password": PASSWORD, "new": NEW, "again": NEW, **fields}
    answer = await visitor.send("/account", "/account/password", sent)
    assert (answer.status, words in answer.text) == (status, True), answer.text
    assert not any(secret in answer.text for secret in {PASSWORD, *sent.values()} - {"wrong"})
    assert settings.console.users.read_text() == before
    assert (await visitor.get("/account")).status == 200


async def test_a_new_password_ends_the_users_other_sessions(site, settings, caplog):
    visitor, elsewhere, other = await signed_in(site), await site.visitor(Role.VIEWER), await site.visitor(Role.OFFICE)
    before = dict(visitor.cookies)
    with caplog.at_level(logging.INFO):
        answer = await visitor.send("/account", "/account/password", {"password": PASSWORD, "new": NEW, "again": NEW})
    assert (answer.status, answer.headers["Location"]) == (303, "/account?done=password")
    assert caplog.messages == ["viewer changed the password, from 127.0.0.1"]
    assert "Your password is changed." in (await visitor.get(answer.headers["Location"])).text
    assert all(visitor.cookies[name] != before[name] for name in before), "the session and the mark of the browser"
    visitor.cookies = before
    assert [(await each.get("/account")).status for each in (visitor, elsewhere, other)] == [303, 303, 200]
    stranger = await site.visitor()
    assert [(await stranger.sign_in("viewer", each)).status for each in (PASSWORD, NEW)] == [403, 303]


async def test_a_new_secret_counts_with_its_first_code(site, settings, caplog):
    visitor, elsewhere = await site.visitor(Role.VIEWER), await site.visitor(Role.VIEWER)
    assert (await visitor.send("/account", "/account/code", {"password": "wrong"})).status == 403
    assert (await visitor.send("/account", "/account/code/confirm", {"code": "000000"})).status == 403, "not begun"
    shown = await visitor.send("/account", "/account/code", {"password": PASSWORD})
    found = re.search(r'<span class="mono">([A-Z2-7 ]{39})</span>', shown.text)
    assert found
    secret = found[1].replace(" ", "")
    wrong = await visitor.post("/account/code/confirm", {"form_token": shown.form_token, "code": "12345"})
    assert (wrong.status, found[1] in wrong.text, codes_of(settings)) == (403, True, None)
    right = {"form_token": shown.form_token, "code": code(secret)}
    with caplog.at_level(logging.INFO):
        assert (await visitor.post("/account/code/confirm", right)).status == 303
    assert codes_of(settings) == secret
    assert secret not in caplog.text
    assert caplog.messages[-1] == "viewer changed the secret of the one-time codes, from 127.0.0.1"
    assert (await visitor.get("/account")).status == 200
    assert (await elsewhere.get("/account")).status == 303
    assert (await (await site.visitor()).sign_in("viewer", code=right["code"])).status == 403, "it was used"
    again = await visitor.send("/account", "/account/code", {"password": PASSWORD})
    assert again.status == 403, "without a code"


async def test_a_new_secret_does_not_wait_for_ever(site, settings):
    visitor = await site.visitor(Role.VIEWER)
    shown = await visitor.send("/account", "/account/code", {"password": PASSWORD})
    (session,) = site.console.sessions.of("viewer")
    secret, made_s = session.new_secret
    session.new_secret = secret, made_s - 601
    late = await visitor.post("/account/code/confirm", {"form_token": shown.form_token, "code": code(secret)})
    assert (late.status, codes_of(settings)) == (403, None)


async def test_a_user_ends_chosen_sessions_alone_and_with_the_password(site, caplog):
    visitor, other = await site.visitor(Role.VIEWER), await site.visitor(Role.OFFICE)
    ended, kept = await site.visitor(Role.VIEWER), await site.visitor(Role.VIEWER)
    page = (await visitor.get("/account")).text
    found = re.findall(r'name="(end-\w+)"', page)
    assert len(found) == 2
    (of_ended,) = [name for name in found if site.console.sessions.find(ended.cookies[SESSION.name]).id in name]
    foreign = f"end-{site.console.sessions.find(other.cookies[SESSION.name]).id}"
    chosen = {of_ended: "yes", foreign: "yes"}
    assert (await visitor.send("/account", "/account/sessions", chosen)).status == 403
    assert (await ended.get("/account")).status == 200
    caplog.clear()
    answer = await visitor.send("/account", "/account/sessions", {**chosen, "password": PASSWORD})
    assert answer.status == 303
    assert caplog.messages == ["viewer ended a session of viewer"]
    statuses = [(await each.get("/account")).status for each in (visitor, ended, kept, other)]
    assert statuses == [200, 303, 200, 200]


async def test_who_has_taken_a_session_cannot_try_passwords(site):
    visitor = await site.visitor(Role.VIEWER)
    fields = {"new": NEW, "again": NEW}
    for _ in range(MOST_OF_NAME):
        assert (await visitor.send("/account", "/account/password", {**fields, "password": "wrong"})).status == 403
    for path in ("password", "code", "sessions"):
        answer = await visitor.send("/account", f"/account/{path}", {**fields, "password": PASSWORD})
        assert answer.status == 429, path


async def test_a_file_that_cannot_be_written_is_said_and_the_session_stays(site, settings, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    visitor = await site.visitor(Role.VIEWER)
    monkeypatch.setattr(users, "replace_private", refuse)
    answer = await visitor.send("/account", "/account/password", {"password": PASSWORD, "new": NEW, "again": NEW})
    assert answer.status == 503
    assert "cannot be written: Read-only file system" in answer.text
    assert "ReadWritePaths=" in answer.text
    assert (await visitor.get("/account")).status == 200
    assert (await (await site.visitor()).sign_in("viewer")).status == 303


async def test_a_user_who_was_removed_meanwhile_changes_nothing(site, settings, monkeypatch):
    visitor = await site.visitor(Role.VIEWER)
    rows = {"users": [{"name": "office", "roles": ["office"], "password": HASHED}]}
    form = (await visitor.get("/account")).form_token
    hashed = site.app[SIGN_IN_METHOD].proof.hash_password

    async def remove_and_hash(*given: object) -> str:
        settings.console.users.write_text(yaml.safe_dump(rows))
        return await hashed(*given)

    monkeypatch.setattr(site.app[SIGN_IN_METHOD].proof, "hash_password", remove_and_hash)
    fields = {"form_token": form, "password": PASSWORD, "new": NEW, "again": NEW}
    answer = await visitor.post("/account/password", fields)
    assert (answer.status, "there is no user viewer" in answer.text) == (503, True)
    assert [user.name for user in read_users(settings.console.users).users] == ["office"]


async def test_where_a_proxy_knows_the_users_the_page_has_their_sessions_alone(settings, tmp_path):
    settings = settings.model_copy(
        update={"console": settings.console.model_copy(update={"sign_in": SignInBy.OPENID, "openid": openid(settings)})}
    )
    async with running_site(settings) as site:
        visitor = await site.visitor(Role.VIEWER)
        page = await visitor.get("/account")
        assert (page.status, 'type="password"' in page.text) == (200, False)
        fields = {"password": PASSWORD, "new": NEW, "again": NEW}
        assert (await visitor.send("/account", "/account/password", fields)).status == 404
        other = await site.visitor(Role.VIEWER)
        (row,) = re.findall(r'name="(end-\w+)"', (await visitor.get("/account")).text)
        assert (await visitor.send("/account", "/account/sessions", {row: "yes"})).status == 303
        assert (await other.get("/account")).status == 303


async def test_in_japanese(site):
    visitor = await site.visitor(Role.VIEWER, language="ja")
    wrong = await visitor.send("/account", "/account/password", {"password": PASSWORD, "new": "x", "again": "x"})
    shown = await visitor.send("/account", "/account/code", {"password": PASSWORD})
    for page in (wrong, shown):
        assert not re.search(r">[^<]*[A-Z][a-z]+ [a-z]+", page.text.partition("<main")[2]), page.text
