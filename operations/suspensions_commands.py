"""Commands for a node's own suspensions, their duties and their papers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import LedgerError, ProofError, UsageError
from idtone.core.files import replace_durably, writing
from idtone.core.number_spans import NumberSpan
from idtone.core.settings.settings import load_settings
from idtone.core.signed_notes import Note, VerifierKey
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import checked_line, parse_day
from idtone.core.translation import Message, translated
from idtone.ledger.commands.options import local_time
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.keys.private_files import PRIVATE_FILE
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.registry.number_notation import masked
from idtone.registry.suspensions.own_suspension import Duty, OwnSuspension, approved, closed, lifted
from idtone.registry.suspensions.suspension_acts import DUTY_CLOSED
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from idtone.registry.suspensions.suspension_states import DUTY_WORDS, DutyKind, SuspensionState

from .signed_suspension_paper import signed_paper
from .suspend_command import as_json_object, outcome_message, show_nodes
from .suspension_acts import SuspensionActs

_COLUMNS: Final = (
    "id", "state", "reference", "numbers", "customer", "asked", "by", "in force since", "calls ended",
    "not confirmed by", "open duties",
)  # fmt: skip
IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The suspension's id, as `list` shows it, or its beginning.")
]
_WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")]


def list_suspensions(
    every: Annotated[
        bool, typer.Option("--all", help="Also show suspensions that are over and have no open duty.")
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """List this node's own suspensions, the newest last: their states, and what is still to be done.

    `in force since` is empty until this node has confirmed it; `not confirmed by` names the other nodes of its fleet
    that have not. The numbers show their last four digits.
    """
    settings = load_settings(config)
    found = [each for each in read_suspensions(suspensions_path(settings)).suspensions if every or each.is_open]
    if as_json:
        command_line.print_json([as_json_object(each) for each in found])
        return
    if not found:
        command_line.say("this node has stopped no number itself")
        return
    now = datetime.now(UTC)
    command_line.Rows(_COLUMNS, whole=("id",)).print(
        (
            each.id, translated(each.words), each.reference, _which(each), each.customer, local_time(each.asked.at),
            each.asked.by, local_time(each.in_force) if each.in_force else "", each.calls_ended,
            ", ".join(each.waiting_nodes()), ", ".join(_shown(duty, now) for duty in each.open_duties()),
        )
        for each in found
    )  # fmt: skip


def _shown(duty: Duty, now: datetime) -> str:
    return f"{translated(Message(DUTY_WORDS[duty.kind]))} {duty.due}{'!' if duty.is_overdue(now) else ''}"


def _which(one: OwnSuspension) -> str:
    shown = [masked(NumberSpan(*each)) for each in one.numbers[:3]]
    return ", ".join(shown) + (f", … ({one.count:,})" if len(one.numbers) > len(shown) else "")


def approve(
    suspension: IdArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Approve a suspension that another person requested, or its end. It takes effect immediately.

    Exit 1: you answered no.
    """
    settings = load_settings(config)
    desk = SuspensionActs(settings)
    one = read_suspensions(desk.path).find(suspension)
    if not yes:
        known = {"id": one.id, "reference": one.reference, "which": _which(one)}
        question = Message("Stop {which} ({reference}, {id})?", **known)
        if one.state is not SuspensionState.ASKED:
            question = Message("Lift {id} ({reference}, {which})?", **known)
        if not typer.confirm(translated(question), err=True):
            command_line.exit_negative()
    _finish(desk, desk.change(one.id, lambda found: approved(found, desk.act())), as_json)


def lift(
    suspension: IdArgument,
    why: _WhyOption,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Lift a suspension that this node ordered: calls of its numbers pass again. The association's stay in force.

    If a suspension needs two persons, lifting it does too. Its duties stay open until they are closed.
    """
    desk = SuspensionActs(load_settings(config))
    act = desk.act(checked_line(why, "--why"))
    _finish(desk, desk.change(suspension, lambda found: lifted(found, act, desk.persons)), as_json)


def _finish(desk: SuspensionActs, one: OwnSuspension, as_json: bool) -> None:
    one = desk.wait_for_other_nodes(desk.finish(one))
    if as_json:
        command_line.print_json(as_json_object(one))
    elif one.state in (SuspensionState.IN_FORCE, SuspensionState.TAKEN_OVER) and not one.lift_asked:
        command_line.say(outcome_message(one, [NumberSpan(*each) for each in one.numbers]))
        show_nodes(one)
    elif one.lift_asked and not one.lifted:
        command_line.say("{id}: in force until another person approves its end", id=one.id)
    else:
        command_line.say("{id}: {state}", id=one.id, state=one.words)
        show_nodes(one)


def close(
    suspension: IdArgument,
    duty: Annotated[DutyKind, typer.Argument(metavar="DUTY", help="contract-end or contractor-report.")],
    document: Annotated[
        str, typer.Option("--document", metavar="TEXT", help="The proof, such as the number of the letter.")
    ],
    on: Annotated[
        str | None, typer.Option("--on", metavar="DAY", help="The day in Japan on which it was done (default: today).")
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record that a duty after a suspension is done: contract ended (契約解除), or contractor reported."""
    desk = SuspensionActs(load_settings(config))
    act, document = desk.act(), checked_line(document, "--document")
    day = parse_day(on, "--on") if on else act.at.astimezone().date()
    one = desk.change(suspension, lambda found: closed(found, duty, act, day, document))
    desk.record(one, DUTY_CLOSED, {"duty": duty, "on": day.isoformat(), "document": document})
    if as_json:
        command_line.print_json(as_json_object(one))
    else:
        command_line.say("{id}: {duty} is closed", id=one.id, duty=Message(DUTY_WORDS[duty]))


def paper(
    suspension: IdArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The paper, a PDF. FILE.note next to it contains the signature."
        ),
    ],
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Create the paper for the police: the order, since when it is in force on this node, and which calls it ended.

    It is in Japanese and English, with the numbers in full. The ledger's key signs it, as it signs evidence packs:
    `idtone-evidence verify paper` checks it.
    """
    settings = load_settings(config)
    desk = SuspensionActs(settings)
    one = read_suspensions(desk.path).find(suspension)
    made = signed_paper(desk, one, datetime.now(UTC))
    note = output.with_name(f"{output.name}.note")
    with writing(output, LedgerError, is_choice=True):
        replace_durably(output, made.pdf, PRIVATE_FILE)
        replace_durably(note, made.note, PRIVATE_FILE)
    if as_json:
        command_line.print_json({"id": one.id, "paper": str(output), "note": str(note), "sha256": made.sha256})
    else:
        command_line.say("{path}: the paper about {id}; {note} signs it", path=output, id=one.id, note=note)


def verify_paper(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The paper, a PDF, with FILE.note next to it.")],
    log_key: Annotated[
        str | None,
        typer.Option("--log-key", metavar="KEY", help="The ledger's verifier key (default: that of this node)."),
    ] = None,
    config: command_line.ConfigOption = None,
) -> None:
    """Verify that the ledger's key signed a paper. Exit 1: it did not."""
    note_file = file.with_name(f"{file.name}.note")
    try:
        octets, note_octets = file.read_bytes(), note_file.read_bytes()
        key = VerifierKey.parse(log_key) if log_key else _own_key(config)
        note = Note.parse(note_octets)
    except OSError as error:
        raise UsageError(
            "{path}: cannot be read: {reason}; name another file", path=error.filename, reason=error.strerror
        ) from error
    except ProofError as error:
        raise UsageError("{path}: {error}", path=note_file, error=error) from error
    if note.signed_by([key]) and note.text.endswith(f"\n{hashlib.sha256(octets).hexdigest()}\n"):
        command_line.say("{path}: is what {name} has signed", path=file, name=key.name)
        return
    command_line.say("{path}: is NOT what {name} has signed", path=file, name=key.name)
    command_line.exit_negative()


def _own_key(config: Path | None) -> VerifierKey:
    settings = load_settings(config)
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        return own_key(settings.ledger, settings.node, reader.origin())
