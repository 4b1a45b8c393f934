"""From nothing to a first member, by commands alone."""

from __future__ import annotations

import re
import shutil

import pytest

from idtone.registry.sources import read_document

from .office import APPLICATION, WHY, Office


@pytest.fixture
def empty(new_office: Office) -> Office:
    shutil.rmtree(new_office.folder)
    return new_office


def test_from_nothing_to_a_member(empty):
    code, out, _ = empty.run("new", empty.folder, "--association", "日本の協会: 1")
    assert (code, out) == (0, f"{empty.registry} is written\n{empty.suspensions} is written\n")
    assert empty.run("check", empty.folder)[0] == 0
    empty.told("init", "--keys", empty.folder.with_name("keys"))
    path = empty.folder.with_name("application.yaml")
    path.write_text(re.sub(r"tone: [\w-]+", "tone: sample", APPLICATION))
    empty.told("apply", path)
    empty.told("review", "A-1", "--result", "passed", *WHY)
    empty.told("grant", "A-1", "--until", "2099-12-01")
    empty.told("publish", *empty.all_keys())
    document = read_document(empty.registry)
    assert (document.registry.association, len(document.members)) == ("日本の協会: 1", 1)


def test_existing_files_stay(empty):
    empty.run("new", empty.folder)
    empty.registry.unlink()
    assert f"{empty.suspensions}: exists already" in empty.refused("new")
    assert not empty.registry.exists()
