"""`idtone-evidence monitor` and `verify split-view`: commands that monitor logs and verify proofs of split views."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from idtone.core import log_output
from idtone.core.errors import ProofError, UsageError
from idtone.core.files import reading
from idtone.core.settings.settings import load_settings
from idtone.core.signed_notes import Algorithm
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated

from ..monitor.alarms import to_second
from ..monitor.findings_page import LogReport
from ..monitor.monitor import Monitor
from ..monitor.monitored_logs import read_monitored
from ..monitor.split_view import LIMIT, SplitView
from ..tree.checkpoints import Checkpoint
from .options import parse_key, print_given_up_ends


def monitor(
    logs_file: Annotated[Path, typer.Argument(metavar="FILE", help="The logs to follow (YAML), like monitor.yaml.")],
    once: Annotated[bool, typer.Option("--once", help="Check each log once, print the findings, and exit.")] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Follow the published ledgers of others and ask their witnesses, until SIGTERM. Alarms are written to the log.

    It reads new entries, verifies that they extend the ledger it has seen, and checks each record against the ledger's
    rules. It raises an alarm if a log has two histories or fewer records than before, is silent, or breaks a rule, and
    if a witness is late. It stores the proof of two histories. With `page` in FILE, it also writes a page with its
    findings.

    It uses only `log` of the settings. Exit 1, with --once: there is an alarm.
    """
    followed = read_monitored(logs_file)
    over = threading.Event()
    if as_json and not once:
        raise UsageError("--json prints what one look has found; add --once")
    with Monitor(followed).locked() as held, _ended_by_signal(over):
        if not once:
            log = load_settings(config).log
            log_output.begin_logging(log.format, log.level)
            logging.getLogger("urllib3").setLevel(logging.ERROR)  # a lasting failure becomes an alarm anyway
            held.run(over)
            return
        reports = held.look(over.is_set)
    if as_json:
        command_line.print_json([each.to_json() for each in reports])
    else:
        for each in reports:
            _tell(each)
    if over.is_set() or any(each.alarms or each.trouble for each in reports):
        command_line.exit_negative()


@contextmanager
def _ended_by_signal(over: threading.Event) -> Iterator[None]:
    """Set `over` when SIGTERM or SIGINT arrives during the block.

    Everything verified up to that point is kept.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: over.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _tell(report: LogReport) -> None:
    head = Message(
        "{origin}: {leaves:,} leaves, {judged:,} of them judged",
        origin=report.origin,
        leaves=report.leaves,
        judged=report.known.checked,
    )
    command_line.say(head)
    if report.trouble:
        print(f"  {translated(report.trouble)}")
    print_given_up_ends(each.to_json() for each in report.known.ends_given_up.counted)
    if report.given_up:
        print(f"  {translated(report.given_up)}")
    for each in report.alarms:
        print(translated("  ALARM {kind}, since {since}: ", kind=each.kind, since=to_second(each.since)), end="")
        command_line.say(each.text)
        if each.proof:
            command_line.say("  proof {path}", path=each.proof)


def verify_split_view(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The proof that a monitor stored: split-view-….json.")],
    log_key: Annotated[
        str,
        typer.Option(
            "--log-key",
            metavar="VKEY",
            help="The ledger's verifier key (idtone-evidence log key), from the ledger's owner.",
        ),
    ],
    as_json: command_line.JsonOption = False,
) -> None:
    """Verify a monitor's proof that the key of a ledger has signed two histories.

    It needs only the file and the key. Exit 1: the file does not prove it.
    """
    log = parse_key("--log-key", log_key, Algorithm.ED25519)
    with reading(file, UsageError), file.open("rb") as opened:
        octets = opened.read(LIMIT)
    fault, sizes = "", (0, 0)
    try:
        view = SplitView.parse(octets)
        view.check(log)
        sizes = (view.size, Checkpoint.parse(view.second.text).size)
    except ProofError as error:
        fault = str(error)
    if as_json:
        command_line.print_json({"proven": not fault, "log": str(log), "leaves": list(sizes), "fault": fault})
    elif fault:
        command_line.say("NOT PROVEN: {fault}", fault=fault)
    else:
        command_line.say(
            "proven: {log} has signed two histories, one with a head of {first:,} leaves and one with a head "
            "of {second:,}; they differ within the first {first:,}",
            log=log.name,
            first=sizes[0],
            second=sizes[1],
        )
    if fault:
        command_line.exit_negative()
