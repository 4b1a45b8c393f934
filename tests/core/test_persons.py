"""The person who runs a command."""

import asyncio
import os
from pathlib import Path

from idtone.core.persons import AccountKnownBy, Person, acting_person, set_console_user

NOBODY = str(2**32 - 1)


def test_the_login_counts_before_sudo_and_sudo_before_the_account(tmp_path):
    sudo, account, own = AccountKnownBy.SUDO, AccountKnownBy.ACCOUNT, os.getuid()
    for login, sudo_uid, uid, known_by in (
        ("0", None, 0, AccountKnownBy.LOGIN),
        ("0\n", "54321", 0, AccountKnownBy.LOGIN),  # the environment cannot override the login
        (NOBODY, "54321", 54321, sudo),
        (None, "54321", 54321, sudo),
        (NOBODY, None, own, account),
        (NOBODY, "-1", own, account),
        (NOBODY, "１", own, account),
        (NOBODY, "9" * 30, own, account),
        ("x", None, own, account),
    ):
        (tmp_path / "loginuid").unlink(missing_ok=True)
        if login is not None:
            (tmp_path / "loginuid").write_text(login)
        person = acting_person(tmp_path / "loginuid", {"SUDO_UID": sudo_uid} if sudo_uid else {})
        assert (person.uid, person.known_by) == (uid, known_by), (login, sudo_uid)


def test_an_account_without_a_name_is_shown_by_its_number():
    assert str(acting_person(Path("/nowhere"), {"SUDO_UID": "54321"})) == "uid 54321 (uid 54321, by sudo)"
    assert acting_person(Path("/nowhere"), {"SUDO_UID": "0"}) == Person(0, "root", AccountKnownBy.SUDO)


async def test_the_console_acts_for_its_user_also_in_threads():
    set_console_user("sato")
    person = await asyncio.to_thread(acting_person)
    assert person == Person(os.getuid(), "sato", AccountKnownBy.CONSOLE)
    assert str(person) == f"sato (uid {os.getuid()}, by console)"
    set_console_user(None)
    assert (await asyncio.to_thread(acting_person)).known_by is not AccountKnownBy.CONSOLE


def test_an_account_and_a_user_of_the_console_may_be_one_person():
    account, other = Person(1, "sato", AccountKnownBy.LOGIN), Person(2, "sato", AccountKnownBy.SUDO)
    user, colleague = Person(9, "sato", AccountKnownBy.CONSOLE), Person(9, "mori", AccountKnownBy.CONSOLE)
    for one, two, same, different in (
        (account, account, True, False),
        (account, other, False, True),
        (user, user, True, False),
        (user, colleague, False, True),
        (account, user, False, False),
        (account, colleague, False, False),
    ):
        assert (one.is_same_as(two), one.is_another_than(two)) == (same, different), (one, two)
        assert (two.is_same_as(one), two.is_another_than(one)) == (same, different), (one, two)
