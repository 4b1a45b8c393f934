"""Options and helpers shared by the `idtone ledger` commands."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from idtone.core.errors import IdtoneError, ProofError, UsageError
from idtone.core.files import read_octets
from idtone.core.japan_time import JAPAN
from idtone.core.persons import Person, acting_person
from idtone.core.settings.settings import Exports, LedgerSettings, Settings, load_settings
from idtone.core.signed_notes import Algorithm, Note, VerifierKey
from idtone.core.terminal import command_line
from idtone.core.translation import Message

from ..evidence.call_record import iso_ms
from ..keys.day_keys import DayKeys
from ..keys.key_ring import own_key, successor_trees_of
from ..keys.log_keys import LogKeys
from ..replication.node_ledgers import Ledgers, NodeLedger, day_keys_beside
from ..store.postgresql import Server

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LedgerOption = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="Ledger to read (default: ledger.url of the settings).")
]
NodeOption = Annotated[
    str | None, typer.Option("--node", metavar="NAME", help="Only this node, if the ledgers are in a PostgreSQL.")
]
KeysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keys",
        metavar="NODE=FILE",
        help="A copy of another node's ledger.key_file, with its .days beside it, for its numbers; may be repeated.",
    ),
]
WitnessKeysOption = Annotated[
    list[str] | None,
    typer.Option("--witness-key", metavar="VKEY", help="A witness's verifier key; may be repeated."),
]
CheckpointsOption = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that you kept elsewhere; may be repeated."),
]

_OFFERED: Final = 50
"""Maximum number of call ids that shell completion offers."""


def complete_call(context: typer.Context, incomplete: str) -> list[str]:
    """Newest call ids that begin with `incomplete`, for shell completion; empty if no ledger is readable."""
    given = context.params
    # The command itself will report errors.
    with suppress(IdtoneError), redirect_stderr(io.StringIO()):
        ledgers = ledgers_of(given.get("config"), given.get("ledger"), given.get("node"))
        found = {call for ledger in ledgers.nodes for call in ledger.reader.call_ids(incomplete, _OFFERED)}
        return sorted(found, reverse=True)[:_OFFERED]
    return []


CallArgument = Annotated[
    str,
    typer.Argument(
        metavar="CALL_ID", help="The call's id, or a beginning that no other id has.", autocompletion=complete_call
    ),
]


_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_AGO: Final = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_until(text: str, now: datetime) -> datetime:
    """Parse the time of `--until`; a day means the end of that day.

    Raises UsageError.
    """
    return parse_since(text, now, "--until") + timedelta(days=bool(_DAY.fullmatch(text)))


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """Parse a time: `2h` (s, m, h, d) before `now`, a day in Japan, or ISO 8601 with an offset.

    A day means its start. `option` is the option that an error names. Raises UsageError.
    """
    ago = _AGO.fullmatch(text)
    try:
        moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            moment = moment.replace(tzinfo=JAPAN)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "{option} {text!r} is not a time; write 2h, 7d, 2026-11-01 or 2026-11-01T09:00:00+09:00",
            option=option,
            text=text,
        ) from error
    if moment.utcoffset() is None:
        raise UsageError("{option} {text!r} has no time zone; add it, for Japan +09:00", option=option, text=text)
    return moment


def ledgers_of(config: Path | None, ledger: str | None, node: str | None = None, keys: Sequence[str] = ()) -> Ledgers:
    """Open the ledgers that command-line options name, and report unreadable ledgers.

    Raises UsageError and LedgerError.
    """
    ledgers = ledgers_now(config, ledger, node, keys)
    for trouble in (*ledgers.unreadable, *ledgers.doubts):
        print(trouble, file=sys.stderr)
    return ledgers


def ledgers_now(config: Path | None, ledger: str | None, node: str | None, keys: Sequence[str]) -> Ledgers:
    """Open the ledgers that command-line options name, without reporting unreadable ledgers.

    For a command that opens the ledgers repeatedly. Raises UsageError and LedgerError.
    """
    whole = load_settings(config)
    settings = whole.ledger
    days = days_of(settings)
    if ledger is not None:
        settings = settings.model_copy(update={"url": ledger, "others": ()})
    by_node = {whole.node: days} if days else {}
    by_node |= dict(map(_keys, keys))
    if not settings.is_shared():
        if node is not None:
            raise UsageError("--node selects a node of a PostgreSQL, but this ledger is the file of one node")
        return Ledgers.of_file(settings.url, whole.node, settings.log_origin(whole.node), by_node.get(whole.node))
    return Ledgers.in_postgresql(Server.all_of(settings), by_node, node)


def _keys(option: str) -> tuple[str, DayKeys]:
    node, _, file = option.partition("=")
    if not node or not file:
        raise UsageError("--keys {option!r} is not a node and a file; write it like pbx-2=pbx-2.key", option=option)
    return node, day_keys_beside(Path(file))


def parse_key(option: str, text: str, algorithm: Algorithm) -> VerifierKey:
    """Parse an option's verifier key, which must use `algorithm`.

    Raises UsageError.
    """
    try:
        key = VerifierKey.parse(text)
    except ProofError as error:
        raise UsageError("{option}: {error}", option=option, error=error) from error
    if key.algorithm is not algorithm:
        raise UsageError("{option}: this key is of another kind: {wanted}", option=option, wanted=_MEANT[algorithm])
    return key


_MEANT: Final = {
    Algorithm.ED25519: Message("the log's is meant, as `idtone-evidence log key` says it"),
    Algorithm.COSIGNATURE: Message("a witness's is meant, as it says it when it starts"),
}


def read_roots(path: Path) -> list[Certificate]:
    """Read root certificates from a PEM file.

    Raises UsageError.
    """
    from ..tree.timestamps import roots_of

    try:
        return roots_of(read_octets(path, UsageError))
    except ProofError as error:
        raise UsageError("{path}: {error}", path=path, error=error) from error


def read_checkpoints(paths: Sequence[Path]) -> list[tuple[str, Note]]:
    """Read checkpoints from files, and return each with its path.

    Raises UsageError.
    """
    return [(str(path), _note(path)) for path in paths]


def _note(path: Path) -> Note:
    try:
        return Note.parse(read_octets(path, UsageError))
    except ProofError as error:
        raise UsageError("{path}: {error}; name a file with a signed checkpoint", path=path, error=error) from error


def replica_key(ledger: NodeLedger, settings: Settings) -> tuple[VerifierKey, str]:
    """Key that verifies a node's replica, and its source: `own` or `postgresql`.

    Raises LedgerError.
    """
    trees = successor_trees_of(settings.ledger, settings.node)
    if ledger.origin in trees.origins and LogKeys(settings.ledger, trees).is_here(ledger.origin):
        return own_key(settings.ledger, settings.node, ledger.origin), "own"
    assert ledger.key is not None
    return ledger.key, "postgresql"


def print_given_up_ends(ends: Iterable[Mapping[str, Any]]) -> None:
    """Print the ends of earlier logs that a log gave up, as returned by `EndGivenUp.to_json`."""
    for each in ends:
        said = Message(
            "  gives up     the end of {log}, on {at}, by {by}: {why}; of its {leaves:,} leaves the first {signed:,} "
            "are signed",
            **{**each, "by": ", ".join(each["by"])},
        )
        command_line.say(said)


def responsible_person(settings: LedgerSettings) -> Person:
    """Person who runs the command, identified by a personal account.

    Raises UsageError if several people share the account.
    """
    person = acting_person()
    if not person.is_by_console and person.uid in (0, settings.key_file.stat().st_uid):
        raise UsageError(
            "{name} is no person's own account, and exports take two persons here (ledger.exports); "
            "log in as yourself and run this by sudo, as the user that `idtone serve` runs as",
            name=person.name,
        )
    return person


def disclosing_person(settings: LedgerSettings) -> Person:
    """Person who runs a command that discloses evidence.

    If disclosures require two persons, the account must belong to one person. Raises UsageError.
    """
    return responsible_person(settings) if settings.exports is Exports.TWO_PERSONS else acting_person()


def days_of(settings: LedgerSettings) -> DayKeys | None:
    """Keys that open each day's numbers; None if this user cannot read the ledger's key file."""
    return day_keys_beside(settings.key_file) if os.access(settings.key_file, os.R_OK) else None


def local_time(at: datetime) -> str:
    """Format a time in the machine's time zone."""
    return at.astimezone().isoformat(sep=" ", timespec="milliseconds")


def listed_time(at: datetime, form: command_line.Form) -> str:
    """Format a time for a list: local time for people, UTC for programs."""
    return local_time(at) if form is command_line.Form.TABLE else iso_ms(at)
