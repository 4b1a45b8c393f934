"""Packages that wait for signatures while the office makes other changes."""

import fcntl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.errors import TrustError
from idtone.office.authority import prepared_package
from idtone.office.authority.edition import Edition, read_edition
from idtone.office.authority.prepared_package import PreparedPackage
from idtone.office.authority.workspace import Workspace
from idtone.registry.trust import tuf_roles
from lab.office.authority.office import STOP, TWICE, Office


def has_turn(folder: Path) -> bool:
    """True if a thread or process holds the folder's lock."""
    with (folder / ".lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_package_is_read_in_the_turn_in_which_it_is_written(office: Office, monkeypatch: pytest.MonkeyPatch):
    """A holder's copy that arrives between the reading and the writing would lose its signature, and a published
    package would come back.
    """
    held: list[bool] = []

    def read(folder: Path) -> Edition:
        held.append(has_turn(office.folder))
        return read_edition(folder)

    monkeypatch.setattr(prepared_package, "read_edition", read)
    package = PreparedPackage(Workspace(office.folder))
    office.json("licence revoke", "L-0001", "--why", "as asked")
    package.prepare(datetime.now(UTC))
    for act, expected in (
        (package.prepare, [False, True]),
        (package.rebase, [True]),
        (package.to_zip, [True]),
    ):
        held.clear()
        act(datetime.now(UTC))
        assert held == expected, act


def test_a_stop_that_takes_a_member_off_the_public_list_demands_another_package(office: Office):
    """The earlier error only said that the list does not follow from registry.yaml, not what to do."""
    package = PreparedPackage(Workspace(office.folder))
    office.json("publication prolong", "--until", "2037-12-01", "--why", "as asked")
    package.prepare(datetime.now(UTC))
    edition = read_edition(package.folder)
    office.json("suspension number", *STOP, typed=TWICE)
    office.json("publication publish", *office.duty())
    package.rebase(datetime.now(UTC))
    assert read_edition(package.folder).before["snapshot"].signed.version > edition.before["snapshot"].signed.version
    office.json("suspension member", *STOP, typed="m-0001\nm-0001\n")
    office.json("publication publish", *office.duty())
    for act in (package.rebase, package.to_zip):
        with pytest.raises(TrustError, match="public list has changed because of a suspension"):
            act(datetime.now(UTC))
    package.discard()
    package.prepare(datetime.now(UTC))
    package.rebase(datetime.now(UTC))
    assert tuf_roles.REGISTRY in read_edition(package.folder).metadata
