"""`published` of authority.yaml: a copy of the repository, which each publication replaces in one step."""

from __future__ import annotations

from pathlib import Path

import pytest


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
        office.told("publication publish", *office.duty())
        seen.append((published / "current").resolve())
        assert contents(published / "current") == contents(office.folder / "repository")
    assert len({*seen}) == 3
    assert {*(published / "editions").iterdir()} == {*seen[1:]}, "the one before stays for its readers"
    assert (published / "current").readlink() == Path("editions", seen[-1].name), "the folder can be moved and copied"


def test_a_copy_that_cannot_be_made_leaves_the_one_before(office, published):
    office.told("publication publish", *office.duty())
    before = contents(published / "current")
    (published / "editions").rename(published / "elsewhere")
    (published / "current").unlink()
    (published / "current").symlink_to(next((published / "elsewhere").iterdir()))
    (published / "editions").write_text("in the way")
    said = " ".join(office.error("publication publish", office.folder, *office.duty()).split())
    assert f"but not in {published}" in said
    assert contents(published / "current") == before


def test_the_path_must_be_whole(office):
    (office.folder / "authority.yaml").write_text("published: here\n")
    assert "authority.yaml:1:" in office.error("publication publish", office.folder, *office.duty())
