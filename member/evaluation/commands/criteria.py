"""`idtone-office evaluation check`, which checks and shows a file of criteria."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.core.terminal import command_line

from ..criteria import Criterion, read_criteria


def criteria(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The criteria, a YAML file.")],
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """Find all faults of a file of criteria, and show it: what is measured, and how many points it gives."""
    form = command_line.form(as_json, as_csv, as_tsv)
    read = read_criteria(file)
    if form is command_line.Form.JSON:
        command_line.print_json({**read.document.model_dump(mode="json", exclude_none=True), "sha256": read.sha256})
        return
    rows = command_line.Rows(("criterion", "title", "measure", "points", "weight", "minimum"), form)
    rows.print(
        (each.id, f"{each.title.ja} / {each.title.en}", each.measure.value, _table(each), str(each.weight),
         ", ".join(f"{grade} {points}" for grade, points in each.minimum.items()))
        for each in read.document.criteria
    )  # fmt: skip
    if form is command_line.Form.TABLE:
        for grade in read.document.grades:
            command_line.say(
                "{id}: {ja} / {en}, from {percent} %",
                id=grade.id,
                ja=grade.title.ja,
                en=grade.title.en,
                percent=grade.percent,
            )
        command_line.say("version {version}, SHA-256 {sha256}", version=read.terms.version, sha256=read.sha256)


def _table(criterion: Criterion) -> str:
    return ", ".join(f"{'≥' if row.at_most is None else '≤'} {row.bound}: {row.points}" for row in criterion.points)
