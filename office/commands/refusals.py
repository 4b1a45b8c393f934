"""The `refusal` commands of `idtone-office`, for contractors that members refuse for a period."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN, last_day
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress_bar
from idtone.core.terminal.prompts import ask_passphrase
from idtone.core.translation import Message, translated
from idtone.member.customers.commands.identity_input import IdentityArgument, read_identity

from ..refused.change_refusals import Refusals
from ..refused.refusal_basis import Basis, check_basis_decided, record_basis
from ..refused.refusal_key import RefusalKey
from .options import FolderOption, WhyOption, checked_line, parse_end, parse_moment

KeyOption = Annotated[Path, typer.Option("--key", metavar="KEY", help="The key of the refusals.")]
_REFERENCE: Final = re.compile(r"(?:X-)?([0-9]{1,9})", re.ASCII)


def refuse_customer(
    folder: FolderOption,
    key: KeyOption,
    reference: Annotated[str, typer.Option(metavar="TEXT", help="The reference of the request or of the case.")],
    until: Annotated[str, typer.Option(metavar="DAY", help="The last day of the refusal, in Japan.")],
    why: WhyOption,
    customer: IdentityArgument = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="The first day (default: today).")] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a contractor whom members refuse for a period (事業者渡り), so that members recognise the person.

    The command reads the identity from a file or asks for it. The identity is stored encrypted with the refusals' key.
    Members get tokens, which reveal nothing without the desk. The refusal takes effect when you publish with the duty
    keys. The longest period is `refusals.longest` in authority.yaml.
    """
    now = datetime.now(UTC)
    begins = _day(since, "--since") if since else now.astimezone(JAPAN).date()
    ends, reason, case = (
        _day_after(until, "--until"),
        checked_line(why, "--why"),
        checked_line(reference, "--reference"),
    )
    identity = read_identity(customer)
    loaded = RefusalKey.load(key, ask_passphrase)
    with command_line.working(Message("list of refusals")):
        made = Refusals(folder).enter(loaded, identity, case, begins, ends, reason, now)
    if as_json:
        command_line.print_json({"refusal": made.id, "since": made.since, "until": made.until})
    else:
        command_line.say(
            "{refusal} counts up to and including {until} once it is published",
            refusal=made.id,
            until=ends - timedelta(days=1),
        )


def lift_refusal(
    folder: FolderOption,
    refusal: Annotated[str, typer.Argument(metavar="X-NUMBER", help="The refusal, as `refusal list` shows it.")],
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """End the refusal of a contractor early.

    The contractor's identity and tokens are deleted; `publication publish` removes the tokens from the members' list.
    """
    match = _REFERENCE.fullmatch(refusal)
    if match is None:
        raise UsageError("{refusal!r} is not the number of a refusal; write it like X-1", refusal=refusal)
    reason = checked_line(why, "--why")
    with command_line.working(Message("list of refusals")):
        lifted = Refusals(folder).lift(int(match[1]), reason, datetime.now(UTC))
    if as_json:
        command_line.print_json({"lifted": lifted.id})
    else:
        command_line.say("{refusal} does not count any more once that is published", refusal=lifted.id)


def list_refusals(
    folder: FolderOption,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the refusals in force. The identities are encrypted, and are not shown."""
    form = command_line.form(as_json, as_csv, as_tsv)
    columns = ("refusal", "since", "until", "reference")
    rows = [(each.id, each.since, each.until, each.reference) for each in Refusals(folder).store.refusals()]
    if form is command_line.Form.JSON:
        command_line.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        shown = rows
        if form is command_line.Form.TABLE:  # CSV and TSV are for programs
            shown = [(name, since, last_day(until), reference) for name, since, until, reference in rows]
        command_line.Rows(columns, form).print(shown)


def decide_basis(
    folder: FolderOption,
    basis: Annotated[Basis, typer.Option("--basis", help="Article 27 (5) no. 3 (joint use), or (1) (consent).")],
    decided: Annotated[str, typer.Option(metavar="DAY", help="The day of the decision.")],
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="The purpose of the list.")],
    responsible: Annotated[str, typer.Option(metavar="TEXT", help="The body that answers for the data.")],
    minutes: Annotated[str, typer.Option(metavar="TEXT", help="The minutes of the decision.")],
    opinion: Annotated[str, typer.Option(metavar="TEXT", help="The opinion on the antitrust law (独占禁止法).")],
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the legal basis on which members learn of refused contractors. Without this record, no refusals' key can
    be made.

    A lawyer has to check it: docs/how-to/refused-customers.md.
    """
    fields = {"purpose": purpose, "responsible": responsible, "minutes": minutes, "opinion": opinion}
    made = record_basis(folder, basis, decided, fields, datetime.now(UTC), lambda name: f"--{name}")
    if as_json:
        command_line.print_json({"basis": made.basis, "decided": made.decided})
    else:
        command_line.say("decided on {day}: {basis}", day=made.decided, basis=made.basis.value)


def new_refusal_key(
    folder: FolderOption,
    why: WhyOption,
    key: Annotated[Path | None, typer.Option("--key", metavar="KEY", help="The present key of the refusals.")] = None,
    new: Annotated[
        Path | None, typer.Option("--new", metavar="KEY", help="The file of a new key, outside the authority's folder.")
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Make the key of the refusals, or begin a new epoch with another key or another identity table.

    For the first key, give --new. To replace the key, give --key and --new. If the identity table
    (customer_identity.yaml in the folder) has changed, give only --key. All tokens are made again: publish at once,
    and start the desk again with the new key. Until then members' checks are refused.
    """
    if key is None and new is None:
        raise UsageError("name the present key with --key, a new one with --new, or both")
    if new is not None and folder.resolve() in new.resolve().parents:
        raise UsageError("{keys}: is in the authority's folder, which others can read; name another folder", keys=new)
    one = Refusals(folder)
    if key is None and one.store.epoch() is not None:
        raise UsageError("name the present key with --key: it opens the identities")
    if key is None:
        check_basis_decided(folder)
    old = RefusalKey.load(key, ask_passphrase) if key else None
    if old is not None:
        one.check_key(old)
    made = RefusalKey.make(new, ask_passphrase(Message("for the new key {file}", file=new), twice=True)) if new else old
    assert made is not None
    reason = checked_line(why, "--why")
    with progress_bar(translated("tokens")) as counted:
        epoch = one.begin_epoch(old, made, reason, datetime.now(UTC), counted)
    if as_json:
        command_line.print_json({"epoch": epoch.number, "key": str(new or key)})
    else:
        command_line.say("epoch {epoch}: publish now, and start the desk with this key", epoch=epoch.number)


def _day(text: str, option: str) -> date:
    return parse_moment(text, option).astimezone(JAPAN).date()


def _day_after(text: str, option: str) -> date:
    return parse_end(text, option).astimezone(JAPAN).date()
