"""The `idtone registry diff` command, which lists the differences between two editions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.core.yaml_documents import read_text

from ..file_kinds import KINDS
from ..trust import tuf_roles
from .check_progress import checking


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A registry.yaml or suspensions.yaml.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later file of the same kind.")],
    as_json: command_line.JsonOption = False,
) -> None:
    """List the differences between two registries, or between two suspensions files. Exit 1: they differ."""
    before, after = read_text(old), read_text(new)
    roles = [_role(path) for path in (old, new)]
    if roles[0] != roles[1]:
        raise UsageError(
            "{old} and {new} are of two kinds; name two registries, or two files of suspensions", old=old, new=new
        )
    kind = KINDS[roles[0]]
    with checking():
        differences = list(kind.differences(kind.parse(before, str(old)), kind.parse(after, str(new))))
    if as_json:
        command_line.print_json({"differences": differences})
    else:
        print(*map(translated, differences or [Message("no differences")]), sep="\n")
    if differences:
        command_line.exit_negative()


def _role(path: Path) -> str:
    """A file's role according to its name. A registry may have any name."""
    named = (role for role, file in tuf_roles.DELEGATED.items() if path.name.endswith(file))
    return next(named, tuf_roles.REGISTRY)
