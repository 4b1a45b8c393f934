"""The year of the office by its pages, in Chromium: what `make demo-authority` plays. Nobody writes YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.office.pages.__main__ import walk
from lab.office.pages.tasks import TASKS


@pytest.mark.nightly
def test_the_year_is_done_on_pages_alone(tmp_path: Path) -> None:
    walked = walk(tmp_path / "office")
    assert not [(each.name, each.fault) for each in walked if each.fault]
    assert [each.name for each in walked] == [task.name for task in TASKS]
    assert len(walked) >= 20
    assert [path.name for path in (tmp_path / "office" / "desk").iterdir() if path.suffix in (".yaml", ".yml")] == []
