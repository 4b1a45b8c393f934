"""An association that has published, and a member's machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from .association import Association, Machine


@pytest.fixture
def association(tmp_path: Path) -> Association:
    made = Association(tmp_path / "association")
    made.begin()
    return made


@pytest.fixture
def machine(association: Association, tmp_path: Path) -> Machine:
    return Machine(association, tmp_path / "machine")
