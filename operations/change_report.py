"""Shows changes to the PBX before and after they are made."""

import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.text import Text

from idtone.core.errors import ChangeError
from idtone.core.translation import Message, translated

from .make_changes import Changer
from .planned_changes import Group


class AttemptReport(TypedDict):
    """A group of changes as a JSON object.

    `made` is None if the changes were not attempted.
    """

    ids: list[str]
    changes: list[str]
    made: bool | None
    trouble: str | None
    copies: str | None


@dataclass
class Attempt:
    """An attempt to make a group of changes, and its outcome.

    `made` is None before the attempt.
    """

    group: Group
    made: bool | None = None
    trouble: str = ""
    copies: Path | None = None

    def make(self, changer: Changer) -> None:
        try:
            changer.make(self.group.changes)
            self.made = True
        except ChangeError as error:
            self.made, self.trouble = False, str(error)
        self.copies = changer.folder if changer.folder.is_dir() else None

    def report(self) -> AttemptReport:
        return AttemptReport(
            ids=list(self.group.ids),
            changes=[str(change) for change in self.group.changes],
            made=self.made,
            trouble=self.trouble or None,
            copies=str(self.copies) if self.copies else None,
        )


def show_plan(groups: Collection[Group], out: Console, nothing: str) -> None:
    """Print planned changes with their purpose, or the text `nothing` if there are none."""
    if not groups:
        out.print(Text(translated(nothing)))
    for group in groups:
        out.print(Text(translated(group.title), "bold"))
        for change in group.changes:
            out.print(Text(textwrap.indent(translated(str(change)), "  ")), soft_wrap=True)
    out.print()


def show_attempts(attempts: Iterable[Attempt], out: Console) -> None:
    """Print the outcome of attempted changes, and the folders that contain copies of changed files."""
    tried = [attempt for attempt in attempts if attempt.made is not None]
    for attempt in tried:
        if attempt.made:
            text = Message("changed: {names}", names=attempt.group.title)
        else:
            text = Message("not changed: {names}: {trouble}", names=attempt.group.title, trouble=attempt.trouble)
        out.print(Text(translated(text)), soft_wrap=True)
    for folder in dict.fromkeys(attempt.copies for attempt in tried if attempt.copies):
        out.print(Text(translated("copies of what was there: {folder}", folder=folder)), soft_wrap=True)
    if tried:
        out.print()
