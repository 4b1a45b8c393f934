"""The `condition` commands of `idtone-office`, for stopping conditions (利用停止条件)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.core.yaml_documents import read_text
from idtone.registry.commands.check_progress import checking
from idtone.registry.stopping_conditions import STEPS

from ..authority.change_registry import registry_of
from ..authority.stopping_conditions import enter_conditions, read_conditions, sample_conditions
from ..authority.workspace import Workspace
from .history_output import print_change
from .options import FolderOption, WhyOption, attribution_for

_COLUMNS: Final = ("id", "finding", "leads_to", "within_days", "ja", "en")


def list_conditions(
    folder: FolderOption,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the stopping conditions: which finding of `misuse` leads to what, within how many days."""
    form = command_line.form(as_json, as_csv, as_tsv)
    with checking():
        document = registry_of(Workspace(folder))
    rows = [
        (each.id, each.finding or "", each.leads_to, str(each.within_days), each.text.ja, each.text.en)
        for each in document.stopping_conditions
    ]
    if form is command_line.Form.JSON:
        conditions = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        command_line.print_json({"version": document.stopping_version, "conditions": conditions})
        return
    if form is not command_line.Form.TABLE:
        command_line.Rows(_COLUMNS, form).print(rows)
        return
    version = document.stopping_version
    command_line.say(Message("version {version}", version=version) if version else Message("none were entered"))
    for id_, finding, leads_to, days, ja, en in rows:
        step = Message("{step}; days at most: {days}", step=Message(STEPS[leads_to]), days=days)
        print(f"{id_} {finding}: {translated(step)}\n    {ja}\n    {en}")


def enter_stopping_conditions(
    folder: FolderOption,
    why: WhyOption,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The conditions, a changed copy of stopping_conditions.yaml."),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter stopping conditions in place of the older ones. Each finding of `misuse` has one.

    Without FILE it enters idtone's sample, which a lawyer has to check. The holders of the registry's keys sign them
    with the next edition; then the public list, the public site and the members' nodes show them.
    """
    attribution = attribution_for(why)
    conditions = sample_conditions() if file is None else read_conditions(read_text(file), str(file))
    with checking():
        entry = enter_conditions(Workspace(folder), conditions, attribution)
    print_change(entry, as_json)
