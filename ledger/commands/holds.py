"""`idtone-evidence hold place | list | lift`: commands for legal holds, which keep calls' numbers for a case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from idtone.core.errors import LedgerError, UsageError
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_number, parse_day

from ..disclosure.disclosure_request import DisclosureRules
from ..disclosure.legal_holds import (
    HoldBasis,
    LegalHold,
    check_until,
    held_calls,
    legal_holds,
    lifted_step,
    new_hold_id,
    placed_step,
)
from ..disclosure.record_act import record_act
from ..evidence.steps import StepKind
from ..keys.key_ring import KeyRing, require_keys
from ..store.database import Database
from ..store.ledger_reader import LedgerReader, whole_id
from ..store.stored_ends_given_up import first_foreign_step
from .options import complete_call, local_time, parse_since

_COLUMNS = ("hold", "basis", "reference", "calls", "by", "placed", "until", "lifted")


def hold(
    reference: Annotated[
        str, typer.Option("--reference", metavar="TEXT", help="The number of the document that asks, or of the case.")
    ],
    basis: Annotated[HoldBasis, typer.Option("--basis", help="Why these calls are kept.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")],
    calls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CALL",
            help="Ids of calls, or unique beginnings of ids. Without one, the command asks for a number, and holds all "
            "its calls.",
            autocompletion=complete_call,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="DAY", help="The last day, in Japan. After it, someone has to decide about the hold."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="With a number: only calls from this time on, or 7d.")
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Place a legal hold on calls for a case: their numbers are not forgotten while the hold is in force.

    `ledger.retention` and `idtone-evidence forget` destroy the keys of whole days. A held call keeps the key of its own
    record, which opens no other call. A hold covers calls that are in the ledger now, and lasts until `idtone-evidence
    hold lift`. Exit 1: there is no such call.
    """
    settings, ring = _opened(config)
    now, person = datetime.now(UTC), acting_person()
    last = parse_day(until, "--until") if until else None
    check_until(basis, last, now)
    with LedgerReader.open(settings.ledger.own_url(), ring.days) as reader:
        if calls:
            found = [whole_id([reader], each) for each in calls]
            if unknown := [each for each in found if not reader.knows(each)]:
                raise UsageError("the ledger has no call {calls}", calls=", ".join(unknown[:5]))
        else:
            begin = parse_since(since, now) if since else None
            found = [each.call_id for each in reader.find(ask_number(), begin)]
        keys = {call: key for call in dict.fromkeys(found) if (key := reader.record_key(call)) is not None}
    if not keys:
        command_line.say("no such call has numbers that can still be opened")
        command_line.exit_negative()
    hold_id = new_hold_id()
    held = ring.days.held
    new = [call for call in keys if held.get(call) is None]
    held.add(keys)  # first: a day key may be destroyed at any moment
    try:
        act = record_act(
            settings.ledger.own_url(),
            settings.node,
            ring,
            lambda act_id: placed_step(act_id, now, person, hold_id, basis, reference, why, list(keys), last),
            DisclosureRules.of(settings.ledger),
        )
    except BaseException:
        held.destroy(set(new) - held_calls(_holds(settings).values()))
        raise
    held.add(keys)  # again: another command may have destroyed them before the hold was recorded
    if as_json:
        command_line.print_json({"hold": hold_id, "act": act, "calls": list(keys)})
    else:
        command_line.say("{hold}: {count:,} calls are held", hold=hold_id, count=len(keys))


def list_holds(
    every: Annotated[bool, typer.Option("--all", help="Also show lifted holds.")] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """List the legal holds, the newest last. Exit 1: the last day of a hold is over: decide about it."""
    settings, now = load_settings(config), datetime.now(UTC)
    found = [each for each in _holds(settings).values() if every or each.lifted is None]
    due = [each for each in found if each.is_due(now)]
    if as_json:
        command_line.print_json([_plain(each, now) for each in found])
    else:
        command_line.Rows(_COLUMNS, whole=("hold",)).print(
            (
                each.id, each.basis, each.reference, len(each.calls), each.by.name, local_time(each.at),
                f"{each.until}{'!' if each in due else ''}" if each.until else "",
                local_time(each.lifted.at) if each.lifted else "",
            )
            for each in found
        )  # fmt: skip
    if due:
        command_line.exit_negative()


def lift_hold(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id, as `hold list` prints it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")],
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Lift a legal hold: the numbers of its calls are forgotten like those of other calls.

    If the day keys of these calls are destroyed already, the numbers can never be opened again, unless another hold
    covers the same call. If the command was interrupted after it had recorded the end of the hold, run it again: it
    destroys the keys that are left.
    """
    settings, ring = _opened(config)
    none_stands = UsageError("no hold {hold!r} stands; look at `idtone-evidence hold list`", hold=hold_id)
    found = _holds(settings).get(hold_id)
    if found is None:
        raise none_stands
    _need_own_steps(settings, ring)
    if found.lifted:
        act = found.lifted.call_id
    else:
        now, person, standing = datetime.now(UTC), acting_person(), found
        act = record_act(
            settings.ledger.own_url(),
            settings.node,
            ring,
            lambda act_id: lifted_step(act_id, now, person, standing, why),
            DisclosureRules.of(settings.ledger),
        )
    # Only its own calls: the holds of an earlier log of this node are in another database.
    forgotten = ring.days.held.destroy(set(found.calls) - held_calls(_holds(settings).values()))
    if found.lifted and not forgotten:
        raise none_stands
    if as_json:
        command_line.print_json({"hold": hold_id, "act": act, "keys_destroyed": forgotten})
    else:
        command_line.say("{hold}: is lifted", hold=hold_id)


def _opened(config: command_line.ConfigOption) -> tuple[Settings, KeyRing]:
    settings = load_settings(config)
    require_keys(settings.ledger, settings.node)
    return settings, KeyRing.of(settings.ledger, settings.node)


def _holds(settings: Settings) -> dict[str, LegalHold]:
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        return legal_holds(reader.acts(frozenset({StepKind.DUTY})))


def _need_own_steps(settings: Settings, ring: KeyRing) -> None:
    """Raise LedgerError if a step is missing or was not written by the service.

    The contents of such a ledger must not decide which keys are destroyed.
    """
    ledger = settings.ledger.own_url()
    foreign = first_foreign_step(Database.in_file(ledger), ring.days.ledger_key.step_key(ring.successor_trees.origin))
    if foreign is not None:
        raise LedgerError(
            "step {step} of the ledger is gone, or the service did not write it so; no key is destroyed: "
            "`idtone ledger verify` says more",
            step=foreign,
        )


def _plain(each: LegalHold, now: datetime) -> dict[str, object]:
    return {
        "hold": each.id, "basis": each.basis, "law": each.basis.law, "reference": each.reference, "why": each.why,
        "calls": list(each.calls), "by": each.by.name, "placed": each.at.isoformat(),
        "until": each.until.isoformat() if each.until else None, "due": each.is_due(now),
        "lifted": each.lifted.at.isoformat() if each.lifted else None,
    }  # fmt: skip
