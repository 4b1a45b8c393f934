"""`idtone registry decide`: shows a registry's decision on a call, or repeats the decisions in an evidence pack."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone.core.calls import Decision, Direction, ForwardedCall, Outcome
from idtone.core.decision import decide as decide_call
from idtone.core.errors import UsageError
from idtone.core.numbers import NumberKind, parse, parse_or_none
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking
from idtone.registry.local_registry import from_file, read_local_registry


def decide(
    number: Annotated[str | None, typer.Option(help="The forwarding number, in any usual form.")] = None,
    direction: Annotated[Direction | None, typer.Option(help="The direction of forwarding.")] = None,
    registry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Registry file (default: registry.source of the settings).")
    ] = None,
    called: Annotated[str, typer.Option(help="The number to which the call is forwarded.")] = "",
    caller: Annotated[str, typer.Option(help="The caller's number.")] = "",
    at: Annotated[
        str | None,
        typer.Option(metavar="ISO-8601", help="The time of the call, with its time zone (default: now)."),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The node's member (default: association.member; without it, with --registry, that of the number).",
        ),
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option(metavar="PACK", help="Repeat the decisions on the calls of an evidence pack instead."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --pack: the association's root, from another source.")
    ] = None,
    log_key: Annotated[
        str | None, typer.Option(metavar="VKEY", help="With --pack: the member's verifier key, from another source.")
    ] = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show the decision for a call, and its reason. Nothing is dialled or recorded.

    The policy and the node's member come from the settings; without a member no licence counts (`member-not-set`). For
    a FILE without a member, it shows the decision on a node of the member responsible for the number. Exit 0: PLAY or
    BYPASS. 1: NOTICE or REFUSE. 2: the registry or an option cannot be used. A withheld or malformed number gets a
    decision, not an error.

    --pack needs no other option: the pack contains what the signed registry said about the numbers. Exit 0: each
    decision that depends on the registry matches the record. 1: a decision differs, or cannot be repeated.
    """
    if pack is not None:
        from .repeated_decisions import repeat_decisions  # this needs the ledger, which no other decision does

        repeat_decisions(pack, root, log_key, as_json)
        return
    if number is None or direction is None:
        raise UsageError("name the call with --number and --direction, or a pack with --pack")
    settings = load_settings(config)
    now = _moment(at)
    to = parse(called)
    call = ForwardedCall(
        "question",
        direction,
        parse(number),
        parse(caller),
        to,
        perhaps=parse_or_none(number),
        caller_perhaps=parse_or_none(caller),
        emergency=to.kind is NumberKind.EMERGENCY,
    )
    with checking():
        index = (from_file(registry) if registry else read_local_registry(settings.registry)).index()
    member = member or settings.association.member
    if member is None and registry is not None:
        member = index.member(call.forwarding_number, now)
    decision = decide_call(call, index, settings.policy.policy(member), now)
    answer = _answer(call, decision, now)
    if as_json:
        command_line.print_json(answer)
    else:
        print(*(f"{name:<17} {cell(value)}" for name, value in answer.items()), sep="\n")
    if decision.outcome not in (Outcome.PLAY, Outcome.BYPASS):
        command_line.exit_negative()


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError("--at is not a date and time. Write it like 2026-11-10T09:00:00+09:00") from error
    if moment.tzinfo is None:
        raise UsageError("--at has no time zone. Add it, for Japan +09:00: 2026-11-10T09:00:00+09:00")
    return moment


def _answer(call: ForwardedCall, decision: Decision, now: datetime) -> dict[str, Any]:
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "member": decision.member,
        "wholesale_chain": decision.wholesale_chain,
        "licence": decision.licence,
        "profile": decision.profile,
        "parties": sorted(decision.parties),
        "registry_version": decision.registry_version,
        "registry_trust": decision.registry_trust,
        "registry_sha256": decision.registry_sha256,
        "hangup_cause": decision.hangup_cause,
        "number": str(call.forwarding_number),
        "direction": call.direction,
        "at": now.isoformat(),
    }


def cell(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else value
    return "-" if text in (None, "") else str(text)
