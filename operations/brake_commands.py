"""`idtone brake list | release`: lists the subjects that the brake restricts, and releases them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from idtone.call_control.brake.shared_stops import Hold
from idtone.call_control.brake.state_files import read_state, state_path
from idtone.call_control.call_brake import RELEASED
from idtone.core.errors import UsageError
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message
from idtone.ledger.commands.options import local_time
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.keys.key_ring import KeyRing, require_keys
from idtone.ledger.store.sqlite import path_of
from idtone.service import status_client
from idtone.service.brake_keeper import release_in_file

_COLUMNS: Final = ("token", "step", "kind", "line", "name", "signal", "since", "node", "call")
_SHOWN: Final = 8
_LEAST: Final = 6
"""Minimum number of characters of a token that a person must enter."""
_OBEYED_WITHIN_S: Final = 5.0


def list_braked(config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False) -> None:
    """List what the brake has marked, slowed or stopped, newest first, even while the service is stopped.

    The list shows no telephone numbers: `idtone ledger show CALL` shows the call that led to an entry. Names that
    contain a telephone number are hidden too. A mark or a slowing ends by itself ten minutes after its cause; a stop
    ends by `idtone brake release`.
    """
    holds = _holds(load_settings(config))
    if as_json:
        command_line.print_json([hold.to_json() for hold in holds])
        return
    if holds:
        command_line.Rows(_COLUMNS, whole=("token", "call")).print(
            (
                hold.token[:_SHOWN], hold.step.word, hold.kind, hold.line, hold.label, hold.signal,
                local_time(datetime.fromtimestamp(hold.since_s, UTC)), hold.node, hold.call_id,
            )
            for hold in holds
        )  # fmt: skip
    else:
        command_line.say("the brake holds nothing")


def release(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The token that `list` shows, or its beginning.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")],
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Release a line, customer, trunk or number, so that all nodes connect its calls again. The ledger records it.

    Its counts start from zero. If its calls are legitimate, also list it under `brake` in idtone.yaml, or it may be
    stopped again. The record names the person who ran the command. Exit 1: the brake has no such token.
    """
    settings = load_settings(config)
    require_keys(settings.ledger, settings.node)
    why, person = checked_line(why, "--why"), acting_person()
    found = [hold for hold in _holds(settings) if len(token) >= _LEAST and hold.token.startswith(token.lower())]
    if len(found) != 1:
        several, none = Message("several tokens begin so; write more of it"), Message("the brake holds no such token")
        command_line.say(several if found else none)
        command_line.exit_negative()
        return
    hold = found[0]
    is_running = status_client.ask(path_of(settings.ledger.own_url())) is not None
    if not is_running:
        release_in_file(settings, hold.token)
    act = record_act(
        settings.ledger.own_url(),
        settings.node,
        KeyRing.of(settings.ledger, settings.node),
        lambda act_id: steps.duty(
            act_id,
            datetime.now(UTC),
            person,
            RELEASED,
            hold.token,
            {"kind": hold.kind, "line": hold.line, "label": hold.label, "step": hold.step.word, "why": why},
        ),
        DisclosureRules.of(settings.ledger),
    )
    _wait_until_released(settings, hold)
    if as_json:
        command_line.print_json({"token": hold.token, "release": act})
    else:
        command_line.say("{token}: released by {person}", token=hold.token[:_SHOWN], person=person)


def _wait_until_released(settings: Settings, hold: Hold) -> None:
    """Wait for the service to release the subject.

    Raises UsageError if it does not.
    """
    deadline_s = time.monotonic() + _OBEYED_WITHIN_S
    while any(each.token == hold.token and each.since_s <= hold.since_s for each in _holds(settings)):
        if time.monotonic() > deadline_s:
            raise UsageError(
                "the release is recorded, but the service has not done it; its log, and `brake` in idtone.yaml, say why"
            )
        time.sleep(0.05)


def _holds(settings: Settings) -> list[Hold]:
    """The brake's current holds, newest first.

    Raises UsageError.
    """
    return sorted(read_state(state_path(settings)).holds, key=lambda hold: -hold.since_s)
