"""Accounts of one group in one folder: they can read and replace each other's files."""

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.office.authority.group_shared_files import make_folder, rewrite
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.desk.reports.desk_key import DeskKey
from lab.office.authority.office import APPLICATION, STOP, TWICE, WHY, Office
from lab.office.authority.restricted_modes import forbid_group_bit

ROOT = Path(__file__).parents[3]


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def paths(office: Office) -> Iterator[tuple[Path, int]]:
    """Paths of the folder, with their modes."""
    for path in office.folder.rglob("*"):
        yield path, stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("is_shared", [True, False])
def test_what_the_commands_write_is_the_groups_if_the_folder_is(new_office, umask, is_shared):
    office = new_office
    office.folder.chmod(0o2770 if is_shared else 0o700)
    office.json("publication begin", "--keys", office.key("any").parent)
    application = office.folder.with_name("application.yaml")
    application.write_text(APPLICATION)
    office.json("application accept", application)
    office.json("suspension number", *STOP, typed=TWICE)
    office.json("number assign", "m-0002", *WHY, typed="0362345670\n")
    office.json("publication publish", *office.all_keys())
    office.json("publication prepare", "--package", office.folder / "package")
    office.json("site prepare", "--package", office.folder / "statement")
    kept = {"registry.yaml", "suspensions.yaml", "registry.jsonl", "suspensions.jsonl", "A-1.yaml", ".lock"}
    assert kept <= {path.name for path, _ in paths(office)}
    for path, mode in paths(office):
        if path.is_dir():
            assert bool(mode & 0o2020 == 0o2020) == is_shared, path
        elif path.parent.name == "targets":
            assert mode & 0o440 == 0o440, "in a package: read, and replaced by another file"
        elif path.name in kept and is_shared:
            assert mode & 0o060 == 0o060, path
        elif path.name in kept:
            assert mode & 0o007 == 0, path
    for package in ("package", "statement"):
        assert (office.folder / package).stat().st_mode & 0o007 == 0, "it has members' numbers"


def test_a_unit_makes_folders_in_a_shared_folder_although_it_may_set_no_group_bit(tmp_path, umask, monkeypatch):
    tmp_path.chmod(0o2770)
    forbid_group_bit(monkeypatch)
    make_folder(tmp_path / "unpublished" / "one")
    make_folder(tmp_path / "repository", 0o755)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in tmp_path.rglob("*")}
    assert modes == {"unpublished": 0o2770, "one": 0o2770, "repository": 0o2775}
    assert os.umask(0o077) == 0o077


def test_a_file_that_root_has_saved_can_be_changed_by_the_office(tmp_path, monkeypatch):
    """An editor that replaces the file gives it to root's group, and the office's account is not in this group."""
    path = tmp_path / "registry.yaml"
    path.write_bytes(b"by root")

    def refuse(descriptor: int, user: int, group: int) -> None:
        raise PermissionError(1, f"fchown {group}")

    status = path.stat()
    saved = os.stat_result((*status[:5], 4321, *status[6:]))
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(Path, "stat", lambda each, **more: saved if each == path else os.stat(each, **more))
    rewrite(path, b"by the office")
    assert path.read_bytes() == b"by the office"


@pytest.mark.parametrize("page", ["authority.md", "authority.ja.md"])
def test_the_desk_goes_on_after_the_pages_commands_have_shared_the_folder(office, page):
    text = " ".join((ROOT / "docs" / page).read_text("utf-8").split())
    (commands,) = re.findall(r"`(chgrp -R office [^`]*)`", text)
    OfficeLedger(office.folder).record("tested", "before")
    DeskKey.of(office.folder)
    group = commands.replace("chgrp -R office", f"chgrp -R {os.getgid()}")
    subprocess.run(["sh", "-ec", group], cwd=office.folder, check=True)
    assert office.folder.stat().st_mode & 0o2070 == 0o2070
    OfficeLedger(office.folder).record("tested", "after")
    DeskKey.of(office.folder)


def test_another_accounts_lock_can_be_used(office, monkeypatch):
    """A file that this account cannot write can still be locked."""
    (office.folder / ".lock").touch()
    opened, real = [], os.open

    def noting(path: object, flags: int, *more: object, **named: object) -> int:
        if str(path).endswith(".lock"):
            opened.append(flags & os.O_ACCMODE)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", noting)
    office.json("number assign", "m-0002", *WHY, typed="0362345670\n")
    assert set(opened) == {os.O_RDONLY}
