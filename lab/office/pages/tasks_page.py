"""The documentation page about the office's tasks, which compares clicks and commands as counted in a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.repository import ROOT

from .by_command import CommandEffort
from .by_page import PageEffort
from .tasks import TASKS

PAGES: Final = (
    ROOT / "docs/explanation/office-tasks.md",
    ROOT / "docs/ja/explanation/office-tasks.md",
)
_TEXTS: Final = (
    """\
# The office's tasks in clicks and commands

Japanese: [事務局の業務にかかるクリック数とコマンド数](../ja/explanation/office-tasks.md)

A program plays a year of the office's work in Chromium, and then does the same work with commands. Both ways
produce the same registry and the same suspensions (`tests/office/test_pages_year.py`).

Each link, button, choice, expandable section or selected file counts as one click, and each text box that must be
filled in as one field. The commands are the ones in [the manual](../authority.md). Only YAML files that a person
writes count as files by hand. `make demo-authority` prints the same table with each task's time in seconds, which
depends on the machine. To generate this page, run `python -m lab.office.pages --page`.

| task | clicks | fields | commands | files by hand |
|---|---|---|---|---|
""",
    """\
# 事務局の業務にかかるクリック数とコマンド数

English: [The office's tasks in clicks and commands](../../explanation/office-tasks.md)

このページは `python -m lab.office.pages --page` が作成したものです。事務局の一年の業務を Chromium で行い、
続いて同じ業務をコマンドで行います。どちらでも、同じ登録簿と同じ番号停止ができます(`tests/office/test_pages_year.py`)。

クリックには、リンク、ボタン、選択、折りたたみ、ファイルの選択を数えます。入力欄には、文字を入力するものを数えます。コマンドの数は
[手引き](../../authority.ja.md)によるもので、ファイルは人が書く YAML だけを数えます。
所要秒数はマシンによって異なるため、`make demo-authority` が同じ表に加えて表示します。

| 業務 | クリック | 入力欄 | コマンド | 手書きのファイル |
|---|---|---|---|---|
""",
)
_SUMS: Final = ("Total", "合計")


def rows(walked: Sequence[PageEffort], played: Mapping[str, CommandEffort]) -> list[tuple[str, list[float]]]:
    """Figures of each task, with their sums in the last row."""
    found: list[tuple[str, list[float]]] = [
        (each.name, [each.clicks, each.typed, each.seconds, *_figures(played[each.name])]) for each in walked
    ]
    return [*found, ("", [sum(column) for column in zip(*(figures for _, figures in found), strict=True)])]


def _figures(played: CommandEffort) -> list[float]:
    return [played.commands, played.files, played.seconds]


def without_seconds(figures: Sequence[float]) -> list[float]:
    """The figures without the seconds, which differ between machines."""
    return [figures[place] for place in (0, 1, 3, 4)]


def write_pages(walked: Sequence[PageEffort], played: Mapping[str, CommandEffort]) -> None:
    """Write the page in both languages."""
    titles = {task.name: task.title for task in TASKS}
    for number, (path, text) in enumerate(zip(PAGES, _TEXTS, strict=True)):
        lines = text
        for name, figures in rows(walked, played):
            title = titles[name][number] if name else _SUMS[number]
            lines += f"| {title} | {' | '.join(f'{round(each, 1):g}' for each in without_seconds(figures))} |\n"
        path.write_text(lines, "utf-8")


def counts_on(page: Path) -> list[list[str]]:
    """Clicks, fields, commands and files of each row on the page."""
    lines = [line.strip("| ") for line in page.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [line.split(" | ")[1:] for line in lines[1:]]
