"""A kept tree is complete, or is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import trees


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/file").write_bytes(b"content")
    (tmp_path / "usr/link").symlink_to("lib/file")
    return tmp_path


def test_a_sealed_tree_names_its_suite(tree):
    assert trees.suite_of(tree) is None
    trees.seal(tree, "trixie")
    assert trees.suite_of(tree) == "trixie"


@pytest.mark.parametrize(
    "damage",
    [
        lambda tree: (tree / "usr/lib/file").unlink(),
        lambda tree: (tree / "usr/lib/file").write_bytes(b"conten"),
        lambda tree: (tree / "usr/lib/other").write_bytes(b""),
        lambda tree: (tree / ".complete.json").write_text("{}"),
        lambda tree: (tree / ".complete.json").write_text("["),
    ],
    ids=["file gone", "file cut", "file more", "empty seal", "cut seal"],
)
def test_a_damaged_tree_is_detected(tree, damage):
    trees.seal(tree, "trixie")
    damage(tree)
    assert trees.suite_of(tree) is None
