"""Sign-in by password: the second factor, the number of tries, and attempts to lock others out."""

import base64
import logging
import time

import pytest
import yaml

from idtone.console.access.attempts import MOST_OF_ADDRESS, MOST_OF_NAME, WITHIN_S, Attempt, Attempts
from idtone.console.access.cookies import KNOWN_BROWSER, SESSION
from idtone.console.access.known_browser import browser_of, mark_for
from idtone.console.access.passwords import hash_password, is_password, one_time_codes
from idtone.console.access.rights import Role
from idtone.console.access.sessions import MOST_OF_USER, Sessions
from idtone.console.access.users import User
from lab.console.site import HASHED, PASSWORD

SECRET = base64.b32encode(b"x" * 20).decode()


async def test_an_attacker_does_not_keep_a_user_out(site, caplog):
    known, attacker = await site.visitor(), await site.visitor()
    assert (await known.sign_in("viewer")).status == 303
    known.cookies = {KNOWN_BROWSER.name: known.cookies[KNOWN_BROWSER.name]}
    for _ in range(MOST_OF_NAME):
        assert (await attacker.sign_in("viewer", "wrong")).status == 403
    assert (await attacker.sign_in("viewer")).status == 429, "even with the right password"
    assert (await (await site.visitor()).sign_in("viewer")).status == 429
    forged = await site.visitor()
    forged.cookies = {KNOWN_BROWSER.name: known.cookies[KNOWN_BROWSER.name][:-1] + "x"}
    assert (await forged.sign_in("viewer")).status == 429
    with caplog.at_level(logging.INFO):
        assert (await known.sign_in("viewer")).status == 303, "from the browser in which the user has signed in before"
    assert "viewer signed in from 127.0.0.1" in caplog.messages


async def test_a_name_that_does_not_exist_goes_nowhere(site, caplog):
    with caplog.at_level(logging.INFO):
        await (await site.visitor()).sign_in("my secret password", "x")
    assert caplog.messages == ["a sign-in failed: an unknown name, from 127.0.0.1"]
    assert [each.name for each in site.console.sign_ins.of_last_day()] == [None]


async def test_a_session_of_before_the_sign_in_counts_no_more(site):
    visitor = await site.visitor(Role.OFFICE)
    before = visitor.cookies[SESSION.name]
    await visitor.sign_in("viewer")
    assert visitor.cookies[SESSION.name] != before
    visitor.cookies[SESSION.name] = before
    assert (await visitor.get("/now")).status == 303


async def test_a_one_time_code_counts_once(site, settings):
    row = {"name": "sato", "roles": ["viewer"], "password": HASHED, "totp": SECRET}
    settings.console.users.write_text(yaml.safe_dump({"users": [row]}))
    code = one_time_codes(SECRET).generate(int(time.time())).decode()
    visitor = await site.visitor()
    assert (await visitor.sign_in("sato", code="000000" if code != "000000" else "1")).status == 403
    assert (await visitor.sign_in("sato", code=code)).status == 303
    assert (await (await site.visitor()).sign_in("sato", code=code)).status == 403


@pytest.mark.parametrize(
    ("typed", "is_right"), [(PASSWORD, True), (f" {PASSWORD}", False), (PASSWORD + "x" * 2000, False)]
)
def test_a_password_counts_as_it_was_entered(typed, is_right):
    user = User(name="a", roles=(Role.VIEWER,), password=HASHED)
    assert user.password
    assert is_password(typed, user.password) is is_right


def test_attempts_are_counted_for_the_name_and_the_address():
    attempts = Attempts(lambda: 0.0)
    assert all(attempts.begins(Attempt("a", "x")) for _ in range(MOST_OF_NAME))
    assert not attempts.begins(Attempt("a", "y"))
    assert attempts.begins(Attempt("a", "x", browser="b"))
    for number in range(MOST_OF_ADDRESS - MOST_OF_NAME):
        assert attempts.begins(Attempt(str(number), "x"))
    assert not attempts.begins(Attempt("new", "x"))
    assert attempts.begins(Attempt("new", "")), "an unknown address is everyone's"


def test_attempts_by_passkey_are_counted_for_the_address():
    attempts = Attempts(lambda: 0.0)
    passkey = Attempt("", "", is_passkey=True)
    for _ in range(MOST_OF_ADDRESS + 1):
        assert attempts.begins(passkey), "without an address there is nobody to count"
    attempts.succeeded(passkey)
    assert all(attempts.begins(Attempt("", "v", is_passkey=True)) for _ in range(MOST_OF_ADDRESS))
    assert not attempts.begins(Attempt("", "v", is_passkey=True))
    assert attempts.begins(Attempt("", "v")), "a form without a name is no passkey"


def test_attempts_are_forgotten_after_a_time_and_after_a_success():
    now_s = 0.0
    attempts = Attempts(lambda: now_s)
    while attempts.begins(Attempt("a", "x")):
        pass
    now_s = WITHIN_S
    assert attempts.begins(Attempt("a", "x"))
    for _ in range(MOST_OF_ADDRESS * 2):
        attempt = Attempt("b", "z")
        assert attempts.begins(attempt)
        attempts.succeeded(attempt)


def test_the_mark_of_a_browser_is_its_users_and_dies_with_the_password():
    user = User(name="a", roles=(Role.VIEWER,), password=HASHED)
    mark = mark_for(user)
    assert browser_of(user, mark) == mark.partition(".")[0]
    for other in (None, user.model_copy(update={"name": "b"}), user.model_copy(update={"password": "x"})):
        assert browser_of(other, mark) == ""
    for forged in ("", ".", "é.x", mark + "x", mark.partition(".")[0]):
        assert browser_of(user, forged) == ""


async def test_another_password_ends_the_sessions(site, settings):
    visitor = await site.visitor()
    assert (await visitor.sign_in("viewer")).status == 303
    assert (await visitor.get("/now")).status == 200
    row = {"name": "viewer", "roles": ["viewer"], "password": hash_password("another password")}
    settings.console.users.write_text(yaml.safe_dump({"users": [row]}))
    assert (await visitor.get("/now")).status == 303


def test_a_user_makes_room_among_the_users_own_sessions():
    now_s = 0.0
    sessions = Sessions(lambda: now_s)
    other, _ = sessions.begin("other")
    tokens = []
    for _ in range(MOST_OF_USER + 2):
        now_s += 1
        tokens.append(sessions.begin("a")[0])
    assert [sessions.find(token) is None for token in tokens] == [True] * 2 + [False] * MOST_OF_USER
    assert sessions.find(other)
