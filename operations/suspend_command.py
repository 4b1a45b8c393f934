"""`idtone suspend`: stops a number immediately when the police call the operator."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import LedgerError, NumberError, UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import holds_number
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_entries, ask_line, checked_line, entries_of
from idtone.core.translation import Message, translated
from idtone.core.yaml_documents import read_text
from idtone.ledger.commands.options import local_time, parse_since
from idtone.registry.customer_lines.read_line_table import read_as_set
from idtone.registry.number_notation import masked, read_span
from idtone.registry.suspensions.own_suspension import OwnSuspension, ordered
from idtone.registry.suspensions.suspension_states import SuspensionState

from .suspension_acts import SuspensionActs


def suspend(
    reference: Annotated[
        str, typer.Option("--reference", metavar="TEXT", help="The reference of the police's request.")
    ],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")],
    numbers: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A file with a number, range or prefix on each line; - reads standard input. Without it, the command "
            "asks for the number.",
        ),
    ] = None,
    customer: Annotated[
        str | None,
        typer.Option("--customer", metavar="ID", help="All numbers of this customer in the table of lines."),
    ] = None,
    authority: Annotated[str, typer.Option("--authority", metavar="TEXT", help="Who made the request.")] = "",
    requested: Annotated[
        str | None,
        typer.Option("--requested", metavar="TIME", help="When it arrived, such as 2026-11-26T10:00+09:00 or 2h."),
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Stop a number on this node at once (番号停止), or all numbers of a customer, when the police call you directly.

    As with a suspension by the association, its calls are refused, and those in progress end. Emergency calls are not
    affected. The other nodes of its fleet (`fleet.key_file`, PostgreSQL) stop it within seconds too. It stays until the
    association's own suspension is in force or someone lifts it (`idtone suspensions lift`), whatever the registry
    says, even over restarts. With `policy.own_suspensions: two-persons` another person
    approves it first (`idtone suspensions approve`).

    Do not write a telephone number on the command line: every user of the machine can read it there, and it stays in
    the shell's history. Exit 1: the suspension waits for approval.
    """
    settings = load_settings(config)
    reference, why = checked_line(reference, "--reference"), checked_line(why, "--why")
    authority = checked_line(authority, "--authority") if authority else ""
    now = datetime.now(UTC)
    arrived = parse_since(requested, now, "--requested") if requested else None
    desk = SuspensionActs(settings)
    spans = _spans(numbers, customer, settings)
    one = ordered(
        spans,
        reference,
        desk.act(why),
        persons=desk.persons,
        customer=customer or "",
        authority=authority,
        requested=arrived,
    )
    one, failure = desk.order(one)
    one = desk.wait_for_other_nodes(one)
    if as_json:
        command_line.print_json(as_json_object(one))
    else:
        command_line.say(outcome_message(one, spans))
        show_nodes(one)
    if failure:
        raise not_recorded(failure) from failure
    if one.state is SuspensionState.ASKED:
        command_line.exit_negative()


def outcome_message(one: OwnSuspension, spans: list[NumberSpan]) -> Message:
    """A message that says that a suspension is awaiting approval or is in force.

    The message names at most five of the `spans`, masked.
    """
    which = ", ".join(map(masked, spans[:5])) + (", …" if len(spans) > 5 else "")
    if one.in_force is None:
        return Message(
            "{id}: asked for, {which}; another person approves it: idtone suspensions approve {id}",
            id=one.id,
            which=which,
        )
    if one.by_service:
        return Message(
            "{id}: in force since {at}, {which}; {ended} calls in progress were ended",
            id=one.id,
            at=local_time(one.in_force),
            which=which,
            ended=one.calls_ended,
        )
    return Message(
        "{id}: in force since {at}, {which}, in Asterisk alone: the service does not run. It ends the calls in "
        "progress when it starts: systemctl start idtone",
        id=one.id,
        at=local_time(one.in_force),
        which=which,
    )


def not_recorded(failure: LedgerError) -> LedgerError:
    return LedgerError("the suspension counts, but the order is not recorded in the ledger: {error}", error=failure)


def show_nodes(one: OwnSuspension) -> None:
    """Print which of the fleet's other nodes have confirmed the suspension."""
    waiting, of = one.waiting_nodes(), len(one.elsewhere) + 1
    if one.elsewhere and not waiting and (one.over or one.in_force):
        command_line.say("confirmed by all {count} nodes", count=of)
    elif waiting:
        command_line.say(
            "not confirmed by {nodes}, of {count} nodes; they do it when they reach PostgreSQL again",
            nodes=", ".join(waiting),
            count=of,
        )


def as_json_object(one: OwnSuspension) -> dict[str, object]:
    """The suspension as a JSON object, without telephone numbers."""
    found = one.model_dump(mode="json", exclude={"numbers", "covered"}, exclude_none=True)
    return {**found, "state": one.state, "numbers": one.count}


def _spans(source: str | None, customer: str | None, settings: Settings) -> list[NumberSpan]:
    """The number spans to suspend.

    Raises UsageError.
    """
    if customer is not None:
        if source is not None:
            raise UsageError("--customer and FILE cannot go together; choose one")
        return spans_of_customer(customer, settings)
    if source is not None and source != str(command_line.STREAM) and holds_number(source):
        raise UsageError(
            "a telephone number must not stand on the command line, where others see it; leave it out, and the "
            "command asks for it, or write - and pass it by standard input"
        )
    if source is not None:
        is_stream = source == str(command_line.STREAM)
        entries = entries_of((sys.stdin.read() if is_stream else read_text(Path(source))).splitlines())
    else:
        entries = ask_entries(None)
        if sys.stdin.isatty() and entries_of([ask_line(translated("The same again"))]) != entries:
            raise UsageError("the two entries differ; look at the request again")
    try:
        return sorted({read_span(each) for each in entries}, key=lambda span: span.first)
    except NumberError as error:
        raise UsageError("that number cannot be used: {error}", error=error) from error


def spans_of_customer(customer: str, settings: Settings) -> list[NumberSpan]:
    """The number spans that the table of lines currently has for a customer.

    Raises UsageError.
    """
    if settings.lines.source is None:
        raise UsageError(
            "the numbers of a customer come from the table of lines; set lines.source, or give the numbers"
        )
    now_s = datetime.now(UTC).timestamp()
    entries = read_as_set(settings.lines).entries()
    found = {span for each in entries if each.customer == customer and each.period[1] > now_s for span in each.spans}
    if not found:
        raise UsageError("the table of lines has no numbers of customer {customer!r}; write its id", customer=customer)
    return sorted(found, key=lambda span: span.first)
