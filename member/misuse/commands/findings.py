"""`idtone-office misuse scan | explain | plot | review`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.misuse_limits import load_limits
from idtone.core.persons import acting_person
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress_bar
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message, translated
from idtone.ledger.commands.options import LedgerOption, NodeOption, ledgers_of, local_time, parse_since
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_outline import CallOutline
from idtone.ledger.evidence.steps import NumberRole
from idtone.ledger.keys.key_ring import KeyRing, require_keys
from idtone.ledger.replication.node_ledgers import Ledgers, NodeLedger
from idtone.ledger.store.ledger_reader import LedgerReader

from ..finding_plot import count_lines, draw_finding, heading
from ..findings import REVIEWED, Finding, FindingState, ReviewResult, parse_finding_id
from ..rules import Grouping
from ..scan import LedgerScan
from ..stopping_conditions import conditions_for
from .options import FindingArgument, RulesOption, read_numbers

_COLUMNS: Final = ("finding", "state", "subject", "first", "calls", "chance", "reason")
_FIELDS: Final = (
    "id", "state", "rule", "node", "day", "grouping", "subject", "first", "last", "calls", "chance", "reason",
)  # fmt: skip
_CAUTION: Final = Message(
    "A finding is not an accusation: ordinary offices have such days too. "
    "`idtone-office misuse explain FINDING` shows the calls and says what to do next."
)
_NEXT: Final = (
    Message(
        "A finding is not an accusation: it says that these calls are unusual, and ordinary offices have such days "
        "too. What to do next:"
    ),
    Message("1. Look at some of the calls: idtone ledger show CALL_ID"),
    Message("2. Find the contractor by the call ids in your own call records, and ask what the calls were for."),
    Message(
        "3. If the suspicion remains, report it to the police or the association, as the contract and the law provide."
    ),
    Message("4. Record what came of it: idtone-office misuse review FINDING --result … --why …"),
)


def scan(
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="From this day (UTC) on: ISO 8601, or 2d for two days ago.")
    ] = "7d",
    limits_file: RulesOption = None,
    expected_file: Annotated[
        Path | None,
        typer.Option(
            "--expected",
            metavar="FILE",
            help="A file of numbers whose customers have said that they call a lot, one on each line; needs the "
            "ledger's key.",
        ),
    ] = None,
    reviewed: Annotated[bool, typer.Option("--all", help="Also show reviewed findings.")] = False,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """Look for signs of misuse in the ledger, and list the findings. Exit 1: there are new ones.

    Numbers stay sealed. The rules compare tokens, and a number's token changes each day (UTC: from 9:00 to 9:00 in
    Japan). So a number is compared with itself only within one day; a licence is compared with its past.

    For the numbers of --expected, for example those of a sales team, the rules `many-called` and `number-surge` report
    nothing.

    A finding is not an accusation. Times in its reason are those of Japan. `chance` is the probability of such calls if
    calls are independent and as frequent as the limits consider usual; it is empty for a rule without statistics.
    """
    form = command_line.form(as_json, as_csv, as_tsv)
    limits = load_limits(limits_file)
    first = parse_since(since, datetime.now(UTC)).astimezone(UTC).date()
    expected = read_numbers(expected_file) if expected_file else []
    found: list[Finding] = []
    calls = left_out = 0
    ledgers = ledgers_of(config, ledger, node)
    for each in ledgers.nodes:
        if expected and not each.has_keys:
            raise UsageError(
                "--expected needs the ledger's key of {node}: run this as a user who may read it", node=each.node
            )
        scanned = LedgerScan(each.reader, each.node, limits, expected=expected)
        with progress_bar(f"reading {each.node}") as progress:
            found += scanned.findings(first, progress=progress)
        calls, left_out = calls + scanned.calls, left_out + scanned.left_out
    new = [finding for finding in found if finding.state is not FindingState.REVIEWED]
    shown = found if reviewed else new
    if form is command_line.Form.JSON:
        command_line.print_json([finding.to_json() for finding in shown])
    elif form is not command_line.Form.TABLE:
        told = (finding.to_json() for finding in shown)
        command_line.Rows(_FIELDS, form).print([each[name] for name in _FIELDS] for each in told)
    elif shown:
        command_line.Rows(_COLUMNS, whole=("finding",)).print(map(_line, shown))
    _tell(
        Message(
            "{calls} calls were judged; new findings: {new}, reviewed: {reviewed}",
            calls=f"{calls:,}",
            new=len(new),
            reviewed=len(found) - len(new),
        )
    )
    if left_out:
        _tell(Message("{count} calls were written too late, and were not judged", count=f"{left_out:,}"))
    if new:
        if form is command_line.Form.TABLE:
            _tell(_CAUTION)
        command_line.exit_negative()


def explain(
    finding_id: FindingArgument,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    limits_file: RulesOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many of its calls.")] = 20,
    as_json: command_line.JsonOption = False,
) -> None:
    """Explain a finding: its reason, its calls, and what to do next. Exit 1: there is no such finding.

    With the ledger's key, the last digits of the number are shown.
    """
    found = _one(finding_id, ledgers_of(config, ledger, node), limits_file)
    finding = found.finding
    if as_json:
        command_line.print_json(finding.to_json())
        return
    print(heading(finding))
    command_line.say(finding.reason)
    facts = {
        "state": finding.state.value,
        "node": finding.node,
        finding.rule.grouping.value: f"{finding.shown_subject} {found.last_digits()}".strip(),
        "calls": f"{len(finding.sign.calls):,}, {local_time(finding.first)} – {local_time(finding.last)}",
        "chance": _chance(finding),
    }
    if finding.review:
        facts["review"] = (
            f"{finding.review.result}, {finding.review.by}, {local_time(finding.review.at)}: {finding.review.why}"
        )
    print(*(f"  {name:<10} {value}" for name, value in facts.items() if value), sep="\n")
    command_line.Rows(
        ("time", "call", "direction", "called", "reason", "status", "connected s"), whole=("call",)
    ).print(map(_call, finding.sign.calls[:limit]))
    if len(finding.sign.calls) > limit:
        command_line.say("… and {count} more (--limit)", count=f"{len(finding.sign.calls) - limit:,}")
    published = conditions_for(load_settings(config).registry, finding.rule.name)
    print(*("", *map(translated, (*published, *_NEXT))), sep="\n")


def plot(
    finding_id: FindingArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Draw a PNG; needs the extra `plot`.")
    ] = None,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    limits_file: RulesOption = None,
) -> None:
    """Draw what a finding counted over time, with the limit. Exit 1: there is no such finding.

    Times are those of Japan. An interval at or above its limit has a `!`. Some rules, for example `rotation`, have no
    limit for an interval; for these, only the counts are drawn.
    """
    finding = _one(finding_id, ledgers_of(config, ledger, node), limits_file).finding
    if output:
        draw_finding(finding, output)
        return
    print(heading(finding))
    screen = command_line.screen(highlight=False)
    for drawn in count_lines(finding):
        screen.print(drawn)


def review(
    finding_id: FindingArgument,
    result: Annotated[ReviewResult, typer.Option("--result", help="The result.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, in one line; it is recorded forever.")],
    config: command_line.ConfigOption = None,
    limits_file: RulesOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record the result of a finding in the ledger, so that it is no longer new.

    If more calls match later, the finding returns as `grown`. The review is a record of its own in the ledger. It names
    the person who ran the command, and holds no telephone number. Exit 1: there is no such finding.
    """
    settings = load_settings(config)
    require_keys(settings.ledger, settings.node)
    why, person = checked_line(why, "--why"), acting_person()
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        own = Ledgers([NodeLedger(settings.node, "", reader)], is_shared=False)
        finding = _one(finding_id, own, limits_file).finding
    details: dict[str, steps.Scalar] = {"result": result.value, "why": why, "calls": len(finding.sign.calls)}
    act = record_act(
        settings.ledger.own_url(),
        settings.node,
        KeyRing.of(settings.ledger, settings.node),
        lambda act_id: steps.duty(act_id, datetime.now(UTC), person, REVIEWED, finding.id, details),
        DisclosureRules.of(settings.ledger),
    )
    if as_json:
        command_line.print_json({"finding": finding.id, "review": act, "result": result})
    else:
        command_line.say(
            "{finding}: reviewed by {person} as {result}", finding=finding.id, person=person, result=result.value
        )


@dataclass(frozen=True, slots=True)
class _Found:
    finding: Finding
    ledger: NodeLedger

    def last_digits(self) -> str:
        """The last digits of the subject's number. Empty for a licence or without the ledger's key."""
        call = self.finding.sign.calls[-1]
        role = next((role for role in NumberRole if getattr(call, role.value) == self.finding.subject), None)
        record = self.ledger.reader.record(call.call_id) if role else None
        if role is None or record is None or self.finding.rule.grouping is Grouping.LICENCE:
            return ""
        masked = record.numbers.get(role)
        return str(masked) if masked and masked.last4 else ""


def _one(finding_id: str, ledgers: Ledgers, limits_file: Path | None) -> _Found:
    """Evaluate the finding's day again and return the finding. Exits with code 1 if it does not exist."""
    day, rule = parse_finding_id(finding_id)
    on, limits = date.fromisoformat(day), load_limits(limits_file)
    for each in ledgers.nodes:
        with progress_bar(f"reading {each.node}") as progress:
            for finding in LedgerScan(each.reader, each.node, limits, [rule]).findings(on, on, progress):
                if finding.id == finding_id:
                    return _Found(finding, each)
    _tell(Message("{finding}: there is no such finding in this ledger, by these limits", finding=finding_id))
    raise typer.Exit(command_line.NEGATIVE)


def _line(finding: Finding) -> tuple[str, ...]:
    """The finding as a table row in the order of `_COLUMNS`."""
    return (
        finding.id, finding.state.value, finding.shown_subject, local_time(finding.first)[:16],
        f"{len(finding.sign.calls):,}", _chance(finding), translated(finding.reason),
    )  # fmt: skip


def _chance(finding: Finding) -> str:
    return "" if finding.sign.chance is None else f"{finding.sign.chance:.0e}"


def _call(call: CallOutline) -> tuple[object, ...]:
    return (
        local_time(datetime.fromtimestamp(call.at_s, UTC)), call.call_id, call.direction, call.called_kind, call.reason,
        call.status or "…", "" if call.talk_s is None else f"{call.talk_s:.1f}",
    )  # fmt: skip


def _tell(message: Message) -> None:
    print(translated(message), file=sys.stderr)
