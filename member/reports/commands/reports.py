"""`idtone-office report new | check | send`, with which a member reports to the association's desk."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.numbers import parse
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text
from idtone.ledger.keys.key_file import read_key
from idtone.ledger.keys.sealing import derive_key
from idtone.registry.correspondence import desk_client
from idtone.registry.correspondence.signed_document import sign_document

from ..report import SIZE_LIMIT, Report, parse_report
from ..report_acts import record_report_act
from ..report_desk_client import desk_keys
from ..report_documents import REPORT, receipt_of, report_id_of, sealed_report

SENT: Final = "report-sent"
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The report, a YAML file.")]


def new(file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")]) -> None:
    """Write a report to fill in."""
    text = (resources.files("idtone.config") / "report.yaml").read_bytes()
    try:
        with file.open("xb") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise UsageError("{path}: exists already; name a new file", path=file) from error
    except OSError as error:
        raise UsageError(
            "{path}: cannot be written: {reason}; name another file", path=file, reason=error.strerror
        ) from error
    command_line.say("{path} is written", path=file)


def check(file: FileArgument) -> None:
    """Find all faults of a report, each with its place and remedy.

    It shows what the report says, with the last digits of the number, and whether it names a reporter.
    """
    report = _read(file)
    reporter = report.reporter
    consent = Message("no reporter is named")
    if reporter:
        consent = (
            Message("the reporter consents to be named") if reporter.disclose else Message("the reporter is sealed")
        )
    number, at = parse(report.number), report.at.isoformat()
    command_line.say("{file}: good; {number}, {at}; {consent}", file=file, number=number, at=at, consent=consent)


def send(
    file: FileArgument, config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False
) -> None:
    """Sign a report, and send it to the association's desk; prints the receipt number.

    The report is sealed for the desk, and the reporter only for the report officer. This node's ledger records that it
    was signed. With the receipt number, one can ask on the desk's page how the report stands. If no answer came, send
    the same file again: it stays one report, with the same receipt number.
    """
    settings, report, now = load_settings(config), _read(file), datetime.now(UTC)
    receipt = receipt_of(report, derive_key(read_key(settings.ledger.key_file), b"idtone report receipts"))
    sealed = sealed_report(report, receipt, *desk_keys(settings))
    member = desk_client.member_of(settings)
    octets = sign_document(REPORT, member, sealed.model_dump(), desk_client.document_signer(settings), now)
    record_report_act(settings, SENT, report_id_of(sealed.receipt), sha256=hashlib.sha256(octets).hexdigest())
    answer = desk_client.send(settings, octets)
    facts = {"report": answer["report"], "receipt": receipt}
    if as_json:
        command_line.print_json(facts)
    else:
        print(*(f"{name:<8} {value}" for name, value in facts.items()), sep="\n")


def _read(file: Path) -> Report:
    """Read a report from a file. Raises DocumentError with all faults."""
    return parse_report(read_text(file, size_limit=SIZE_LIMIT), str(file), datetime.now(UTC))
