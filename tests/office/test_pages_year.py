"""A year of the office's work on its pages in Chromium, and the same year by commands, as `make demo-authority` runs
it.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from idtone.registry.file_kinds import KINDS
from lab.office.pages.by_command import BY_COMMAND, play_by_command
from lab.office.pages.by_page import play_by_page
from lab.office.pages.tasks import TASKS
from lab.office.pages.tasks_page import PAGES, counts_on, rows, without_seconds


def test_each_task_has_its_commands():
    assert [*BY_COMMAND] == [task.name for task in TASKS]
    assert len(BY_COMMAND) >= 20


def left(office: Path) -> Any:
    """Content of the role's files at the end, with days in place of times."""

    def of_day(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: of_day(each) for name, each in value.items()}
        if isinstance(value, list):
            return [of_day(each) for each in value]
        return re.sub(r"^(\d{4}-\d\d-\d\d)T.*", r"\1", value) if isinstance(value, str) else value

    return {
        role: of_day(kind.parse((office / f"{role}.yaml").read_text("utf-8"), role).model_dump(mode="json"))
        for role, kind in KINDS.items()
        if (office / f"{role}.yaml").exists()
    }


@pytest.mark.nightly
def test_the_year_is_done_on_pages_alone_and_commands_do_the_same(tmp_path):
    """The pages need no YAML written by hand."""
    walked = play_by_page(tmp_path / "pages")
    assert not [(each.name, each.fault) for each in walked if each.fault]
    assert [each.name for each in walked] == [task.name for task in TASKS]
    assert [path.name for path in (tmp_path / "pages" / "desk").iterdir() if path.suffix in (".yaml", ".yml")] == []
    played = play_by_command(tmp_path / "commands")
    assert left(tmp_path / "pages" / "office") == left(tmp_path / "commands" / "office")
    counts = [[f"{each:g}" for each in without_seconds(figures)] for _, figures in rows(walked, played)]
    assert [counts_on(page) for page in PAGES] == [counts, counts], "run `python -m lab.office.pages --page`"
