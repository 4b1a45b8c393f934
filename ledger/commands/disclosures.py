"""`idtone-evidence disclosure deliver | receipt | confirm | list`: documents the delivery of packs."""

from __future__ import annotations

import hashlib
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import LedgerError, ProofError, UsageError
from idtone.core.files import reading, replace_durably, writing
from idtone.core.japan_time import JAPAN
from idtone.core.paper.content import Paper
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import parse_day

from ..disclosure.deliveries import disclosure_of_pack, record_delivery
from ..disclosure.disclosure_index import COLUMNS, BasisFigures, disclosure_index, figures
from ..disclosure.disclosure_papers import index_paper, receipt_sheet
from ..disclosure.disclosures import disclosures_in
from ..disclosure.recipient_signature import office_key_digest
from ..evidence import steps
from ..evidence.steps import Scalar
from ..keys.key_ring import own_key
from ..keys.private_files import PRIVATE_FILE
from ..store.ledger_reader import LedgerReader
from .options import LedgerOption, disclosing_person, listed_time

PackArgument = Annotated[
    Path, typer.Argument(metavar="PACK", help="The pack that was made here, a ZIP file; - reads standard input.")
]
_PACK: Final = "pack.zip"
"""Name given to a pack read from standard input."""
OnOption = Annotated[
    str, typer.Option("--on", metavar="DAY", help="The day on the document (in Japan), like 2026-12-01.")
]


def deliver(
    pack: PackArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The receipt to be signed, a PDF; - writes it to standard output."
        ),
    ] = None,
    to_stdout: command_line.StdoutOption = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Make the receipt (受領書) that the receiving officer signs, in Japanese and English.

    It names the case, the legal basis and the hashes of the pack. The command verifies the pack first. Record the
    signed receipt with `idtone-evidence disclosure receipt`.
    """
    output = command_line.chosen_output(output, to_stdout)
    if output is None:
        raise UsageError("name the receipt's file with -o")
    settings = load_settings(config)
    name = _PACK if pack == command_line.STREAM else pack.name
    with command_line.given_file(pack) as file, LedgerReader.open(settings.ledger.own_url()) as reader:
        key = own_key(settings.ledger, settings.node, reader.origin())
        export = disclosure_of_pack(file, disclosures_in(reader.acts()), key)
        sheet = receipt_sheet(export, name, _sha256(file), str(key), datetime.now(UTC))
    _write(output, sheet)
    with redirect_stdout(command_line.beside_output(output)):
        if as_json:
            command_line.print_json({"receipt": str(output), "id": export.act, "sha256": export.sha256})
        else:
            command_line.say("{output}: receipt of {act}, case {case}", output=output, act=export.act, case=export.case)


def receipt(
    pack: PackArgument,
    by: Annotated[
        str, typer.Option("--by", metavar="TEXT", help="The office and the officer that have received the pack.")
    ],
    on: OnOption,
    scan: Annotated[
        Path | None, typer.Option("--scan", metavar="FILE", help="The scanned receipt; its SHA-256 is recorded.")
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", metavar="FILE", help="The office's signature on the pack's file (OpenSSL)."),
    ] = None,
    office_key: Annotated[
        Path | None,
        typer.Option("--office-key", metavar="FILE", help="The office's public key or certificate (PEM)."),
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that an office has received a pack: on paper, with a scan of the paper, or with its signature.

    The office makes the signature with `openssl dgst -sha256 -sign KEY -out pack.sig PACK`. Get its public key by
    a different channel from the signature. One receipt counts for each pack.
    """
    if scan and signature:
        raise UsageError("--scan and --signature cannot go together; choose one")
    if (signature is None) is not (office_key is None):
        raise UsageError("--signature and --office-key go together; give both")
    proof: dict[str, Scalar] = {}
    if scan:
        proof = {"scan": _sha256(scan)}
    settings, day = load_settings(config), parse_day(on, "--on")
    with command_line.given_file(pack) as file, LedgerReader.open(settings.ledger.own_url()) as reader:
        known = disclosures_in(reader.acts())
        export = disclosure_of_pack(file, known, own_key(settings.ledger, settings.node, reader.origin()))
        if signature and office_key:
            try:
                signer = office_key_digest(_read(file), _read(signature), _read(office_key))
            except ProofError as error:
                raise UsageError("{signature}: {error}", signature=signature, error=error) from error
            proof = {"signature": _sha256(signature), "signature_key": signer}
    person, now = disclosing_person(settings.ledger), datetime.now(UTC)
    act = record_delivery(
        settings,
        known,
        lambda act: steps.export_received(act, now, person, export.act, export.sha256, by, day, proof),
    )
    if as_json:
        command_line.print_json({"id": export.act, "receipt": act, **proof})
    else:
        command_line.say(
            "received by {by} on {day}: {act}, case {case}", by=by, day=day, act=export.act, case=export.case
        )


def confirm(
    disclosure: Annotated[
        str, typer.Argument(metavar="ID", help="The disclosure's id, as `disclosure list` prints it.")
    ],
    reference: Annotated[
        str, typer.Option("--reference", metavar="TEXT", help="The number of the document that confirms the demand.")
    ],
    on: OnOption,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that the office has confirmed in writing what it demanded in an emergency."""
    settings, day = load_settings(config), parse_day(on, "--on")
    person, now = disclosing_person(settings.ledger), datetime.now(UTC)
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        known = disclosures_in(reader.acts())
    act = record_delivery(
        settings, known, lambda act: steps.export_confirmed(act, now, person, disclosure, reference, day)
    )
    if as_json:
        command_line.print_json({"id": disclosure, "confirmation": act})
    else:
        command_line.say(
            "confirmed by {reference} on {day}: {disclosure}", reference=reference, day=day, disclosure=disclosure
        )


def disclosures(
    year: Annotated[
        int | None, typer.Option("--year", metavar="YEAR", min=2000, max=9999, help="The year (default: this one).")
    ] = None,
    only_figures: Annotated[
        bool, typer.Option("--figures", help="Only the counts by basis, which may be published.")
    ] = False,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only those that should have been confirmed in writing by now.")
    ] = False,
    pdf: Annotated[Path | None, typer.Option("--pdf", metavar="FILE", help="Write the index as a PDF.")] = None,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List all disclosures and requests of a year: legal basis, persons, pack, receipt, refusal, confirmation.

    --figures counts them by basis for a transparency report; small counts are suppressed. Exit 1, with --overdue: a
    confirmation is overdue.
    """
    form, now = command_line.form(as_json, as_csv, as_tsv), datetime.now(UTC)
    if only_figures and overdue:
        raise UsageError("--figures and --overdue cannot go together; choose one")
    today = now.astimezone(JAPAN).date()
    with LedgerReader.open(ledger if ledger is not None else load_settings(config).ledger.own_url()) as reader:
        found = disclosure_index(reader.acts(), year or today.year, now)
    counted = figures(found)
    if overdue:
        found = [each for each in found if each.export and each.export.overdue(today)]
    if pdf:
        _write(pdf, index_paper(year or today.year, () if only_figures else found, counted, now))
    if form is command_line.Form.JSON:
        rows = [] if only_figures else [each.to_json(today) for each in found]
        command_line.print_json(
            {
                "year": year or today.year,
                **({} if only_figures else {"disclosures": rows}),
                **({} if overdue else {"figures": [_figures(each) for each in counted]}),
            }
        )
    elif only_figures:
        command_line.Rows(("basis", "disclosed", "refused", "calls"), form).print(each.row() for each in counted)
    else:
        digits = 12 if form is command_line.Form.TABLE else None
        command_line.Rows(COLUMNS, form, whole=("id",)).print(
            each.row(listed_time(each.at, form), today, digits) for each in found
        )
    if overdue and found:
        command_line.exit_negative()


def _figures(each: BasisFigures) -> dict[str, object]:
    return {"basis": each.basis, "disclosed": each.disclosed, "refused": each.refused, "calls": each.calls}


def _read(path: Path) -> bytes:
    with reading(path, UsageError, is_choice=True), path.open("rb") as file:
        return file.read()


def _sha256(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _write(path: Path, paper: Paper) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from idtone.core.paper.pdf import as_pdf  # takes time and memory that other commands do not need

    screen = Console(stderr=True)
    progress = Progress(console=screen, transient=True, disable=not screen.is_terminal)
    with writing(path, LedgerError, is_choice=True), progress:
        progress.add_task(f"writing {path}", total=None)
        if path == command_line.STREAM:
            command_line.write_out(as_pdf(paper))
        else:
            replace_durably(path, as_pdf(paper), PRIVATE_FILE)
