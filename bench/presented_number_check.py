"""Calls that present numbers of all kinds in all spellings, with the service up, down and restarting.

    python -m bench.presented_number_check [--calls 10000] [--rate 20] [--seed N] [--json]

`presented_calls` makes the calls with their required outcomes. SIPp offers them to a real Asterisk: incoming and
outgoing, through the hook and the operator's own Dial(), over ARI and AGI. Another SIPp answers, and records each
number that it was shown. The restarts are in turn a stop, a kill, and a hand-over to the next instance. The brake is
off: it would stop the lines, and `make bench-brake` measures it. The limit of calls that wait for a verdict is so high
that none is rejected while the service restarts on a loaded machine: `make bench-overload` measures that.

A call is wrong if it was connected against the requirement, or refused against it; if the called phone was shown
another number than the checked one; or if the ledger has no complete record of it with the same outcome. Exits with 1
if a call is wrong, or the ledger does not verify.
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import NumberRole
from lab.asterisk import IDTONE, LOOPBACK, Asterisk, free_ports
from lab.asterisk_installation import find_or_get
from lab.pjsip_conf import pjsip
from lab.processes import end_in_order
from lab.service import Service
from lab.sip import Party
from lab.sipp import LEAVE_S, call_arguments, called, log_lines, start_sipp
from lab.site import BARE

from .bench_output import PROGRESS, options, print_table, report
from .presented_calls import CONNECTED, GROUPS, KINDS, LINES, REFUSED, TABLE, OfferedCall, draw_calls, registry_text

UP, AWAY, RESTARTING = "up", "away", "restarting"
STATES: Final = (UP, AWAY, RESTARTING)
HOLD_S: Final = 0.1
"""Seconds that a connected call lasts after its sound."""
WAITING: Final = 500
"""Highest number of calls that may wait for a verdict."""
SHOWN_WRONG: Final = 20
WIDTH: Final = 190
"""Width of the table in columns."""
DIALPLAN: Final = """
#include idtone.conf

[globals]
IDTONE_INTERFACE=ari

[from-lab]
exten = _X.,1,Set(NUMBER=${URIDECODE(${PJSIP_HEADER(read,X-Number)})})
 same = n,Set(DIRECTION=${PJSIP_HEADER(read,X-Direction)})
 same = n,Set(__IDTONE_INTERFACE=${PJSIP_HEADER(read,X-Interface)})
 same = n,Set(PHONE=PJSIP/phone/sip:${EXTEN}@127.0.0.1:${PJSIP_HEADER(read,X-Port)}\\;lab=${PJSIP_HEADER(read,X-Call)})
 same = n,GotoIf($["${PJSIP_HEADER(read,X-Way)}" = "own-dial"]?own)
 same = n,Gosub(idtone-forward,s,1(${PHONE},${NUMBER},${DIRECTION},,${EXTEN}))
 same = n,Hangup(${IDTONE_CAUSE})
 same = n(own),Dial(${PHONE},,gU(idtone-called^${NUMBER}^${DIRECTION}^${EXTEN}))
 same = n,Hangup(${HANGUPCAUSE})
"""


def endpoints() -> str:
    """The part of `pjsip.conf` with the lines and the called phone."""
    common = (
        "type = endpoint\ncontext = from-lab\ndisallow = all\nallow = ulaw\ndirect_media = no\n"
        f"media_address = {LOOPBACK}\nbind_rtp_to_media_address = yes\n"
    )
    text = f"[phone]\n{common}send_pai = yes\nsend_rpid = yes\nsend_history_info = yes\n"
    for line in LINES:
        text += f"[{line.name}]\n{common}trust_id_inbound = {'yes' if line.trusted else 'no'}\n"
        text += f"accountcode = {line.account}\n" if line.account else ""
        text += f"[named-{line.name}]\ntype = identify\nendpoint = {line.name}\n"
        text += f"match_header = X-Lab-Endpoint: {line.name}\n"
    return text


@dataclass(frozen=True, slots=True)
class PresentedHeaders:
    """The user parts of the INVITE that the called phone received.

    `identities` are those in P-Asserted-Identity and Remote-Party-ID.
    """

    sender: str
    identities: tuple[str, ...]
    diversion: str
    history: str

    @classmethod
    def read(cls, line: str) -> tuple[str, PresentedHeaders]:
        """Parse the call's name and its numbers from a line of the called phone's log."""
        name, sender, _, *identities, diversion, history = line.split("|")
        return name.removeprefix("lab="), cls(
            _user(sender), tuple(_user(each) for each in identities if each), _user(diversion), _user(history)
        )


def _user(header: str) -> str:
    return Party.parse(header.strip()).uri.user if header.strip() else ""


def national(text: str) -> str:
    """Convert a Japanese number to national form, from any form that the hook sends."""
    return f"0{text.removeprefix('+')[2:]}" if text.removeprefix("+").startswith("81") else text


@dataclass
class ObservedCall:
    """The observed calls, by name: their final status, and the numbers at the called phone."""

    status: dict[str, str] = field(default_factory=dict)
    shown: dict[str, PresentedHeaders] = field(default_factory=dict)


def find_fault(call: OfferedCall, state: str, seen: ObservedCall, records: Sequence[Record]) -> str:
    """Reason why a call is wrong; empty if it is right."""
    status = seen.status.get(call.name)
    if status is None:
        return "has no end"
    became = CONNECTED if status == "200" else REFUSED
    if len(records) != 1:
        return f"{became}, and has {len(records)} records"
    (record,) = records
    if state == UP and record.fallback:
        return "was decided without the service, which was up"
    must = call.required_outcome(record.fallback)
    told = f"{became} ({status}): {record.reason}{', without the service' if record.fallback else ''}"
    if became != must:
        return f"must be {must}, and was {told}"
    if (became == CONNECTED) != (record.outcome in ("PLAY", "NOTICE")) or not record.complete:
        return f"was {told}; its record says {record.outcome}, {record.status}, complete: {record.complete}"
    return find_shown_fault(call, seen.shown.get(call.name), became)


def find_shown_fault(call: OfferedCall, shown: PresentedHeaders | None, became: str) -> str:
    """Fault in the numbers at the called phone; empty if there is none."""
    if shown is None:
        return "" if became == REFUSED else "did not arrive"
    if became == REFUSED:
        return "" if call.way == "own-dial" else f"arrived, with the number {shown.sender}"
    numbers = {national(each) for each in (shown.sender, *shown.identities)}
    if call.direction == "outgoing" and call.way == "hook":
        if numbers != {call.number} or len(shown.identities) != 2 or shown.diversion:
            return f"showed {shown} instead of the checked number"
    elif (shown.sender, *shown.identities) != (call.shows,) * 3:
        return f"showed {shown} instead of what its caller shows"
    elif call.way == "hook" and {national(shown.diversion), national(shown.history)} != {call.number}:
        return f"was diverted by {shown}, and not by the checked number"
    return ""


# -- making the calls --------------------------------------------------------------------------------------------------


def offer_calls(
    asterisk: Asterisk, calls: Sequence[OfferedCall], rate: float, folder: Path, seen: ObservedCall
) -> None:
    """Place calls with SIPp, and wait until they end."""
    caller = folder / "caller"
    caller.mkdir(parents=True)
    (caller / "numbers.csv").write_text("SEQUENTIAL\n" + "".join(f"{call.row()}\n" for call in calls))
    lasts_s = len(calls) / rate + LEAVE_S
    with called(folder / "called", scenario="shown") as answering:
        port, media_port = free_ports(2, socket.SOCK_DGRAM)
        process = start_sipp(
            "offering", caller, port, media_port, *call_arguments(rate, len(calls), lasts_s, HOLD_S),
            "-key", "called", str(answering.port), f"{asterisk.sip_address[0]}:{asterisk.sip_address[1]}",
        )  # fmt: skip
        try:
            process.wait(lasts_s + LEAVE_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    for line in log_lines(caller):
        name, status = line.split(";")
        seen.status[name] = status
    seen.shown |= dict(map(PresentedHeaders.read, log_lines(answering.folder)))


def restart_repeatedly(service: Service, dice: random.Random, over: threading.Event, done: Counter[str]) -> None:
    """Stop the service, kill it, and hand it over to a new instance, in turns, until `over` is set."""
    while not over.is_set():
        for way in ("stopped", "killed", "relieved"):
            before = service.process
            if way == "relieved":
                assert before
                service.start("--take-over", timeout_s=60)
                before.wait(30)
            else:
                service.stop(*([SIGKILL] if way == "killed" else []))
                over.wait(dice.uniform(0.1, 2))
                service.start(timeout_s=60)
            done[way] += 1
            over.wait(dice.uniform(0.2, 2))


@contextmanager
def restarting(service: Service, seed: int, done: Counter[str]) -> Iterator[None]:
    """Restart the service repeatedly during the block.

    The service is up after the block.
    """
    over, failed = threading.Event(), list[Exception]()

    def restart() -> None:
        try:
            restart_repeatedly(service, random.Random(f"restarts/{seed}"), over, done)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if failed:
            raise failed[0]


@dataclass
class NumberResults:
    """The results of the check: counts of calls by kind, spelling and state, and the faults."""

    seed: int
    restarts: Counter[str] = field(default_factory=Counter)
    cells: dict[tuple[str, str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[str] = field(default_factory=list)
    records: int = 0
    verified: bool = False
    seconds: float = 0.0


def run(scratch: Path, seed: int, count: int, rate: float) -> NumberResults:
    """Run the calls on a newly started Asterisk, and return the results."""
    found, seen, began_s = NumberResults(seed), ObservedCall(), time.monotonic()
    asterisk = Asterisk(find_or_get(), scratch / "pbx", exported={"IDTONE_POLICY_WAITING": str(WAITING)}, site=BARE)
    asterisk.dialplan_files = {
        "extensions.conf": DIALPLAN,
        "pjsip.conf": pjsip(asterisk.sip_address) + endpoints(),
    }
    (scratch / "registry.yaml").write_text(registry_text(datetime.now(UTC)))
    (scratch / "numbers.yaml").write_text(TABLE)
    service = Service(
        asterisk,
        scratch / "registry.yaml",
        f"waiting: {WAITING}",
        lines=f"source: {scratch / 'numbers.yaml'}",
        brake="highest: nothing",
    )
    calls = draw_calls(seed, count)
    third = -(-count // len(STATES))
    parts = {state: calls[at * third : (at + 1) * third] for at, state in enumerate(STATES)}
    with asterisk:
        service.start(timeout_s=60)
        try:
            for state, part in parts.items():
                PROGRESS.print(f"{state}: {len(part)} calls …")
                if state == AWAY:
                    service.stop()
                if state == RESTARTING:
                    service.start(timeout_s=60)
                    with restarting(service, seed, found.restarts):
                        offer_calls(asterisk, part, rate, scratch / state, seen)
                else:
                    offer_calls(asterisk, part, rate, scratch / state, seen)
            judge(service, parts, seen, found)
        finally:
            service.stop()
    found.seconds = time.monotonic() - began_s
    return found


def judge(
    service: Service, parts: Mapping[str, Sequence[OfferedCall]], seen: ObservedCall, found: NumberResults
) -> None:
    """Compare the calls with the requirements and the ledger, and add the faults to `found`."""
    service.entered()
    records: dict[str, list[Record]] = defaultdict(list)
    with service._reader() as reader:
        for record in reader.records():
            if NumberRole.CALLED in record.clear_numbers:
                records[national(record.clear_numbers[NumberRole.CALLED].e164)].append(record)
    found.records = sum(map(len, records.values()))
    for state, calls in parts.items():
        for call in calls:
            problem = find_fault(call, state, seen, records[call.dialled])
            cell = found.cells[state, call.kind, call.group]
            cell.update(("calls", CONNECTED if seen.status.get(call.name) == "200" else REFUSED))
            if problem:
                cell["wrong"] += 1
                found.wrong.append(
                    f"{state}: {call.kind}, {call.direction}, {call.way}, {call.interface}: {problem}\n  {call}"
                )
    command = service.as_itself([IDTONE, "ledger", "verify", "-c", service.settings])
    found.verified = subprocess.run(command, capture_output=True, check=False).returncode == 0


# -- showing them ------------------------------------------------------------------------------------------------------


def rows(found: NumberResults, state: str) -> list[dict[str, Any]]:
    """Table rows, one for each kind of number.

    For each group of spellings, a row has `calls = connected + refused`, and the number of wrong calls.
    """

    def text(cells: Sequence[Counter[str]]) -> str:
        whole = sum(cells, Counter[str]())
        told = f"{whole[CONNECTED]}+{whole[REFUSED]}" if whole else ""
        return f"{told} !{whole['wrong']}" if whole["wrong"] else told

    return [
        {"kind": kind}
        | {group: text([found.cells[state, kind, group]]) for group in GROUPS}
        | {"all": text([found.cells[state, kind, group] for group in GROUPS])}
        for kind in KINDS
    ]


def main() -> int:
    chosen = options(__doc__, calls=10_000, rate=20.0, seed=random.randrange(1_000_000)).parse_args()
    end_in_order()
    scratch = Path(tempfile.mkdtemp(prefix="idtone-numbers-"))
    try:
        found = run(scratch, chosen.seed, chosen.calls, chosen.rate)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    whole = sum(found.cells.values(), Counter[str]())
    summary: dict[str, Any] = {
        "seed": found.seed, "calls": whole["calls"], CONNECTED: whole[CONNECTED], REFUSED: whole[REFUSED],
        "wrong": whole["wrong"], "records": found.records, "ledger_verified": found.verified,
        "restarts": dict(found.restarts), "brake": "off", "seconds": round(found.seconds),
    }  # fmt: skip
    if chosen.json:
        summary["cells"] = [
            {
                "state": state,
                "kind": kind,
                "spelling": group,
                **{name: cell[name] for name in ("calls", CONNECTED, REFUSED, "wrong")},
            }
            for (state, kind, group), cell in found.cells.items()
            if cell
        ]
    else:
        for state in STATES:
            print_table(f"{state}: connected + refused !wrong", rows(found, state), WIDTH)
    report("whose number", summary, chosen.json)
    for problem in found.wrong[:SHOWN_WRONG]:
        PROGRESS.print(problem)
    return int(bool(found.wrong) or not found.verified)


if __name__ == "__main__":
    sys.exit(main())
