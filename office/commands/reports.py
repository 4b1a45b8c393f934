"""The `report` commands of `idtone-office`, for reports (申告) about calls and services."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone.core.errors import UsageError
from idtone.core.numbers import parse
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress
from idtone.core.terminal.prompts import ask_line, ask_passphrase
from idtone.core.translation import Message, translated
from idtone.member.reports.report import ReportedCall, ReportedService

from ..desk.document_desk import DocumentDesk
from ..desk.reports.call_traceback import ReportResult, Stage
from ..desk.reports.desk_key import OFFICER_FILE, load_officer_key, make_officer_key
from ..desk.reports.report_desk import COUNTED_FOR, ReportDesk
from ..desk.reports.report_store import CountedBy, KeptReport, KeptRequest
from ..desk.reports.take_report import TakenBy, take_report
from .options import FolderOption, WhyOption, ask_any_number, checked_line, in_japan, parse_end, parse_moment

ReportArgument = Annotated[str, typer.Argument(metavar="ID", help="The report's id, as `report list` shows it.")]


def _reports(folder: Path) -> ReportDesk:
    return ReportDesk(DocumentDesk(folder, {}))


def list_reports(
    folder: FolderOption,
    stage: Annotated[
        Stage | None, typer.Option("--stage", help="Only reports on which this party has to act, or only closed ones.")
    ] = None,
    by_number: Annotated[
        bool, typer.Option("--number", help="Only reports about one number, which is asked for.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many, the newest.")] = 50,
    as_json: command_line.JsonOption = False,
) -> None:
    """List reports (申告), the newest last: the holder of the number or the service, who has to act, and the result."""
    desk = _reports(folder)
    token = desk.key.token(ask_any_number()) if by_number else None
    with progress() as bar:
        listed = bar.track(desk.store.listed(stage, token, limit), description=translated("opening"))
        found = [_facts(desk, each) for each in listed]
    if as_json:
        command_line.print_json(found)
        return
    columns = ("id", "received", "number", "service", "holder", "stage", "finding", "result", "reporter")
    command_line.Rows(columns, whole=("id",)).print([[each[name] for name in columns] for each in found])


def show_report(folder: FolderOption, report_id: ReportArgument, as_json: command_line.JsonOption = False) -> None:
    """Show one report: the number or the service, what happened, and what each member has answered. The reporter stays
    sealed.

    The command shows the whole number, and the office's ledger records that the report was shown.
    """
    desk = _reports(folder)
    kept = desk.named(report_id)
    if kept.is_forgotten:
        raise UsageError("what {report_id} said was erased; `report list` shows what is left", report_id=report_id)
    matter = desk.matter(kept.sealed)
    desk.shown(report_id)
    requests = desk.store.requests_of(report_id)
    facts = {
        **_facts(desk, kept), **_call_facts(matter), "what": matter.what, "via": kept.via, "basis": kept.holder.basis,
        "why": kept.why, "attachments": [each.model_dump() for each in matter.attachments],
        "requests": [_request_facts(each) for each in requests],
    }  # fmt: skip
    if as_json:
        command_line.print_json(facts)
        return
    hidden = {"requests", "attachments", "what"}
    print(
        *(f"{name:<15} {value}" for name, value in facts.items() if name not in hidden and value is not None), sep="\n"
    )
    for each in matter.attachments:
        print(f"{'attachment':<15} {each.sha256} {each.name}")
    print(matter.what, end="\n\n")
    columns = (
        "id",
        "member",
        "asked",
        "due",
        "fetched",
        "reminders",
        "answered",
        "result",
        "upstream",
        "calls",
        "delivery",
    )
    command_line.Rows(columns, whole=("id",)).print(
        [[_request_facts(each)[name] for name in columns] for each in requests]
    )


def close_report(
    folder: FolderOption,
    report_id: ReportArgument,
    result: Annotated[ReportResult, typer.Option("--result", help="How the search ended.")],
    why: WhyOption,
) -> None:
    """Close a report with its result. A request that still waits for an answer is withdrawn."""
    _reports(folder).close(report_id, result, checked_line(why, "--why"), datetime.now(UTC))
    command_line.say("{report_id} is closed: {result}", report_id=report_id, result=result.value)


def list_overdue_reports(
    folder: FolderOption,
    remind: Annotated[
        bool, typer.Option("--remind", help="Remind these members: they see it when they fetch their requests.")
    ] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """List the requests whose members have not answered in time. Exit 1: there are some."""
    desk = _reports(folder)
    late = desk.store.overdue(datetime.now(UTC))
    if remind:
        with progress() as bar:
            for each in bar.track(late, description=translated("reminding")):
                desk.remind(each)
    columns = ("id", "report", "member", "asked", "due", "fetched", "reminders")
    found = [_request_facts(each) for each in late]
    if as_json:
        command_line.print_json([{name: each[name] for name in columns} for each in found])
    elif found:
        command_line.Rows(columns, whole=("id", "report")).print([[each[name] for name in columns] for each in found])
    else:
        command_line.say("no request is overdue")
    if found:
        command_line.exit_negative()


def count_reports(
    folder: FolderOption,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only reports since then (default: a year ago).")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Only reports until the end of this day, or before then."),
    ] = None,
    by: Annotated[CountedBy, typer.Option("--by", help="What to count separately by.")] = CountedBy.MONTH,
    as_json: command_line.JsonOption = False,
) -> None:
    """Count reports for publication. Small counts are hidden (`statistics.least` in reports.yaml), and so are other
    counts from which a reader could compute them.
    """
    now = datetime.now(UTC)
    desk = _reports(folder)
    start = parse_moment(since, "--since") if since else now - COUNTED_FOR
    ends = parse_end(until, "--until") if until else now + timedelta(seconds=1)
    least = desk.settings.statistics.least
    shown = desk.statistics(by, start, ends)
    if as_json:
        command_line.print_json({"by": by, "least": least, "counts": dict(shown.counts), "total": shown.total})
        return
    rows = [*shown.counts.items(), ("total", shown.total)]
    command_line.Rows((by, "reports")).print((name, "–" if count is None else count) for name, count in rows)


def forget_reports(
    folder: FolderOption,
    before: Annotated[str, typer.Option("--before", metavar="DAY", help="Reports that were closed before this day.")],
) -> None:
    """Erase the content of old reports and the names of the reporters: number, words, hashes of files, name.

    Only closed reports are erased. Their results and the members' answers stay, for the statistics. The office's ledger
    records the erasure. Copies in backups stay.

    With `retention` in reports.yaml, the running desk does the same by itself.
    """
    count = _reports(folder).forget(parse_moment(before, "--before"))
    command_line.say("{count} reports are forgotten", count=count)


def reveal_reporter(
    folder: FolderOption,
    report_id: ReportArgument,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The report officer's private key.")],
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show who has reported, if the reporter consented to be named. The office's ledger records it.

    Only the report officer's key opens the name; the command asks for its passphrase.
    """
    reason = checked_line(why, "--why")
    desk = _reports(folder)
    desk.named(report_id)
    reporter = desk.reveal(report_id, load_officer_key(key, ask_passphrase(Message("of {path}", path=key))), reason)
    if as_json:
        command_line.print_json(reporter.model_dump())
    else:
        print(reporter.name, reporter.contact, sep="\n")


def new_report_key(
    folder: FolderOption,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key to write; keep it offline.")],
) -> None:
    """Make the report officer's key pair. The desk gets its public half, and can then take the names of reporters.

    The private half, encrypted with a passphrase, opens these names. On a machine without a network, name an empty
    folder, and copy report-officer.pub into the authority's folder.
    """
    public = folder / OFFICER_FILE
    make_officer_key(file, public, ask_passphrase(Message("for the new key {file}", file=file), twice=True))
    for path in (file, public):
        command_line.say("{path} is written", path=path)


def _call_facts(matter: ReportedCall | ReportedService) -> dict[str, Any]:
    if isinstance(matter, ReportedService):
        return {}
    return {
        "number": matter.number,
        "at": in_japan(matter.at).isoformat(),
        "within_minutes": matter.within_minutes,
    }


def _facts(desk: ReportDesk, kept: KeptReport) -> dict[str, Any]:
    """Report as a list row, with only the last digits of its number."""
    number = service = None
    if not kept.is_forgotten:
        matter = desk.matter(kept.sealed)
        if isinstance(matter, ReportedService):
            service = matter.service
        else:
            number = str(parse(matter.number))
    reporter = None if kept.sealed.reporter is None else "consents" if kept.sealed.disclose else "sealed"
    return {
        "id": kept.id, "received": _time(kept.received), "number": number, "service": service,
        "holder": kept.holder.member, "stage": kept.stage, "finding": kept.finding, "result": kept.result,
        "reporter": reporter,
    }  # fmt: skip


def _request_facts(request: KeptRequest) -> dict[str, Any]:
    found = json.loads(request.found) if request.found else None
    return {
        "id": request.id, "report": request.report, "member": request.member, "asked": _time(request.asked),
        "due": _time(request.due), "fetched": _time(request.fetched), "reminders": request.reminders,
        "answered": _time(request.answered), "result": request.result, "upstream": request.upstream,
        "pack": request.pack, **{name: found[name] if found else None for name in ("calls", "call", "delivery")},
    }  # fmt: skip


def _time(at: datetime | None) -> str | None:
    return in_japan(at).isoformat() if at else None


def enter_report(
    folder: FolderOption,
    by: Annotated[TakenBy, typer.Option("--by", help="How the report came.")],
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="The day of the call, in Japan.")] = "",
    time: Annotated[str, typer.Option("--time", metavar="HH:MM", help="The time of the call, in Japan.")] = "",
    within: Annotated[int, typer.Option("--within", min=0, help="How sure the time is, in minutes.")] = 60,
    disclose: Annotated[
        bool, typer.Option("--disclose", help="The reporter has consented to be named to the police or the government.")
    ] = False,
    service: Annotated[
        str, typer.Option("--service", metavar="NAME", help="An operator or a service, in place of a call.")
    ] = "",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a report that came by telephone, by letter or in person. The command asks for number, words and name.

    With --service, the report is about an operator or a service: it needs no call, and the command asks for no number.

    The command prints the receipt number only once: tell it to the reporter.
    """
    if service and (day or time):
        raise UsageError("--service is in place of a call; leave --date and --time out")
    fields = {
        "service": service, "number": "" if service else ask_line("Number"),
        "what": ask_line("What happened, in one line"),
        "name": ask_line("Name of the reporter (may be empty)"),
        "contact": ask_line("How to reach the person (may be empty)"),
        "date": day, "time": time, "within_minutes": str(within), "disclose": "yes" if disclose else "",
    }  # fmt: skip
    report_id, receipt = take_report(_reports(folder), fields, by, datetime.now(UTC))
    if as_json:
        command_line.print_json({"report": report_id, "receipt": receipt})
    else:
        command_line.say(
            "{report_id} is entered; receipt number for the reporter: {receipt}", report_id=report_id, receipt=receipt
        )
