"""`idtone-evidence forget`: destroys the keys that open the telephone numbers of past days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message

from ..disclosure.disclosure_request import DisclosureRules
from ..disclosure.record_act import record_act
from ..evidence import steps
from ..keys.key_file import read_key
from ..keys.key_ring import KeyRing
from ..keys.sealing import day_of


def forget(
    before: Annotated[
        str, typer.Option("--before", metavar="DATE", help="The first day (UTC) that is kept, like 2026-11-01.")
    ],
    config: command_line.ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Destroy the keys of all days before DATE: the numbers of these days can never be opened again.

    The decisions, what is known of the sounds, and the proofs stay. So do the numbers of calls under a legal hold
    (`idtone-evidence hold place`). The destruction itself is recorded. Exit 1: you answered no.
    """
    first = _parse_day(before, datetime.now(UTC))
    whole = load_settings(config)
    settings = whole.ledger
    read_key(settings.key_file)  # a missing key is not made here
    key_ring = KeyRing.of(settings, whole.node)
    days = key_ring.days
    doomed = [day for day in days.days() if day < first]
    if doomed and not yes:
        count = command_line.count_with_unit(len(doomed), "day")
        question = Message(
            "Destroy the keys of {count}, from {first} to {last}, forever?",
            count=count,
            first=doomed[0],
            last=doomed[-1],
        )
        if not ask_confirmation(question):
            command_line.exit_negative()
    if doomed:
        # First, so that it is recorded whatever happens in between.
        record_act(
            settings.own_url(),
            whole.node,
            key_ring,
            lambda act: steps.forgotten(act, datetime.now(UTC), first, len(doomed)),
            DisclosureRules.of(settings),
        )
    destroyed = days.destroy(first)
    if as_json:
        command_line.print_json({"destroyed": destroyed})
    else:
        command_line.say(
            "the numbers of {days} cannot be opened any more", days=command_line.count_with_unit(len(destroyed), "day")
        )


def _parse_day(text: str, now: datetime) -> str:
    """Parse a UTC day that is not in the future.

    Raises UsageError.
    """
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError("--before {text!r} is not a day; write it like 2026-11-01", text=text) from error
    if day > day_of(now):
        raise UsageError("--before {day} is in the future; today's numbers are still being sealed", day=day)
    return day
