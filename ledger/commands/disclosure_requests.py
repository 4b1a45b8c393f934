"""`idtone-evidence disclosure approve | refuse | requests`: approval of disclosures by a second person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.persons import Person
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message, template

from ..disclosure.disclosure_request import DisclosureRequest, RequestAnswer, RequestState, requests
from ..disclosure.legal_basis import basis_lines
from ..disclosure.request_approval import approval, record_answer, refusal
from ..evidence.call_record import Record
from ..evidence.steps import NumberRole
from ..keys.key_ring import KeyRing, require_keys
from ..store.ledger_reader import LedgerReader
from .options import LedgerOption, local_time, responsible_person

RequestArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The request's id, as `export` and `disclosure requests` print it.")
]


def approve(
    request_id: RequestArgument,
    config: command_line.ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Approve an export that another person has requested; the command shows first what it contains.

    The approval is valid once, for `ledger.approval`, and for exactly these records. Exit 1: you answered no.
    """
    if as_json and not yes:
        raise UsageError("--json does not show what you approve; leave it out, or add --yes")
    settings, key_ring = _opened(config)
    person, now = responsible_person(settings.ledger), datetime.now(UTC)
    asked = approval(settings, key_ring, person, request_id, now)
    request = asked.request
    if not as_json:
        _show(request, asked.records, now)
    if not yes and not ask_confirmation(Message("Approve this export?")):
        command_line.exit_negative()
    act = record_answer(settings, key_ring, asked.step)
    if as_json:
        command_line.print_json({"request": request.act, "approval": act, "until": asked.step.details["until"]})
    else:
        until = local_time(asked.until)
        command_line.say(
            "approved by {person}; until {until}: idtone ledger export --request {act} -o FILE",
            person=person,
            until=until,
            act=request.act,
        )


def refuse(
    request_id: RequestArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; it is recorded forever.")],
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Refuse a requested export, even after its approval; or withdraw a request of your own."""
    settings, key_ring = _opened(config)
    person = responsible_person(settings.ledger)
    act = record_answer(settings, key_ring, refusal(settings, person, request_id, why, datetime.now(UTC)))
    if as_json:
        command_line.print_json({"request": request_id, "refusal": act})
    else:
        command_line.say("refused by {person}", person=person)


def list_requests(
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    state: Annotated[RequestState | None, typer.Option("--state", help="Only those in this state.")] = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the requested exports, the newest last, and their states."""
    form, now = command_line.form(as_json, as_csv, as_tsv), datetime.now(UTC)
    with LedgerReader.open(ledger if ledger is not None else load_settings(config).ledger.own_url()) as reader:
        found = [each for each in requests(reader.acts()).values() if state in (None, each.state(now))]
    if form is command_line.Form.JSON:
        command_line.print_json([_report(each, now) for each in found])
        return
    columns = ("request", "case", "basis", "calls", "numbers", "by", "state", "answered by")
    command_line.Rows(columns, form, whole=("request",)).print(_line(each, now) for each in found)


def _opened(config: command_line.ConfigOption) -> tuple[Settings, KeyRing]:
    settings = load_settings(config)
    require_keys(settings.ledger, settings.node)
    return settings, KeyRing.of(settings.ledger, settings.node)


def _show(request: DisclosureRequest, records: list[Record], now: datetime) -> None:
    began = [record.steps[0].at for record in records]
    facts = {
        template("case"): request.case,
        **basis_lines(request.basis),
        template("requested by"): f"{request.by}, {local_time(request.at)}",
        template("calls"): Message(
            "{count}, from {first} to {last}",
            count=len(records),
            first=local_time(min(began)),
            last=local_time(max(began)),
        ),
        template("numbers"): Message("stay sealed") if request.sealed else Message("are opened"),
        template("to approve"): Message("until {until}", until=local_time(request.until)),
    }
    command_line.print_facts(facts)
    rows = [
        (
            local_time(record.steps[0].at),
            record.call_id,
            *(str(record.numbers.get(role, "")) for role in NumberRole),
            record.outcome or "",
            record.least_delivery or "-",
        )
        for record in records
    ]
    command_line.Rows(("time", "call", *NumberRole, "outcome", "sound"), whole=("call",)).print(rows)


def _line(request: DisclosureRequest, now: datetime) -> tuple[str, ...]:
    answer = request.refusal or request.approval
    return (
        request.act, request.case, request.basis.basis if request.basis else "", str(len(request.calls)),
        "sealed" if request.sealed else "opened", request.by.name, request.state(now), answer.by.name if answer else "",
    )  # fmt: skip


def _report(request: DisclosureRequest, now: datetime) -> dict[str, object]:
    return {
        "request": request.act,
        template("case"): request.case,
        "basis": request.basis.details() if request.basis else None,
        "calls": list(request.calls),
        "numbers_sealed": request.sealed,
        "selection": request.selection,
        "state": request.state(now),
        "requested": {"at": request.at.isoformat(), **_who(request.by), "until": request.until.isoformat()},
        "approved": _answer(request.approval),
        "refused": _answer(request.refusal),
        "exported": _answer(request.export),
    }


def _answer(answer: RequestAnswer | None) -> dict[str, object] | None:
    if answer is None:
        return None
    return {
        "act": answer.act,
        "at": answer.at.isoformat(),
        **_who(answer.by),
        **({"until": answer.until.isoformat()} if answer.until else {}),
        **({"why": answer.why} if answer.why else {}),
    }


def _who(person: Person) -> dict[str, object]:
    return {"by": person.name, "by_uid": person.uid, "by_way": person.known_by}
