"""`idtone-evidence log replace-key | end | give-up`: commands that replace a log's key or end a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from idtone.core.errors import LedgerError, LedgerInUseError, TokenError, UsageError
from idtone.core.hardware_tokens import TokenKeyName
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Exports, Settings, load_settings
from idtone.core.signed_notes import Algorithm, Note, VerifierKey
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation, checked_line
from idtone.core.translation import Message

from ..disclosure.disclosure_request import DisclosureRules
from ..disclosure.record_act import record_act
from ..evidence import steps
from ..evidence.act_ids import new_act_id
from ..evidence.log_ends_given_up import KINDS, EndGivenUp, EndsGivenUp
from ..keys.key_ring import KeyRing, require_keys
from ..keys.log_keys import FILE, LogKey, LogKeys
from ..keys.successor_trees import NextKey, SuccessorTree
from ..store.ledger_reader import LedgerReader
from ..store.sqlite import path_of
from ..store.stored_ends_given_up import end_given_up
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..writing.earlier_log_ends import lost_end
from ..writing.group_writer import GroupWriter
from ..writing.ledger_writer import LedgerWriter
from .options import disclosing_person, local_time, read_checkpoints

WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
NONE: Final = "none"
_REPORT: Final = ("log", "leaves", "signed", "act", "confirms", "given_up")


def replace_key(
    why: WhyOption,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="KEY", help="The new key, in a token: hsm:2?label=ledger. Default: a new file."
        ),
    ] = None,
    compromised: Annotated[
        str | None,
        typer.Option(
            "--compromised",
            metavar="CHECKPOINT",
            help="Others may have the old key: signatures after the head in this file do not count; none: no "
            "head counts. The old key signs nothing more.",
        ),
    ] = None,
    config: command_line.ConfigOption = None,
    yes: YesOption = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Replace the key that signs the log: its tree ends, and a new tree with the new key continues it.

    Stop the service first. The last leaf of the old tree, which the old key signs, names the new key; the first leaf of
    the new tree names the old one. The old database is kept next to the new one, and remains evidence. Give the new key
    to the association and to your witnesses. Exit 1: you answered no.
    """
    settings, why = load_settings(config), checked_line(why, "--why")
    require_keys(settings.ledger, settings.node)
    with _writing(settings) as (writer, ring):
        before, origin = ring.signer.key, ring.successor_trees.next_origin()
        trusted = _trusted(compromised, before) if compromised else None
        if not (
            yes
            or ask_confirmation(
                Message("End the tree {log} and begin {next}, with another key?", log=before.name, next=origin)
            )
        ):
            command_line.exit_negative()
        key = _new_key(ring, token, origin)
        told = steps.key_replaced(acting_person(), why, str(before), compromised is not None)
        if compromised is None and ring.keys:
            ring.keys.check(before.name)
        ending = (
            None
            if compromised
            else steps.log_ended(new_act_id(), datetime.now(UTC), acting_person(), why, str(key.public))
        )
        aside = writer.replace_key(key._replace(told=told), ending, trusted)
        if writer.stored_checkpoint:
            ring.seen.remember(writer.stored_checkpoint)
    if as_json:
        command_line.print_json({"log": str(key.public), "before": str(before), "file": str(aside)})
        return
    print(key.public)
    command_line.say("the old tree is set aside as {file}", file=aside)
    command_line.say("start the service, and give this key to the association and to your witnesses")


def end(
    why: WhyOption,
    config: command_line.ConfigOption = None,
    yes: YesOption = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """End the log of a node that records no more evidence. Its last leaf states the end, and no leaf may follow.

    Stop the service first, and do not start it again, because it would begin another log that continues this one. Keep
    the database, the keys and the backup as long as evidence may be demanded. If the key's token was removed before it
    signed the end, run the command again when the token is back. Exit 1: you answered no.
    """
    settings, why = load_settings(config), checked_line(why, "--why")
    require_keys(settings.ledger, settings.node)
    with _writing(settings, follows=False) as (writer, ring):
        name = ring.signer.key.name
        if not (yes or ask_confirmation(Message("End the log {log} for good?", log=name))):
            command_line.exit_negative()
        if ring.keys:
            ring.keys.check(name)
        if not writer.has_ended:
            writer.end(steps.log_ended(new_act_id(), datetime.now(UTC), acting_person(), why))
        elif writer.refusal:
            raise LedgerError("the end is written and not signed: {why}", why=writer.refusal)
        note = writer.stored_checkpoint
        assert note
        ring.seen.remember(note)
    leaves = Checkpoint.parse(note.text).size
    if as_json:
        command_line.print_json({"log": name, "leaves": leaves, "checkpoint": str(note)})
    else:
        command_line.say("{log} has ended with {leaves:,} leaves", log=name, leaves=leaves)


def give_up(
    why: WhyOption,
    log: Annotated[
        str | None, typer.Argument(metavar="LOG", help="The earlier log; needed if the ends of several are not signed.")
    ] = None,
    config: command_line.ConfigOption = None,
    yes: YesOption = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Give up the end of an earlier log whose key is lost, so that nothing can sign that end any more.

    The present log records who gave it up, when and why, and which leaves are signed. The other leaves stay unsigned
    for ever, and `idtone ledger verify` of the earlier log continues to report this. If exports take two persons
    (`ledger.exports`), another person has to confirm it with the same command. The service may run. Exit 1: you
    answered no.
    """
    settings, why = load_settings(config), checked_line(why, "--why")
    require_keys(settings.ledger, settings.node)
    ring = KeyRing.of(settings.ledger, settings.node)
    following = _unsigned(ring, log)
    if given := _given_up(settings, ring, following):
        _tell_given_up(given.to_json() | {"confirms": None, "given_up": True}, as_json)
        return
    if ring.keys:
        ring.keys.check(ring.signer.key.name)  # the act is to be signed
    person, now = disclosing_person(settings.ledger), datetime.now(UTC)
    origin, leaves, root, signed = lost_end(following, ring, path_of(settings.ledger.own_url()))
    end = origin, leaves, root
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        known = EndsGivenUp.of(reader.acts(KINDS))
    first = known.awaiting_confirmation((*end, signed))
    confirms = first.act if first and person.is_another_than(first.by[0]) else None
    persons = 2 if settings.ledger.exports is Exports.TWO_PERSONS else 1
    if first and confirms and not as_json:
        said = Message("{name} gave it up on {at}: {why}", name=first.names, at=local_time(first.at), why=first.why)
        command_line.say(said)
    question = Message(
        "Give up the end of {log} for good? Of its {leaves:,} leaves the first {signed:,} are signed, and the others "
        "never will be.",
        log=origin,
        leaves=leaves,
        signed=signed,
    )
    if not (yes or ask_confirmation(question)):
        command_line.exit_negative()
    act = record_act(
        settings.ledger.own_url(),
        settings.node,
        ring,
        lambda act: steps.end_given_up(act, now, person, why, end, signed, 2 if confirms else persons, confirms),
        DisclosureRules.of(settings.ledger),
    )
    counts = confirms is not None or persons == 1
    report = {"log": origin, "leaves": leaves, "signed": signed, "act": act, "confirms": confirms, "given_up": counts}
    _tell_given_up(report, as_json)


def _given_up(settings: Settings, ring: KeyRing, following: SuccessorTree) -> EndGivenUp | None:
    """The earlier log's end if it was already given up; otherwise None."""
    ledger = settings.ledger
    found = None
    with suppress(LedgerError):  # a database between was lost; the present log is asked again before it records the act
        found = end_given_up(ring.successor_trees, following, ring.days.ledger_key, path_of(ledger.own_url()))
    if found and not following.given_up:
        with suppress(LedgerInUseError), LedgerWriter.open(ledger.own_url(), settings.node, ring):
            pass  # like each start, it settles the file beside the key
    return found


def _tell_given_up(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        command_line.print_json({name: report[name] for name in _REPORT})
    elif report["given_up"]:
        command_line.say("the end of {log} is given up ({act})", log=report["log"], act=report["act"])
    else:
        said = Message("another person has to confirm it: idtone-evidence log give-up {log}", log=report["log"])
        command_line.say(said)


def _unsigned(ring: KeyRing, log: str | None) -> SuccessorTree:
    """The tree that follows the log whose end is to be given up.

    Raises UsageError.
    """
    without = ring.successor_trees.without_end
    waiting = {each.after: each for each in (without if log else ring.successor_trees.unsigned or without)}
    if log is None and len(waiting) > 1:
        raise UsageError("several logs wait for the signature of their end; name one: {logs}", logs=", ".join(waiting))
    found = waiting.get(log or next(iter(waiting), ""))
    if found is None:
        raise UsageError(
            Message("the end of {log} does not wait for a signature", log=log)
            if log
            else Message("no earlier log of this node waits for the signature of its end")
        )
    return found


@contextmanager
def _writing(settings: Settings, follows: bool = True) -> Iterator[tuple[GroupWriter, KeyRing]]:
    """Open an existing ledger for exclusive writing during the block.

    If the log has ended and `follows` is True, a new log begins. Raises LedgerError.
    """
    ledger = settings.ledger
    path = path_of(ledger.own_url())
    if not path.exists():
        raise LedgerError("{path}: there is no ledger", path=path)
    ring = KeyRing.of(ledger, settings.node)
    try:
        writer = GroupWriter.open(path, settings.node, ring, None, follows)
    except LedgerInUseError as error:
        raise LedgerError("{error}: stop the service first (systemctl stop idtone)", error=error) from error
    try:
        yield writer, ring.reloaded()
    except OSError as error:
        raise LedgerError("{path}: {reason}", path=path, reason=error.strerror) from error
    finally:
        writer.close()


def _new_key(ring: KeyRing, token: str | None, origin: str) -> NextKey:
    keys = ring.keys
    assert isinstance(keys, LogKeys)
    if token is None:
        place = f"{FILE}-{len(ring.successor_trees.origins) + 1}"
        return NextKey(keys.signer(origin, LogKey(place)).key, place, {})
    try:
        TokenKeyName.parse(token)
    except TokenError as error:
        raise UsageError(str(error)) from error
    key = VerifierKey(origin, Algorithm.ED25519, keys.read_token(token))
    if key.public == ring.signer.key.public:
        raise UsageError("{token}: this is the present key; make another one in the token", token=token)
    return NextKey(key, token, {})


def _trusted(compromised: str, log: VerifierKey) -> Note | None:
    """The last head signed by the old key that is still trusted; None if there is none.

    Raises UsageError and ProofError.
    """
    if compromised == NONE:
        return None
    [(_, note)] = read_checkpoints([Path(compromised)])
    verified_checkpoint(note, log)
    return note
