"""`idtone-office form record | list | show | approve | end | forget`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import CustomerError, UsageError
from idtone.core.numbers import parse_japanese
from idtone.core.persons import Person, acting_person
from idtone.core.settings.settings import Exports, Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress
from idtone.core.terminal.prompts import ask_confirmation, ask_entries, ask_number, checked_line, number_of
from idtone.core.translation import Message, translated
from idtone.core.yaml_documents import parse, read_text
from idtone.ledger.commands.options import listed_time, local_time, responsible_person
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Scalar, Step, StepKind
from idtone.ledger.keys.key_ring import KeyRing, require_keys
from idtone.ledger.store.ledger_reader import LedgerReader

from ..completeness import faults
from ..customer_form import UNASKED, CustomerForm
from ..form_rules import FormRules, load_rules
from ..record_history import FormAct, OpeningRequest, RecordHistory, end_objection, histories, opening_requests
from ..record_store import CustomerRecord, RecordFolder, RecordStore
from ..retention import forget_over
from . import clock
from .forms import FormArgument

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The form's id, as `list` shows it.")]
WhyOption = Annotated[
    str | None,
    typer.Option("--why", metavar="TEXT", help="Why, in one line without names; the ledger keeps it for ever."),
]
_ACTS = frozenset({StepKind.DUTY})


@dataclass(frozen=True)
class _Office:
    """Settings and keys for the commands."""

    settings: Settings
    rules: FormRules
    key_ring: KeyRing

    @classmethod
    def of(cls, config: Path | None) -> _Office:
        settings = load_settings(config)
        require_keys(settings.ledger, settings.node)
        key_ring = KeyRing.of(settings.ledger, settings.node)
        return cls(settings, load_rules(settings.customers.rules), key_ring)

    def acts(self) -> list[Step]:
        with LedgerReader.open(self.settings.ledger.own_url()) as reader:
            return reader.acts(_ACTS)

    def histories(self) -> Mapping[str, RecordHistory]:
        return histories(self.acts(), clock.now())

    def history(self, id_: str) -> RecordHistory:
        known = self.histories().get(id_)
        if known is None:
            raise UsageError("the ledger has no record {id}; `idtone-office form list` lists all", id=id_)
        return known

    def person(self) -> Person:
        """The person who runs the command.

        Raises UsageError if acts require two people but several people share this account.
        """
        return responsible_person(self.settings.ledger) if self.takes_two else acting_person()

    @property
    def takes_two(self) -> bool:
        return self.settings.ledger.exports is Exports.TWO_PERSONS

    def enter(self, act: FormAct, subject: str, by: Person, at: datetime, **details: Scalar) -> str:
        """Durably record an act in the ledger and return the act's id.

        If this raises LedgerError, the caller must not carry out the act.
        """
        ledger = self.settings.ledger
        return record_act(
            ledger.own_url(),
            self.settings.node,
            self.key_ring,
            lambda act_id: steps.duty(act_id, at, by, act, subject, details),
            DisclosureRules.of(ledger),
        )


def record(
    form: FormArgument,
    numbers: Annotated[
        Path | None,
        typer.Option(
            "--numbers", metavar="FILE", help="A file with the assigned numbers, one per line (default: asked for)."
        ),
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Seal a complete form, keep it with the numbers assigned, and record that in the ledger.

    The ledger gets the form's id, the count of numbers, and a digest that only the record's own key can make. It gets
    nothing from the form itself. The numbers are those in the form; if it has none, they are read from --numbers or
    asked for. Afterwards, delete the form's file, and keep the signed paper.
    """
    office = _Office.of(config)
    text = read_text(form)
    filled = parse(text, str(form), CustomerForm, lambda each: faults(each, office.rules, clock.today())).application
    assigned = filled.numbers.assigned or tuple(number_of(entry).e164 for entry in ask_entries(numbers))
    if filled.numbers.count is not None and len(set(assigned)) != filled.numbers.count:
        raise UsageError(
            "the form asks for {asked} numbers, and {given} were assigned; correct one of the two",
            asked=filled.numbers.count,
            given=len(set(assigned)),
        )
    others = {parse_japanese(each).kind.value for each in assigned} - filled.number_kinds() - UNASKED
    if others:
        raise UsageError(
            "numbers of a kind were assigned that the form does not ask for: {kinds}; add it to numbers.kinds, and "
            "check the form again",
            kinds=", ".join(sorted(others)),
        )
    person, now = acting_person(), clock.now()
    made = CustomerRecord(filled.id, text, tuple(sorted(set(assigned))), office.rules.version, str(person), now)
    store = RecordStore.open(office.settings.customers, make=True)
    with store.locked():
        if filled.id in office.histories():
            raise CustomerError("{id} is recorded already; give the form another id", id=filled.id)
        digest = _put(store, made)
        act = office.enter(
            FormAct.RECORDED, filled.id, person, now, digest=digest, count=len(made.numbers), rules=made.rules
        )
    if as_json:
        command_line.print_json({"id": filled.id, "record": act, "numbers": len(made.numbers), "digest": digest})
    else:
        command_line.say(
            "{id}: recorded for {numbers}, as {act}",
            id=filled.id,
            numbers=command_line.count_with_unit(len(made.numbers), "number"),
            act=act,
        )


def _put(store: RecordStore, made: CustomerRecord) -> str:
    """Store the record and return its digest.

    If files with this id exist but the ledger does not list them, an earlier attempt was interrupted. They are kept if
    they contain the same form and numbers, because that attempt may still record its act. Otherwise, they are replaced.
    """
    with suppress(CustomerError):
        found, digest = store.get(made.id)
        if (found.form, found.numbers) == (made.form, made.numbers):
            return digest
    return store.put(made)


def list_records(
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the recorded forms: the start, the day until which each is kept, and its state.

    The state of a form: in-force, ended, due (`forget` destroys it), forgotten, or lost (its files are missing).
    `unrecorded` is a file that the ledger does not know. Exit 1: a form is lost, or unrecorded.
    """
    form, office = command_line.form(as_json, as_csv, as_tsv), _Office.of(config)
    known = office.histories()
    store = RecordFolder(office.settings.customers.directory)
    here, day, years = set(store.ids()), clock.today(), office.rules.keep_years
    rows = [
        {
            "id": each.id, "recorded": listed_time(each.at, form), "by": each.by, "numbers": each.numbers,
            "ends": each.ends and each.ends.isoformat(),
            "kept_until": (until := each.kept_until(years)) and until.isoformat(),
            "state": _state(each, each.id in here and store.has_key(each.id), years, day),
        }
        for each in known.values()
    ]  # fmt: skip
    rows += [
        {**dict.fromkeys(("recorded", "by", "numbers", "ends", "kept_until")), "id": id_, "state": "unrecorded"}
        for id_ in sorted(here - known.keys())
    ]
    if form is command_line.Form.JSON:
        command_line.print_json(rows)
    else:
        columns = ("id", "recorded", "by", "numbers", "ends", "kept_until", "state")
        command_line.Rows(columns, form, whole=("id",)).print([[row[name] for name in columns] for row in rows])
    if any(row["state"] in ("lost", "unrecorded") for row in rows):
        command_line.exit_negative()


def _state(known: RecordHistory, is_here: bool, years: int, day: date) -> str:
    if known.forgotten:
        return "forgotten"
    if not is_here:
        return "lost"
    return "due" if known.is_over(years, day) else "ended" if known.ends else "in-force"


def show(
    id_: Annotated[
        str | None, typer.Argument(metavar="ID", help="The form's id; without it a number is asked for.")
    ] = None,
    why: WhyOption = None,
    request: Annotated[
        str | None, typer.Option("--request", metavar="ID", help="Open what was requested and approved.")
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Open a recorded form, by its id or by a number that it was recorded for. The ledger first records who opens it,
    and why.

    The form is compared with its digest in the ledger. If exports take two persons (`ledger.exports`), this enters a
    request and prints its id; when another person has approved it (`idtone-office form approve`), one of the two opens
    the form, once, with --request ID.
    """
    if request is None:
        checked_line(why or "", "--why")
    elif id_ is not None or why is not None:
        raise UsageError("--request names the form and the reason; leave out ID and --why")
    office, now = _Office.of(config), clock.now()
    store, person = RecordStore.open(office.settings.customers), office.person()
    if request is not None:
        asked = _requested(office, request)
        if objection := asked.objection(now, person):
            raise UsageError("request {request} does not count: {why}", request=request, why=objection)
        _open(office, store, asked.id, person, now, {"why": asked.why, "request": request}, as_json)
        return
    known = office.history(id_) if id_ is not None else _of_number(office, store)
    if not office.takes_two:
        _open(office, store, known.id, person, now, {"why": why}, as_json)
        return
    until = now + office.settings.ledger.approval
    act = office.enter(FormAct.OPENING_REQUESTED, known.id, person, now, why=why, until=until.isoformat())
    if as_json:
        command_line.print_json({"request": act, "id": known.id, "until": until.isoformat()})
    else:
        command_line.say(
            "requested to open {id}; another person approves it until {until}: idtone-office form approve {act}",
            id=known.id,
            until=local_time(until),
            act=act,
        )


def _requested(office: _Office, request: str) -> OpeningRequest:
    found = opening_requests(office.acts()).get(request)
    if found is None:
        raise UsageError("there is no request {request!r} to open a form", request=request)
    return found


def _of_number(office: _Office, store: RecordStore) -> RecordHistory:
    """Ask for a number and return the history of its record.

    If several records have the number, the one with a contract in force is used. Raises CustomerError if no record has
    the number, or UsageError if several remain.
    """
    number = ask_number().e164
    known = [each for each in office.histories().values() if each.forgotten is None]
    found = []
    with progress() as bar:
        for each in bar.track(known, description="forms"):
            try:
                found += [each] if number in _opened(store, each).numbers else []
            except CustomerError as error:
                print(f"{each.id}: {translated(str(error))}", file=sys.stderr)  # another form may be the right one
    in_force = [each for each in found if each.ends is None] or found
    if not found:
        raise CustomerError("no recorded form has this number")
    if len(in_force) > 1:
        ids = ", ".join(each.id for each in in_force)
        raise UsageError("several forms have this number: {ids}; name one of them", ids=ids)
    return in_force[0]


def _opened(store: RecordStore, known: RecordHistory) -> CustomerRecord:
    """Open a record. Raises CustomerError if it was forgotten or its digest differs from the ledger's."""
    if known.forgotten:
        raise CustomerError("{id} was forgotten at {at}", id=known.id, at=local_time(known.forgotten))
    found, digest = store.get(known.id)
    if digest != known.digest:
        raise CustomerError(
            "{id} is not the form that was recorded as {act}: it was changed later. Restore it from a backup, and "
            "find out who could write into the folder",
            id=known.id,
            act=known.act,
        )
    return found


def _open(
    office: _Office, store: RecordStore, id_: str, by: Person, at: datetime, details: dict[str, Scalar], as_json: bool
) -> None:
    known = office.history(id_)
    found = _opened(store, known)
    act = office.enter(FormAct.OPENED, id_, by, at, **details)
    if as_json:
        command_line.print_json(
            {
                "id": id_, "record": known.act, "opened": act, "recorded": found.at.isoformat(), "by": found.by,
                "rules": found.rules, "numbers": list(found.numbers), "ends": known.ends and known.ends.isoformat(),
                "form": found.form,
            }
        )  # fmt: skip
        return
    command_line.say(
        "# {id}: recorded {at} by {by}, unchanged since then ({act})",
        id=id_,
        at=local_time(found.at),
        by=found.by,
        act=known.act,
    )
    command_line.say("# numbers: {numbers}", numbers=", ".join(found.numbers))
    print(found.form, end="" if found.form.endswith("\n") else "\n")
    print(translated("opened as {act}", act=act), file=sys.stderr)


def approve(
    request: Annotated[str, typer.Argument(metavar="ID", help="The request's id, as `show` prints it.")],
    config: command_line.ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve that another person opens a form.

    The approval is valid once, until the request expires (`ledger.approval`). Exit 1: you answered no.
    """
    office, now = _Office.of(config), clock.now()
    person, asked = responsible_person(office.settings.ledger), _requested(office, request)
    if objection := asked.approval_objection(now, person):
        raise UsageError("request {request} does not count: {why}", request=request, why=objection)
    command_line.say(
        "{name} asks at {at} to open {id}: {why}",
        name=asked.by.name,
        at=local_time(asked.at),
        id=asked.id,
        why=asked.why,
    )
    if not yes and not ask_confirmation(Message("Approve it?")):
        command_line.exit_negative()
    office.enter(FormAct.OPENING_APPROVED, asked.id, person, now, request=request)
    command_line.say(
        "approved by {person}; until {until}: idtone-office form show --request {request}",
        person=person,
        until=local_time(asked.until),
        request=request,
    )


def end(
    id_: IdArgument,
    on: Annotated[str, typer.Option("--on", metavar="DAY", help="The contract's last day, like 2026-11-30.")],
    config: command_line.ConfigOption = None,
) -> None:
    """Record the end of a contract. The form is kept for seven years from that day.

    The day may lie up to 31 days back and a year ahead. If several ends are recorded, the latest day counts.
    """
    office, now = _Office.of(config), clock.now()
    try:
        day = date.fromisoformat(on)
    except ValueError as error:
        raise UsageError("--on {text!r} is not a day; write it like 2026-11-30", text=on) from error
    known = office.history(id_)
    if why := end_objection(day, now, known.at):
        raise UsageError("--on {day} does not count: {why}", day=day, why=why)
    office.enter(FormAct.ENDED, id_, acting_person(), now, on=day.isoformat())
    known.ends = max(day, known.ends or day)
    command_line.say(
        "{id}: ends on {ends}, kept until {until}",
        id=id_,
        ends=known.ends,
        until=known.kept_until(office.rules.keep_years),
    )


def forget(
    config: command_line.ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Destroy the keys of the forms whose time is over: they can never be opened again.

    The command first lists these forms. Their entries in the ledger stay, and the ledger records the destruction.
    Copies of the key files in backups remain until the backups expire. Exit 1: you answered no.

    The running service does the same by itself, every hour.
    """
    office, now = _Office.of(config), clock.now()
    years, day = office.rules.keep_years, clock.today()
    store = RecordFolder(office.settings.customers.directory)
    with store.locked():
        known = office.histories().values()
        due = [each for each in known if each.is_over(years, day) and each.forgotten is None]
        if due and not yes:
            columns = ("id", "recorded", "ends", "kept until")
            command_line.Rows(columns, whole=("id",)).print(
                (each.id, local_time(each.at), each.ends, each.kept_until(years)) for each in due
            )
            if not ask_confirmation(
                Message("Destroy {forms} forever?", forms=command_line.count_with_unit(len(due), "form"))
            ):
                command_line.exit_negative()

        def enter(each: RecordHistory) -> None:
            office.enter(FormAct.FORGOTTEN, each.id, acting_person(), now, ended=str(each.ends))

        forgotten = forget_over(store, known, years, day, enter)
    if as_json:
        command_line.print_json({"forgotten": forgotten})
    else:
        command_line.say(
            "{forms} cannot be opened any more", forms=command_line.count_with_unit(len(forgotten), "form")
        )
