"""The person who runs a command."""

import os
from pathlib import Path

from idtone.persons import AccountKnownBy, Person, acting

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
        person = acting(tmp_path / "loginuid", {"SUDO_UID": sudo_uid} if sudo_uid else {})
        assert (person.uid, person.known_by) == (uid, known_by), (login, sudo_uid)


def test_an_account_without_a_name_is_shown_by_its_number():
    assert str(acting(Path("/nowhere"), {"SUDO_UID": "54321"})) == "uid 54321 (uid 54321, by sudo)"
    assert acting(Path("/nowhere"), {"SUDO_UID": "0"}) == Person(0, "root", AccountKnownBy.SUDO)
