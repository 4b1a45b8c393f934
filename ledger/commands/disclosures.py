"""`idtone ledger deliver | receipt | confirm | disclosures`: what becomes of packs that were given out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone import command_line
from idtone.errors import LedgerError, ProofError, UsageError
from idtone.files import replace_durably
from idtone.paper.content import Paper
from idtone.persons import Person, acting
from idtone.settings import Exports, LedgerSettings, Settings, load_settings
from idtone.signed_notes import VerifierKey
from idtone.translation import Message

from ..disclosure.disclosure_index import BasisFigures, disclosure_index, figures
from ..disclosure.disclosure_papers import index_paper, receipt_sheet
from ..disclosure.disclosure_request import DisclosureRules
from ..disclosure.legal_basis import JAPAN
from ..disclosure.office_signature import signing_office
from ..disclosure.pack import digest
from ..disclosure.pack_file import read_zip
from ..disclosure.pack_verification import verified
from ..disclosure.receipts import Export, exports, receipt_objection
from ..disclosure.record_act import record_act
from ..evidence import steps
from ..evidence.steps import Scalar, Step
from ..keys.key_file import read_key
from ..keys.key_ring import KeyRing, own_key
from ..keys.private_files import PRIVATE_FILE
from ..store.ledger_reader import LedgerReader
from .shared import LedgerOption, answerable, listed

PackArgument = Annotated[Path, typer.Argument(metavar="PACK", help="The pack that was made here, a ZIP file.")]
OnOption = Annotated[
    str, typer.Option("--on", metavar="DAY", help="The day in Japan, like 2026-12-01, that is on the document.")
]


def deliver(
    pack: PackArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The receipt to be signed, a PDF.")],
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Make the receipt (受領書) that the receiving officer signs, in Japanese and English.

    It names the case, the legal basis and the hashes of the pack. The command verifies the pack first. Record the
    signed receipt with `idtone ledger receipt`.
    """
    settings = load_settings(config)
    with LedgerReader.open(settings.ledger.own()) as reader:
        key = own_key(settings.ledger, settings.node, reader.origin())
        export = _export_of(pack, exports(reader.acts()), key)
    _write(output, receipt_sheet(export, pack.name, _sha256(pack), str(key), datetime.now(UTC)))
    if as_json:
        command_line.print_json({"receipt": str(output), "id": export.act, "sha256": export.sha256})
    else:
        print(f"{output}: receipt of {export.act}, case {export.case}")


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
    another way than the signature. One receipt counts for each pack.
    """
    if scan and signature:
        raise UsageError(Message("--scan and --signature cannot go together; choose one"))
    if (signature is None) is not (office_key is None):
        raise UsageError(Message("--signature and --office-key go together; give both"))
    proof: dict[str, Scalar] = {}
    if scan:
        proof = {"scan": _sha256(scan)}
    settings, day = load_settings(config), _day(on)
    with LedgerReader.open(settings.ledger.own()) as reader:
        known = exports(reader.acts())
        export = _export_of(pack, known, own_key(settings.ledger, settings.node, reader.origin()))
    if signature and office_key:
        try:
            signer = signing_office(_read(pack), _read(signature), _read(office_key))
        except ProofError as error:
            raise UsageError(Message("{signature}: {error}", signature=signature, error=error)) from error
        proof = {"signature": _sha256(signature), "signature_key": signer}
    person, now = _person(settings.ledger), datetime.now(UTC)
    act = _record(
        settings, known,
        lambda act: steps.export_received(act, now, person, export.act, export.sha256, by, day, proof),
    )  # fmt: skip
    if as_json:
        command_line.print_json({"id": export.act, "receipt": act, **proof})
    else:
        print(f"received by {by} on {day}: {export.act}, case {export.case}")


def confirm(
    disclosure: Annotated[str, typer.Argument(metavar="ID", help="The disclosure's id, as `disclosures` prints it.")],
    reference: Annotated[
        str, typer.Option("--reference", metavar="TEXT", help="The number of the document that confirms the demand.")
    ],
    on: OnOption,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that the office has confirmed in writing what it demanded in an emergency."""
    settings, day = load_settings(config), _day(on)
    person, now = _person(settings.ledger), datetime.now(UTC)
    with LedgerReader.open(settings.ledger.own()) as reader:
        known = exports(reader.acts())
    act = _record(
        settings, known, lambda act: steps.export_confirmed(act, now, person, disclosure, reference, day)
    )  # fmt: skip
    if as_json:
        command_line.print_json({"id": disclosure, "confirmation": act})
    else:
        print(f"confirmed by {reference} on {day}: {disclosure}")


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

    --figures counts them by basis for a transparency report; small counts are suppressed. Exit 1: --overdue, and a
    confirmation is overdue.
    """
    form, now = command_line.form(as_json, as_csv, as_tsv), datetime.now(UTC)
    if only_figures and overdue:
        raise UsageError(Message("--figures and --overdue cannot go together; choose one"))
    today = now.astimezone(JAPAN).date()
    with LedgerReader.open(ledger if ledger is not None else load_settings(config).ledger.own()) as reader:
        found = disclosure_index(reader.acts(), year or today.year, now)
    counted = figures(found)
    if overdue:
        found = [each for each in found if each.export and each.export.overdue(today)]
    if pdf:
        _write(pdf, index_paper(year or today.year, () if only_figures else found, counted, now))
    if form is command_line.Form.JSON:
        rows = [] if only_figures else [each.to_json(today) for each in found]
        command_line.print_json(
            {"year": year or today.year, **({} if only_figures else {"disclosures": rows}),
             **({} if overdue else {"figures": [_figures(each) for each in counted]})}
        )  # fmt: skip
    elif only_figures:
        command_line.Rows(("basis", "disclosed", "refused", "calls"), form).print(each.row() for each in counted)
    else:
        columns = (
            "id", "time", "state", "case", "basis", "authority", "calls", "numbers", "persons", "pack", "received",
            "confirmed", "refusal",
        )  # fmt: skip
        command_line.Rows(columns, form, whole=("id",)).print(
            (
                each.act, listed(each.at, form), each.state, each.case,
                each.basis and each.basis.basis, each.basis and each.basis.authority, each.calls,
                "sealed" if each.sealed else "opened", ", ".join(dict.fromkeys(filter(None, each.persons().values()))),
                _pack(each.export, form), each.export and each.export.receipt and each.export.receipt.received,
                _confirmed(each.export, today), each.refusal,
            )
            for each in found
        )  # fmt: skip
    if overdue and found:
        command_line.negative()


def _pack(export: Export | None, form: command_line.Form) -> str | None:
    if export is None:
        return None
    return export.sha256[:12] if form is command_line.Form.TABLE else export.sha256


def _confirmed(export: Export | None, today: date) -> str | None:
    if export is None or export.basis is None or export.basis.confirm_by is None:
        return None
    if export.confirmation:
        return str(export.confirmation.received)
    return f"overdue since {export.basis.confirm_by}" if export.overdue(today) else f"due {export.basis.confirm_by}"


def _figures(each: BasisFigures) -> dict[str, object]:
    return {"basis": each.basis, "disclosed": each.disclosed, "refused": each.refused, "calls": each.calls}


def _export_of(pack: Path, known: dict[str, Export], key: VerifierKey) -> Export:
    """The disclosure that has made a pack, which is as it was made. Raises UsageError, LedgerError."""
    files = read_zip(pack)
    if faults := verified(files, key).faults:
        raise UsageError(Message("{pack}: {fault}; hand over the pack as it was made", pack=pack, fault=faults[0]))
    found = next((each for each in known.values() if each.sha256 == digest(files)), None)
    if found is None:
        raise UsageError(Message("{pack}: this ledger has made no such pack; name the pack's file", pack=pack))
    return found


def _person(settings: LedgerSettings) -> Person:
    return answerable(settings) if settings.exports is Exports.TWO_PERSONS else acting()


def _record(settings: Settings, known: dict[str, Export], make: Callable[[str], Step]) -> str:
    for path in (settings.ledger.key_file, settings.ledger.signing_key()):
        read_key(path)  # a missing key is not made here
    if why := receipt_objection(make("act"), known, datetime.now(UTC)):
        raise UsageError(why)
    key_ring = KeyRing.of(settings.ledger, settings.node)
    return record_act(settings.ledger.own(), settings.node, key_ring, make, DisclosureRules.of(settings.ledger))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(Message("--on {text!r} is not a day; write it like 2026-12-01", text=text)) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(
            Message("{path}: cannot be read: {reason}; name another file", path=path, reason=error.strerror)
        ) from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _write(path: Path, paper: Paper) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from idtone.paper.pdf import as_pdf  # takes time and memory that other commands do not need

    screen = Console(stderr=True)
    try:
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
            bar.add_task(f"writing {path}", total=None)
            replace_durably(path, as_pdf(paper), PRIVATE_FILE)
    except OSError as error:
        raise LedgerError(
            Message("{path}: cannot be written: {reason}; name another file", path=path, reason=error.strerror)
        ) from error
