import os

import pytest

from idtone.core.files import draft


def test_a_draft_replaces_its_target_in_one_step(tmp_path):
    target = tmp_path / "a.sln"
    target.write_bytes(b"old")
    with target.open("rb") as reader, draft(target) as new:
        new.file.write(b"new")
        assert target.read_bytes() == b"old"
        new.put()
        assert target.read_bytes() == b"new"
        assert reader.read() == b"old"
    assert target.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["a.sln"]


def test_a_draft_that_is_not_put_is_removed(tmp_path):
    with draft(tmp_path / "a.sln") as new:
        new.file.write(b"new")
    assert os.listdir(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), draft(tmp_path / "a.sln"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError), draft(tmp_path / "a") as new:
        new.put()
    assert os.listdir(tmp_path) == ["a"], "a folder in the way stays"


def test_a_settled_file_can_be_read_by_other_users(tmp_path):
    with draft(tmp_path / "a") as new:
        new.file.write(b"new")
        new.flush_to_disk()
        assert new.path.read_bytes() == b"new"
        assert new.path.stat().st_mode & 0o777 == 0o644
