"""The setting `published` of authority.yaml: each publication replaces the copy of the repository in one step."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.signing_keys import signer
from idtone.office.authority.prepared_package import PreparedPackage
from idtone.office.authority.workspace import Workspace
from idtone.office.authority.write_operator_list import write_operator_list
from lab.office.authority.office import PHRASE, STOP, TWICE
from lab.office.authority.restricted_modes import forbid_group_bit

DAY = "2027-01-10T09:00:00+09:00"


@pytest.fixture
def published(office, tmp_path) -> Path:
    folder: Path = tmp_path / "published"
    (office.folder / "authority.yaml").write_text(f"published: {folder}\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def test_each_publication_replaces_the_whole(office, published):
    seen = []
    for _ in range(3):
        office.json("publication publish", *office.duty())
        seen.append((published / "current").resolve())
        assert contents(published / "current") == contents(office.folder / "repository")
    assert len({*seen}) == 3
    assert {*(published / "editions").iterdir()} == {*seen[1:]}, "the one before stays for its readers"
    assert (published / "current").readlink() == Path("editions", seen[-1].name), "the folder can be moved and copied"


def test_a_copy_that_cannot_be_made_leaves_the_one_before(office, published):
    office.json("publication publish", *office.duty())
    before = contents(published / "current")
    (published / "editions").rename(published / "elsewhere")
    (published / "current").unlink()
    (published / "current").symlink_to(next((published / "elsewhere").iterdir()))
    (published / "editions").write_text("in the way")
    code, _, error = office.run("publication publish", *office.duty())
    assert code == 2
    assert f"but not in {published}" in " ".join(error.split())
    assert contents(published / "current") == before
    assert "but not in" in office.error("publication copy")
    (published / "editions").unlink()
    (published / "elsewhere").rename(published / "editions")
    office.output("publication copy")
    assert contents(published / "current") == contents(office.folder / "repository")


def test_a_stop_is_published_and_its_package_is_over_although_the_copy_fails(office, published):
    published.write_text("in the way")
    office.json("suspension number", *STOP, typed=TWICE)
    workspace, now = Workspace(office.folder), datetime.now(UTC)
    package = PreparedPackage(workspace, by_duty_keys_alone=True)
    package.prepare(now)
    for name in ("duty-1", "duty-2"):
        edition = package.edition()
        edition.sign(signer(str(office.key(name)), lambda _: PHRASE))
        package.add_signatures(edition, now)
    assert b"R-7" in workspace.repository.file_octets("suspensions")
    assert package.edition() is None
    assert not workspace.is_copy_current()
    published.unlink()
    office.output("publication copy")
    assert workspace.is_copy_current()


def test_members_get_the_edition_although_a_copy_for_undo_cannot_be_deleted(office, published, caplog):
    in_the_way = office.folder / "unpublished" / "0.yaml"
    in_the_way.mkdir(parents=True)
    office.json("publication publish", *office.duty())
    assert contents(published / "current") == contents(office.folder / "repository")
    assert str(in_the_way) in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to any group")
@pytest.mark.parametrize("folder_mode", [0o750, 0o2750])
def test_the_folders_group_reads_the_copy_and_nobody_else_writes_it(office, published, folder_mode):
    published.mkdir()
    os.chown(published, -1, 4321)
    published.chmod(folder_mode)
    for path in (office.folder / "repository").rglob("*"):
        path.chmod(0o2770 if path.is_dir() else 0o660)
    umask = os.umask(0o077)
    try:
        office.json("publication publish", *office.duty())
    finally:
        os.umask(umask)
    copied = [path for path in published.rglob("*") if not path.is_symlink()]
    assert any(path.name == "timestamp.json" for path in copied)
    for path in copied:
        assert path.stat().st_gid == 4321, path
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


@pytest.mark.parametrize("umask", [0o027, 0o007])
def test_the_consoles_unit_copies_although_it_may_set_no_group_bit(office, published, monkeypatch, umask):
    """With `RestrictSUIDSGID=yes`, a chmod with the set-group-ID bit fails, and tmpfiles.d makes the folder with it."""
    published.mkdir()
    published.chmod(0o2750)
    for path in (office.folder / "repository", *(office.folder / "repository").rglob("*")):
        path.chmod(0o2770 if path.is_dir() else 0o660)
    forbid_group_bit(monkeypatch)
    before = os.umask(umask)
    try:
        for _ in range(2):
            office.output("publication copy")
    finally:
        os.umask(before)
    assert contents(published / "current") == contents(office.folder / "repository")
    for path in published.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


def test_the_path_must_be_whole(office):
    (office.folder / "authority.yaml").write_text("published: here\n")
    assert "authority.yaml:1:" in office.error("publication publish", *office.duty())


def test_the_public_list_is_readable_whatever_the_umask_is_and_has_only_the_marks_that_it_names(tmp_path):
    listed = {"association": "A", "issued": DAY, "counts_until": DAY, "registry_version": 1, "operators": []}
    before = os.umask(0o077)
    try:
        for names in (("m-0001.svg", "licensed/m-0002.svg", "criteria.yaml"), ("licensed/m-0003.svg",)):
            files = [(name, b"x") for name in names]
            write_operator_list(tmp_path / "new/site", json.dumps(listed).encode(), {"1.root.json": b"{}"}, files, ())
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*")}
    assert [path for path, mode in modes.items() if mode != (0o755 if path.is_dir() else 0o644)] == []
    assert [path.name for path in modes if path.suffix == ".svg"] == ["m-0003.svg"]
    assert "criteria.yaml" in {path.name for path in modes}
