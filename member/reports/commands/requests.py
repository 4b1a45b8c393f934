"""`idtone-office request fetch | answer | list`."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.numbers import parse
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message, translated
from idtone.ledger.commands.options import KeysOption, ledgers_of, listed_time, local_time
from idtone.ledger.disclosure.pack import digest
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.replication.node_ledgers import nodes_without_keys
from idtone.registry.correspondence import desk_client
from idtone.registry.correspondence.signed_document import sign_document

from ..matching_calls import matching_calls, suggested_answer
from ..report_acts import record_report_act, recorded_report_acts
from ..report_desk_client import open_requests, request_named
from ..report_documents import ANSWER, Answer, AnswerResult, MatchingCalls, Request, time_span
from .reports import SENT

ANSWERED: Final = "report-answer-signed"


def fetch(config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False) -> None:
    """Fetch the requests that this member has to answer, and show them.

    The desk records that they were fetched. Numbers are shown by their last digits; `answer` looks up the whole number.
    Exit 1: a request is overdue.
    """
    now = datetime.now(UTC)
    waiting = open_requests(load_settings(config), now)
    form = command_line.form(as_json, False, False)
    rows = [_facts(request, now, form) for request in waiting.requests]
    if as_json:
        command_line.print_json(rows)
    elif rows:
        command_line.Rows(tuple(rows[0]), whole=("id",)).print(row.values() for row in rows)  # type: ignore[misc]
    else:
        print(translated("no request waits for an answer"), file=sys.stderr)
    if waiting.waiting > len(rows):
        more = Message("{count} more requests wait; answer these first", count=waiting.waiting - len(rows))
        print(translated(more), file=sys.stderr)
    if any(row["overdue"] for row in rows):
        command_line.exit_negative()


def answer(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id, as `fetch` shows it.")],
    result: Annotated[
        AnswerResult | None, typer.Option("--result", help="The answer (default: the one that fits the ledger).")
    ] = None,
    upstream: Annotated[
        str | None, typer.Option("--upstream", metavar="MEMBER", help="The call came from this member.")
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option("--pack", metavar="FILE", help="The evidence pack of the call, made with `idtone ledger export`."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send the answer without asking.")] = False,
    config: command_line.ConfigOption = None,
    keys: KeysOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Answer a request with what this member's ledger has about the call.

    The command searches the ledger for the number at that time, fills in the answer and shows it, and asks before it
    signs and sends it. `customer-held` needs an evidence pack: the answer names its SHA-256, and you keep the pack for
    the association. The ledger records the answer. Exit 1: it was not sent.
    """
    settings, now = load_settings(config), datetime.now(UTC)
    request = request_named(settings, request_id, now)
    ledgers = ledgers_of(config, None, None, keys or ())
    between = time_span(request.at, request.within_minutes)
    facts = matching_calls(ledgers.find(parse(request.number), *between), request.at)
    for name in nodes_without_keys(ledgers.nodes):
        print(
            translated("not searched: {name}, whose keys are not here (--keys {name}=FILE)", name=name),
            file=sys.stderr,
        )
    content = _answer(request, facts, result, upstream, pack)
    _show(request, content)
    if not yes and not _confirmed():
        print(translated("nothing was sent"), file=sys.stderr)
        command_line.exit_negative()
    member = desk_client.member_of(settings)
    octets = sign_document(ANSWER, member, content.model_dump(mode="json"), desk_client.document_signer(settings), now)
    record_report_act(
        settings,
        ANSWERED,
        request.id,
        result=content.result,
        upstream=content.upstream,
        pack=content.pack,
        calls=facts.calls,
        call=facts.call,
        sha256=hashlib.sha256(octets).hexdigest(),
    )
    sent = desk_client.send(settings, octets)
    if as_json:
        command_line.print_json(sent)
    else:
        command_line.say("{request_id} is answered: {result}", request_id=request.id, result=sent["result"])


def list_own(config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False) -> None:
    """List the reports and answers that this node has signed, from its own ledger."""
    acts = recorded_report_acts(load_settings(config), frozenset({SENT, ANSWERED}))
    names = ("act", "subject", "by", "result", "upstream", "call", "sha256")
    form = command_line.form(as_json, False, False)
    rows = [{"time": listed_time(step.at, form), **{name: step.details.get(name) for name in names}} for step in acts]
    if as_json:
        command_line.print_json(rows)
    else:
        command_line.Rows(("time", *names), whole=("subject",)).print(row.values() for row in rows)  # type: ignore[misc]


def _answer(
    request: Request, facts: MatchingCalls, result: AnswerResult | None, upstream: str | None, pack: Path | None
) -> Answer:
    """The answer from the options, with defaults from the ledger.

    Raises UsageError if the options contradict each other.
    """
    implied = AnswerResult.UPSTREAM if upstream else AnswerResult.CUSTOMER_HELD if pack else None
    chosen = result or implied or suggested_answer(facts)
    if (chosen is AnswerResult.UPSTREAM) != (upstream is not None):
        raise UsageError("--upstream MEMBER and the result `upstream` belong together")
    if chosen is AnswerResult.CUSTOMER_HELD and pack is None:
        raise UsageError(
            "`customer-held` needs an evidence pack: run `idtone ledger export {call} --case {request_id} "
            "--basis association --reference {request_id} --sealed -o FILE`, and name it with --pack",
            call=facts.call or "CALL",
            request_id=request.id,
        )
    if chosen is not AnswerResult.CUSTOMER_HELD and pack is not None:
        raise UsageError("--pack belongs to the result `customer-held`")
    return Answer(
        request=request.id, result=chosen, upstream=upstream, pack=digest(read_zip(pack)) if pack else None, found=facts
    )


def _show(request: Request, content: Answer) -> None:
    """Print the answer so that it can be reviewed before it is signed."""
    facts = content.found
    lines = {
        "request": request.id,
        "number": parse(request.number),
        "at": f"{local_time(request.at)} ± {request.within_minutes} min",
        "calls": facts.calls,
        "call": facts.call,
        "outcome": facts.outcome,
        "reason": facts.reason,
        "sound": facts.delivery or None,
        "result": content.result,
        "upstream": content.upstream,
        "pack": content.pack,
    }
    print(*(f"{name:<9} {value}" for name, value in lines.items() if value is not None), sep="\n", file=sys.stderr)
    if facts.calls and content.result is AnswerResult.NOT_OURS:
        print(
            translated("The ledger has calls of this number at that time; the answer says so."),
            file=sys.stderr,
        )


def _confirmed() -> bool:
    try:
        return ask_confirmation(Message("Sign this answer and send it?"))
    except typer.Abort:
        return False


def _facts(request: Request, now: datetime, form: command_line.Form) -> dict[str, Any]:
    return {
        "id": request.id,
        "number": str(parse(request.number)),
        "at": listed_time(request.at, form),
        "within_minutes": request.within_minutes,
        "downstream": request.downstream,
        "due": listed_time(request.due, form),
        "reminders": request.reminders,
        "overdue": now > request.due,
    }
