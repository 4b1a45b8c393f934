"""The administrators' pages: current sessions, failed sign-ins, and acts on users and sessions."""

import logging
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from idtone.console.access.passwords import PasswordCheck, one_time_codes
from idtone.console.access.rights import Role
from idtone.console.access.sign_in_method import SIGN_IN_METHOD
from idtone.console.access.users import Administered, User, change_users, read_users
from idtone.console.administration import user_rules
from idtone.core.errors import UsageError
from idtone.core.settings.console import SignInBy
from lab.console.openid_provider import openid
from lab.console.site import HASHED, PASSWORD, running_site

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ME = User(name="me", roles=(Role.ADMINISTRATOR,), password="mine", totp="MINE")  # noqa: S106
SATO = User(name="sato", roles=(Role.VIEWER,), password="old", totp="OLD")  # noqa: S106
BY_ME = Administered(by="me", at=NOW)
GIVEN = SATO.model_copy(
    update={
        "password": "new",
        "totp": None,
        "given_until": NOW + timedelta(days=3),
        "code_due": True,
        "administered": BY_ME,
    }
)
NEW = "several words, easy to remember"
GIVEN_SHOWN = '<span class="mono">([a-z2-7-]{19})</span>'


@pytest.mark.parametrize(
    ("act", "after"),
    [
        (lambda users: user_rules.add_user(users, "abe", [Role.DUTY], None, "me", NOW),
         User(name="abe", roles=(Role.DUTY,), administered=BY_ME)),
        (lambda users: user_rules.add_user(users, "abe", [Role.VIEWER], "new", "me", NOW),
         GIVEN.model_copy(update={"name": "abe"})),
        (lambda users: user_rules.add_user(users, "sato", [Role.VIEWER], None, "me", NOW),
         "there is a user sato already"),
        (lambda users: user_rules.add_user(users, "a b", [Role.VIEWER], None, "me", NOW),
         "the name is empty, too long"),
        (lambda users: user_rules.add_user(users, "abe", [], None, "me", NOW), "choose a role"),
        (lambda users: user_rules.change_roles(users, "sato", [Role.OFFICE], "me", NOW),
         SATO.model_copy(update={"roles": (Role.OFFICE,), "administered": BY_ME})),
        (lambda users: user_rules.change_roles(users, "me", [*Role], "me", NOW), "your own account"),
        (lambda users: user_rules.change_roles(users, "sato", [], "me", NOW), "choose a role"),
        (lambda users: user_rules.lock(users, "sato", "me"), SATO.model_copy(update={"locked": True})),
        (lambda users: user_rules.lock(users, "me", "me"), "your own account"),
        (lambda users: user_rules.lock(users, "abe", "me"), "there is no user abe"),
        (lambda users: user_rules.unlock(users, "sato"), SATO),
        (lambda users: user_rules.reset_password(users, "sato", "new", "me", NOW), GIVEN),
        (lambda users: user_rules.reset_password(users, "me", "new", "me", NOW), "your own account"),
        (lambda users: user_rules.remove_user(users, "sato", "me"), None),
        (lambda users: user_rules.remove_user(users, "me", "me"), "your own account"),
    ],
)  # fmt: skip
def test_what_an_administrator_may_do(act, after):
    users = {"me": ME, "sato": SATO}
    if isinstance(after, str):
        with pytest.raises(UsageError, match=after):
            act(users)
        assert users == {"me": ME, "sato": SATO}
        return
    act(users)
    name = after.name if after else "sato"
    assert users == {"me": ME, "sato": SATO} | {name: after} if after else {"me": ME}


def test_a_given_password_signs_in_until_its_end():
    user = SATO.model_copy(update={"password": HASHED, "totp": None, "given_until": NOW})
    at = NOW.timestamp()
    checks = [PasswordCheck(lambda now=now: now).is_right(user, True, "") for now in (at - 1, at)]
    assert checks == [True, False]


def the_user(settings, name):
    return {user.name: user for user in read_users(settings.console.users).users}.get(name)


async def test_a_user_is_added_chooses_is_locked_and_removed(site, settings, caplog):
    administrator = await site.visitor(Role.ADMINISTRATOR)
    fields = {"name": "sato", "role-viewer": "yes", "role-duty": "yes"}
    assert (await administrator.send("/administration", "/administration/users", fields)).status == 403, "no password"
    assert the_user(settings, "sato") is None
    caplog.clear()
    given = await administrator.send("/administration", "/administration/users", {**fields, "password": PASSWORD})
    assert (given.status, caplog.messages) == (200, ["administrator added the user sato, from 127.0.0.1"])
    (password,) = re.findall(GIVEN_SHOWN, given.text)
    again = await administrator.send("/administration", "/administration/users", {**fields, "password": PASSWORD})
    assert (again.status, "there is a user sato already" in again.text) == (400, True)

    sato = await site.visitor()
    assert (await sato.sign_in("sato", password)).status == 303
    waits = await sato.get("/now")
    assert (waits.status, waits.headers["Location"]) == (303, "/account")
    assert "An administrator has given you this password" in (await sato.get("/account")).text
    for page, sent in (("/waiting", None), ("/find", {"wanted": "sato"})):
        early = await sato.get(page) if sent is None else await sato.send("/account", page, sent)
        assert (early.status, early.headers["Location"]) == (303, "/account"), page
    chosen = {"password": password, "new": NEW, "again": NEW}
    assert (await sato.send("/account", "/account/password", chosen)).status == 303
    assert (await sato.get("/now")).status == 303, "there is no second factor yet"
    shown = await sato.send("/account", "/account/code", {"password": NEW})
    (secret,) = re.findall(r'<span class="mono">([A-Z2-7 ]{39})</span>', shown.text)
    code = one_time_codes(secret.replace(" ", "")).generate(int(time.time())).decode()
    taken = {"form_token": shown.form_token, "code": code}
    assert (await sato.post("/account/code/confirm", taken)).status == 303
    assert (await sato.get("/now")).status == 200

    page = "/administration/users/sato"
    proof = {"password": PASSWORD}
    assert (await administrator.send(page, f"{page}/roles", {"role-approver": "yes", **proof})).status == 303
    assert (await sato.get("/account")).status == 200
    assert the_user(settings, "sato").roles == (Role.APPROVER,)
    assert (await administrator.send(page, f"{page}/sessions", proof)).status == 303
    assert (await sato.get("/now")).headers["Location"] == "/sign-in"
    sato = await site.visitor(language="en")
    token, _ = site.console.sessions.begin("sato")
    sato.cookies = {"__Host-idtone": token}
    assert (await sato.get("/now")).status == 200
    assert (await administrator.send(page, f"{page}/lock", {})).status == 403
    assert (await administrator.send(page, f"{page}/lock", proof)).status == 303
    assert (await sato.get("/now")).headers["Location"] == "/sign-in"
    assert (await (await site.visitor()).sign_in("sato", NEW)).status == 403
    assert the_user(settings, "sato").locked
    assert (await administrator.send(page, f"{page}/unlock", proof)).status == 303
    assert (await sato.get("/now")).headers["Location"] == "/sign-in", "the lock has ended the session"
    unused, _ = site.console.sessions.begin("sato")
    reset = await administrator.send(page, f"{page}/reset", proof)
    (other,) = re.findall(GIVEN_SHOWN, reset.text)
    assert site.console.sessions.user_of(unused) is None
    assert (await (await site.visitor()).sign_in("sato", other)).status == 303, "without a code"
    assert (await administrator.send(page, f"{page}/remove", proof)).status == 303
    assert (await administrator.get(page)).status == 404
    own = "/administration/users/administrator"
    refused = await administrator.send(own, f"{own}/lock", proof)
    assert (refused.status, "your own account" in refused.text) == (400, True)


async def test_who_was_locked_meanwhile_administers_nothing_more(site, settings, monkeypatch):
    """If two administrators lock each other at the same time, one of them remains."""
    administrator = await site.visitor(Role.ADMINISTRATOR)
    form = (await administrator.get("/administration")).form_token
    asked = site.app[SIGN_IN_METHOD].proof.verify

    async def lock_and_ask(*given):
        change_users(settings.console.users, lambda users: user_rules.lock(users, "administrator", "other"))
        return await asked(*given)

    monkeypatch.setattr(site.app[SIGN_IN_METHOD].proof, "verify", lock_and_ask)
    fields = {"form_token": form, "password": PASSWORD}
    refused = await administrator.post("/administration/users/viewer/lock", fields)
    assert (refused.status, "no administrator any more" in refused.text) == (400, True)
    assert not the_user(settings, "viewer").locked


async def test_where_a_provider_knows_the_users_an_administrator_gives_roles_alone(settings):
    settings = settings.model_copy(
        update={"console": settings.console.model_copy(update={"sign_in": SignInBy.OPENID, "openid": openid(settings)})}
    )
    async with running_site(settings) as site:
        administrator = await site.visitor(Role.ADMINISTRATOR)
        fields = {"name": "sato@example.jp", "role-viewer": "yes"}
        added = await administrator.send("/administration", "/administration/users", fields)
        assert (added.status, the_user(settings, "sato@example.jp").password) == (303, None)
        page = await administrator.get(added.headers["Location"])
        assert (page.status, 'type="password"' in page.text) == (200, False)
        assert (await administrator.post(f"{added.headers['Location']}/reset")).status == 404


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
