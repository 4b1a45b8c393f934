"""The person who runs a command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idtone.persons import AccountKnownBy, Person, acting

NOBODY = str(2**32 - 1)


@pytest.mark.parametrize(
    ("login", "environment", "uid", "known_by"),
    [
        ("0", {}, 0, AccountKnownBy.LOGIN),
        ("0\n", {"SUDO_UID": "54321"}, 0, AccountKnownBy.LOGIN),  # the environment cannot override the login
        (NOBODY, {"SUDO_UID": "54321"}, 54321, AccountKnownBy.SUDO),
        (None, {"SUDO_UID": "54321"}, 54321, AccountKnownBy.SUDO),
        (NOBODY, {}, os.getuid(), AccountKnownBy.ACCOUNT),
        (NOBODY, {"SUDO_UID": "-1"}, os.getuid(), AccountKnownBy.ACCOUNT),
        (NOBODY, {"SUDO_UID": "１"}, os.getuid(), AccountKnownBy.ACCOUNT),
        (NOBODY, {"SUDO_UID": "9" * 30}, os.getuid(), AccountKnownBy.ACCOUNT),
        ("x", {}, os.getuid(), AccountKnownBy.ACCOUNT),
    ],
)
def test_the_login_counts_before_sudo_and_sudo_before_the_account(tmp_path, login, environment, uid, known_by):
    if login is not None:
        (tmp_path / "loginuid").write_text(login)
    person = acting(tmp_path / "loginuid", environment)
    assert (person.uid, person.known_by) == (uid, known_by)


def test_an_account_without_a_name_is_shown_by_its_number():
    assert str(acting(Path("/nowhere"), {"SUDO_UID": "54321"})) == "uid 54321 (uid 54321, by sudo)"
    assert acting(Path("/nowhere"), {"SUDO_UID": "0"}) == Person(0, "root", AccountKnownBy.SUDO)
