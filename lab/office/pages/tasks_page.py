"""The page of the documentation about the office's tasks: clicks and seconds beside the commands, as a run had them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.repository import ROOT

from .by_command import Played
from .tasks import TASKS
from .walked import Walked

PAGES: Final = (
    ROOT / "docs/explanation/office-tasks.md",
    ROOT / "docs/ja/explanation/office-tasks.md",
)
_TEXTS: Final = (
    """\
# The office's tasks in clicks and seconds

Japanese: [事務局の業務にかかるクリック数と秒数](../ja/explanation/office-tasks.md)

`python -m lab.office.pages --page` has made this page: it does a year of the office in Chromium, and then the same by
commands. Both leave the same registry and the same suspensions (`tests/office/test_pages_year.py`). A click is a link,
a button, a choice, a fold or a file; a field is one into which somebody types. A command is what
[the manual](../authority.md) asks for, and a file is one that somebody writes by hand, in YAML.

The seconds are those of the programs on {processors} processors at load {load:.0f}. How long people read and type is
not in them. The commands ran in one process; each start of the program comes on top.

| task | clicks | fields | s | commands | files by hand | s |
|---|---|---|---|---|---|---|
""",
    """\
# 事務局の業務にかかるクリック数と秒数

English: [The office's tasks in clicks and seconds](../../explanation/office-tasks.md)

このページは `python -m lab.office.pages --page` が作成したものです。事務局の一年の業務を Chromium で行い、
続いて同じ業務をコマンドで行います。どちらでも、同じ登録簿と同じ番号停止ができます(`tests/office/test_pages_year.py`)。クリックには、リンク、
ボタン、選択、折りたたみ、ファイルの選択を数えます。入力欄は、文字を入力する欄です。コマンドの数は
[手引き](../../authority.ja.md)によるもので、ファイルは人が YAML で書くものだけを数えます。

秒数は、{processors} 個のプロセッサー、負荷 {load:.0f} でのプログラムの処理時間です。人が読む時間と
入力する時間は含みません。コマンドは一つのプロセスで実行したため、実際には、コマンドごとにプログラムの起動時間が加わります。

| 業務 | クリック | 入力欄 | 秒 | コマンド | 手書きのファイル | 秒 |
|---|---|---|---|---|---|---|
""",
)
_SUMS: Final = ("all", "合計")


def rows(walked: Sequence[Walked], played: Mapping[str, Played]) -> list[tuple[str, list[float]]]:
    """The figures by the name of the task; the last row has their sums."""
    found: list[tuple[str, list[float]]] = [
        (each.name, [each.clicks, each.typed, each.seconds, *_figures(played[each.name])]) for each in walked
    ]
    return [*found, ("", [sum(column) for column in zip(*(figures for _, figures in found), strict=True)])]


def _figures(played: Played) -> list[float]:
    return [played.commands, played.files, played.seconds]


def write_pages(walked: Sequence[Walked], played: Mapping[str, Played]) -> None:
    """Write the page in both languages."""
    titles = {task.name: task.title for task in TASKS}
    for number, (path, text) in enumerate(zip(PAGES, _TEXTS, strict=True)):
        lines = text.format(processors=os.cpu_count(), load=os.getloadavg()[1])
        for name, figures in rows(walked, played):
            title = titles[name][number] if name else _SUMS[number]
            lines += f"| {title} | {' | '.join(f'{round(each, 1):g}' for each in figures)} |\n"
        path.write_text(lines, "utf-8")


def counts_on(page: Path) -> list[list[str]]:
    """Clicks, fields, commands and files of each row, as the page has them."""
    cells = [line.split(" | ")[1:] for line in page.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    return [[clicks, fields, commands, files] for clicks, fields, _, commands, files, _ in cells]
