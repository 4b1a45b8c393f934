"""The commands `evaluation run`, `list` and `enter-criteria` of `idtone-office`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress, progress_bar
from idtone.core.translation import translated
from idtone.core.yaml_documents import read_text
from idtone.member.evaluation.criteria import parse_criteria
from idtone.member.evaluation.measures import NoValue
from idtone.registry.commands.check_progress import checking

from ..authority.workspace import Workspace
from ..evaluation.enter_criteria import enter_criteria, present_criteria, sample_criteria, tree_of
from ..evaluation.evaluate_members import evaluate_members, period_over, read_folder
from ..evaluation.evaluation import Evaluation, evaluation_lines
from ..evaluation.plot import plot
from ..evaluation.results import enter as enter_results
from ..evaluation.results import kept_results
from .history_output import entry_lines as history_lines
from .history_output import entry_to_json
from .options import FolderOption, WhyOption, attribution_for


def run_evaluation(
    folder: FolderOption,
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="The first day of the period, in Japan.")],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The last day of the period, in Japan.")],
    member: Annotated[list[str] | None, typer.Option("--member", metavar="ID", help="Show only this one.")] = None,
    is_entered: Annotated[
        bool, typer.Option("--enter", help="Enter the results into registry.yaml, to be published.")
    ] = False,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason, with --enter.")] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Evaluate all members according to evaluation.yaml in the folder, and show the reason for each point.

    A member gets no grade if it has no figures or no valid licence, or if all its numbers are suspended. A member's
    figures count if its nodes have handed in figures for every day of the period, each with a log head that a named
    witness has cosigned since. What the office has observed counts too (`evaluation observe`). With --enter, the
    command enters the members that reach a grade in registry.yaml, in place of the earlier ones; `publication publish
    --site` then publishes criteria, results and badges beside the public list.
    """
    workspace, now = Workspace(folder), datetime.now(UTC)
    if is_entered != (why is not None) or (is_entered and member):
        raise UsageError("--enter takes --why, and evaluates all members")
    period = period_over(since, until, now, lambda field: f"--{field}")
    attribution = attribution_for(why) if why is not None else None
    with checking():
        registry, criteria = read_folder(workspace)
    with progress_bar(translated("evaluating")) as evaluated:
        found = evaluate_members(
            workspace,
            registry,
            criteria,
            period,
            now,
            member or (),
            evaluated,
        )
    with checking():
        entry = enter_results(workspace, found, attribution) if attribution else None
    if as_json:
        command_line.print_json(
            {
                "criteria": {"version": criteria.terms.version, "sha256": criteria.sha256},
                "members": [_plain(each) for each in found.evaluations],
                "history": entry_to_json(entry) if entry else None,
            }
        )
        return
    for evaluation in found.evaluations:
        print(*map(translated, evaluation_lines(evaluation)), sep="\n")
    if entry:
        print(
            *history_lines(entry),
            translated("publish it with --site, so that the public list has it"),
            sep="\n",
        )


def _plain(each: Evaluation) -> dict[str, Any]:
    found = each.score
    return {
        "member": each.member.id,
        "grade": each.grade.id if each.grade else None,
        "excluded": each.excluded,
        "percent": None if found.percent is None else str(found.percent),
        "rows": [
            {
                "criterion": row.criterion.id,
                "measure": row.criterion.measure.value,
                "value": None if isinstance(row.value, NoValue) else str(row.value),
                "no_value": row.value.value if isinstance(row.value, NoValue) else None,
                "points": row.points,
                "of": row.criterion.most,
                "weight": row.criterion.weight,
            }
            for row in found.rows
        ],
        "missed": {grade: list(names) for grade, names in found.missed.items()},
        "missing": list(each.missing),
        "doubts": [str(doubt) for doubt in each.doubts],
    }


def list_evaluations(
    folder: FolderOption,
    member: Annotated[list[str] | None, typer.Option("--member", metavar="ID", help="Only this one.")] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Also draw them over the years, as PNG or SVG; the members named with --member have lines of "
            "their own. Needs the extra `plot`.",
        ),
    ] = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """Show the evaluations of all periods, and draw them. Each result is computed again from its values."""
    form = command_line.form(as_json, as_csv, as_tsv)
    with progress() as bar:
        kept = list(bar.track(kept_results(Workspace(folder)), description="reading"))
    if picture:
        plot(picture, kept, member or ())
    rows = [
        (
            result.member,
            str(result.period),
            str(result.criteria_version),
            result.grade or "",
            "" if result.percent is None else str(result.percent),
        )
        for _, results in kept
        for result in results
        if not member or result.member in member
    ]
    columns: Sequence[str] = ("member", "period", "criteria", "grade", "percent")
    if form is command_line.Form.JSON:
        command_line.print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    command_line.Rows(columns, form).print(rows)


def enter_evaluation_criteria(
    folder: FolderOption,
    why: WhyOption,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The criteria, a changed copy of evaluation.yaml.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--list", metavar="ADDRESS", help="The address of the public list; badges show it.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="The key of a witness whose cosignature counts, in place of those before."),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter the criteria of the evaluation in place of the older ones. The command raises their version itself.

    Without FILE, the command starts from the criteria in the folder, or from idtone's sample if the folder has none.
    Until a witness is named, the desk accepts no figures.
    """
    workspace, attribution = Workspace(folder), attribution_for(why)
    if file is not None:
        begun = parse_criteria(read_text(file), str(file))
    else:
        begun = present_criteria(workspace) or sample_criteria()
    tree = tree_of(begun.document)
    tree["evaluation"] |= {"list": address} if address else {}
    tree["evaluation"] |= {"witnesses": witness} if witness else {}
    made = enter_criteria(workspace, tree, attribution)
    if as_json:
        command_line.print_json({"version": made.terms.version, "sha256": made.sha256})
    else:
        command_line.say("criteria of version {version} are entered", version=made.terms.version)
