"""The commands `paper account`, `certificate` and `letter` of `idtone-office`, which write printed papers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.files import replace_durably, writing
from idtone.core.paper.content import Paper
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority.workspace import Workspace
from ..desk.document_desk import DocumentDesk
from ..papers.letters import Letter
from ..papers.period_account import account_paper, fiscal_year_days
from ..papers.workspace_papers import account_from_desk, letter_paper, licence_paper, office_sender, table_csv
from .options import FolderOption, parse_day

MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="The member's id.")]
PersonOption = Annotated[str, typer.Option("--person", metavar="TEXT", help="Who signs it for the association.")]
NumberOption = Annotated[str, typer.Option("--number", metavar="TEXT", help="The office's number of the document.")]
OutputOption = Annotated[Path, typer.Option("-o", "--output", metavar="PDF", help="The file to be written.")]


def print_account(
    folder: FolderOption,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A new folder for the PDF and CSVs.")],
    since: Annotated[str | None, typer.Option(metavar="DAY", help="The first day, in Japan.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day, in Japan.")] = None,
    year: Annotated[int | None, typer.Option(metavar="YEAR", help="A fiscal year (年度): the annual report.")] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Write the account of a period for the ministry, or the annual report: a PDF, and each table as CSV.

    The account has no telephone numbers, and it hides small counts of reports.
    """
    if year is not None and since is None and until is None:
        first, last = fiscal_year_days(year)
    elif year is None and since is not None and until is not None:
        first, last = parse_day(since, "--since"), parse_day(until, "--until")
    else:
        raise UsageError("name --year, or both --since and --until")
    with checking():
        made = account_from_desk(DocumentDesk(folder, {}), first, last, datetime.now(UTC))
    if output.exists():
        raise UsageError("{path}: exists already; name a new one", path=output)
    output.mkdir(parents=True)
    write_paper(output / "account.pdf", render_pdf(account_paper(made, year is not None)))
    for table in made.tables:
        write_paper(output / f"{table.name}.csv", table_csv(table))
    if as_json:
        command_line.print_json(
            {table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in made.tables}
        )
    else:
        print(output)


def print_certificate(
    folder: FolderOption,
    member: MemberArgument,
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help="The licence's id.")],
    person: PersonOption,
    output: OutputOption,
    number: NumberOption = "",
) -> None:
    """Print the certificate of a licence (利用許諾証), if the licence is valid and published without later changes."""
    with checking():
        made = licence_paper(Workspace(folder), member, licence, office_sender(person, number), datetime.now(UTC))
    write_paper(output, render_pdf(made))
    print(output)


def print_letter(
    folder: FolderOption,
    member: MemberArgument,
    which: Annotated[Letter, typer.Option("--about", help="Why the association writes.")],
    person: PersonOption,
    output: OutputOption,
    number: NumberOption = "",
) -> None:
    """Print a letter to a member, with the member's facts from the registry."""
    with checking():
        made = letter_paper(Workspace(folder), which, member, office_sender(person, number), datetime.now(UTC))
    write_paper(output, render_pdf(made))
    print(output)


def render_pdf(paper: Paper) -> bytes:
    from idtone.core.paper.pdf import as_pdf  # takes time and memory that other commands do not need

    return as_pdf(paper)


def write_paper(path: Path, octets: bytes) -> None:
    with writing(path, UsageError):
        replace_durably(path, octets)
