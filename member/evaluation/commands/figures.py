"""`idtone-office evaluation figures | send`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import LedgerError, ProofError, TrustError, UsageError
from idtone.core.files import reading, replace_durably, writing
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.signed_notes import Note, cosigned_at
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.checkpoint_file import cosigned_file
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.unwritten_steps import MissingSteps
from idtone.registry.correspondence import desk_client
from idtone.registry.correspondence.signed_document import sign_document, verified_document
from idtone.registry.model import Days

from ..figures import KIND, Figures, counted_months, figures_of
from ..period import Period


def figures(
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="The first day of the period, in Japan.")],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The last day of the period, in Japan.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the signed figures.")],
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Compute the figures of a period from this node's ledger, and sign them for the association.

    They are counts of each month: calls, fallback calls, connected calls on which a sound was to be heard, and those on
    which it was sent. They hold no telephone number and no single call. A witness must have cosigned the ledger's head
    since the end of the period; the figures name that head. The ledger records that the figures were made. Run the
    command on each node.
    """
    settings, period = load_settings(config), Period.parse(since, until)
    signer, now = desk_client.document_signer(settings), datetime.now(UTC)
    if period.ends > now:
        raise UsageError("the period {period} is not over yet", period=str(period))
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        head = _head(settings, reader, period)
        made = _counted(reader, period, head)
    octets = sign_document(KIND, desk_client.member_of(settings), made.content(), signer, now)
    sha256 = hashlib.sha256(octets).hexdigest()
    record_act(
        settings.ledger.own_url(),
        settings.node,
        KeyRing.of(settings.ledger, settings.node),
        lambda act: steps.duty(act, now, acting_person(), "figures-signed", str(period), {"sha256": sha256}),
        DisclosureRules.of(settings.ledger),
    )
    with writing(output, UsageError, is_choice=True):
        replace_durably(output, octets)
    if as_json:
        command_line.print_json({"file": str(output), "sha256": sha256, **made.content()})
        return
    rows = command_line.Rows(("month", "calls", "fallback", "connected", "sent"), command_line.Form.TABLE)
    rows.print([str(value) for value in month.model_dump().values()] for month in made.months)
    print(f"{output}: SHA-256 {sha256}")


def send(
    document: Annotated[Path, typer.Argument(metavar="FILE", help="The signed figures.")],
    config: command_line.ConfigOption = None,
) -> None:
    """Send signed figures to the association's desk.

    It prints the desk's answer as JSON. Figures that were sent before are not recorded twice. Other figures of the same
    period replace them until the association evaluates; the desk keeps both.
    """
    settings = load_settings(config)
    with reading(document, TrustError):
        octets = document.read_bytes()
    found = verified_document(octets, lambda _: [desk_client.document_signer(settings).key])
    if found.kind != KIND:
        raise UsageError("{path}: is not a document with figures", path=document)
    figures_of(found)
    print(json.dumps(desk_client.send(settings, octets), ensure_ascii=False, indent=1))


def _head(settings: Settings, reader: LedgerReader, period: Period) -> Note:
    """The ledger's latest cosigned head.

    Raises LedgerError unless a witness has cosigned it since the period ended.
    """
    latest = cosigned_file(settings.ledger).latest(own_key(settings.ledger, settings.node, reader.origin()))
    times = list(_cosigned(latest[0])) if latest else []
    if latest is None or not any(at >= period.ends for at in times):
        last = max(times).isoformat() if times else "never"
        raise LedgerError(
            "no witness has cosigned this ledger since the end of the period (last: {last}); set ledger.witnesses, "
            "and try again when one has",
            last=last,
        )
    return latest[0]


def _cosigned(head: Note) -> Iterator[datetime]:
    for line in head.signatures:
        try:
            yield datetime.fromtimestamp(cosigned_at(line), UTC)
        except (ProofError, OverflowError, ValueError):
            continue  # the signature of the log itself


def _counted(reader: LedgerReader, period: Period, head: Note) -> Figures:
    began, continues = reader.first_at(), reader.continuation()
    with progress() as bar:
        task = bar.add_task("counting", total=period.days)

        def shown(records: Iterable[Record]) -> Iterator[Record]:
            # Records come newest first.
            for number, record in enumerate(records):
                if number % 1000 == 0:
                    bar.update(task, completed=(period.ends - record.steps[0].at).days)
                yield record

        months = counted_months(shown(reader.each_record(since=period.begins, until=period.ends)), period)
    gaps = [MissingSteps.parse(step.details) for step in reader.acts(frozenset({StepKind.GAP}))]
    return Figures(
        period=Days.model_validate({"from": period.start, "until": period.until}),
        head=str(head),
        began=began,
        continues=str(continues.details["origin"]) if continues else None,
        missing_steps=sum(gap.steps for gap in gaps if gap.since < period.ends and gap.until >= period.begins),
        months=months,
    )
