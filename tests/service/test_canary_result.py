"""The folder of the canary's recordings."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from idtone.service import canary_result


def test_the_folder_is_made_by_a_unit_that_may_set_no_group_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `RestrictSUIDSGID=yes`, a chmod that sets the group bit fails. A new folder still inherits the bit."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    sounds.chmod(0o2750)

    def refuse(path: Path, mode: int, **_: Any) -> None:
        raise PermissionError(1, f"chmod {mode:o}")

    monkeypatch.setattr(Path, "chmod", refuse)
    settings = SimpleNamespace(canary_directory=lambda: sounds / "canary", sounds=SimpleNamespace(directory=sounds))
    before = os.umask(0o027)
    try:
        canary_result.make_folder(cast(Any, settings))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (sounds / "canary").stat().st_mode & 0o7777 == 0o2770
