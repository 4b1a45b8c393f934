"""The source archive and the wheel have the same bytes each time, and requirements.lock fits setup.cfg."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests import ROOT
from tests.test_packaging import setup

from . import dist

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
LOCKED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))
EXTRAS = ("postgresql", "token")
"""The extras that the Debian packages have."""


def test_the_same_commit_gives_the_same_bytes(tmp_path, monkeypatch):
    first = dist.build(tmp_path / "first")

    def later(into: Path) -> Path:
        """Another checkout: other times, another umask."""
        for path in copy(into).rglob("*"):
            os.utime(path, (1, 1))
        return into

    copy = dist.copy_source
    monkeypatch.setattr(dist, "copy_source", later)
    before = os.umask(0o077)
    try:
        second = dist.build(tmp_path / "second")
    finally:
        os.umask(before)
    assert [path.suffix for path in first] == [".whl", ".gz"]
    assert [digest(path) for path in first] == [digest(path) for path in second]


def digest(path: Path) -> tuple[str, str]:
    return path.name, sha256(path.read_bytes()).hexdigest()


def test_the_lock_has_every_library_with_hashes_and_names_no_host():
    options = setup()
    lines = [options["options"]["install_requires"], *(options["options.extras_require"][each] for each in EXTRAS)]
    needed = {re.split(r"[ \[<>=!~;]", line)[0].lower() for text in lines for line in text.strip().splitlines()}
    assert needed <= LOCKED.keys(), "run make lock"
    assert LOCK.count("==") >= len(LOCKED) > 0
    for block in re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block
    assert "://" not in LOCK


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="Debian's way, and this is no Debian")
def test_a_package_of_a_later_debian_is_the_newer_one():
    older, newer = "0.1.0+deb12", "0.1.0+deb13"
    assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=False).returncode == 0
