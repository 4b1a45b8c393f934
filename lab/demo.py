"""Places five calls through a real Asterisk and reports each: `make demo`, or with `--json` one JSON document.

    python -m lab.demo [--json]

Exits with 0 only if each call had its expected result. Stops everything that it started.
"""

import argparse
import asyncio
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import idtone
from idtone.core.calls import Outcome, Reason
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library

from . import voices
from .asterisk import Asterisk, Ending
from .asterisk_installation import AsteriskMissing, find_or_get
from .lab import LICENSED, SUSPENDED, Forwarding, Lab, PlacedCall, lab
from .processes import end_in_order
from .service import Service
from .sound_detection import hear_whole, identify

REGISTRY: Final = Path(__file__).with_name("registry.yaml")
EXPIRED: Final = "0352345678"
AT_ONCE_MS: Final = 150
"""Milliseconds within which the parties of an emergency call must hear each other."""
CELL_MS: Final = 20
"""Milliseconds in one cell of the timeline: the duration of one packet."""


@dataclass(frozen=True)
class Case:
    """One call of the demo and its expected result. `profile` is None if no sound is expected."""

    name: str
    forwarding: Forwarding
    outcome: Outcome
    reason: Reason
    status: str
    profile: str | None
    fallback: bool = False
    """True if the hook handles the call without the service."""
    service: bool = True

    @property
    def dialled(self) -> bool:
        return self.outcome is not Outcome.REFUSE


CASES: Final = (
    Case("licensed", Forwarding(LICENSED), Outcome.PLAY, Reason.LICENCE_VALID, "CONNECTED", "sample"),
    Case("licence expired", Forwarding(EXPIRED), Outcome.NOTICE, Reason.LICENCE_EXPIRED, "CONNECTED", "notice"),
    Case("suspended number", Forwarding(SUSPENDED), Outcome.REFUSE, Reason.NUMBER_SUSPENDED, "REFUSED", None),
    Case(
        "emergency number",
        Forwarding(LICENSED, dialled="110"),
        Outcome.BYPASS,
        Reason.EMERGENCY,
        "CONNECTED",
        None,
        fallback=True,
    ),
    Case(
        "service not running",
        Forwarding(LICENSED),
        Outcome.NOTICE,
        Reason.SERVICE_UNAVAILABLE,
        "CONNECTED",
        "notice",
        fallback=True,
        service=False,
    ),
)


@dataclass(frozen=True)
class HeardSound:
    """Sound and voice in the called phone's RTP. Times are milliseconds after its answer."""

    profile: str | None = None
    onset_ms: float | None = None
    end_ms: float | None = None
    voice_ms: float | None = None
    """Time at which the caller's voice is first audible."""


@dataclass(frozen=True)
class Finding:
    """Measured result of one call.

    `evidence` is the ledger's record. If the service was not asked, this record comes from the hook's journal.
    """

    case: str
    outcome: str
    reason: str
    dialled: bool
    connected: bool
    heard: HeardSound
    status: str
    evidence: dict[str, Any] | None


def finding(case: Case, placed: PlacedCall, ending: Ending, evidence: dict[str, Any] | None) -> Finding:
    return Finding(
        case=case.name,
        outcome=evidence["outcome"] if evidence else "none recorded",
        reason=ending.reason,
        dialled=placed.called is not None,
        connected=placed.caller.answered_ns is not None,
        heard=listen(placed),
        status=ending.status,
        evidence=evidence,
    )


def listen(placed: PlacedCall) -> HeardSound:
    """The sound and the voice in the called phone's capture, measured without the service's log."""
    called = placed.called
    if called is None or called.answered_ns is None:
        return HeardSound()
    profile = identify(called.packets, REFERENCES)
    reference = REFERENCES[profile] if profile else None
    measured = hear_whole(called.packets, called.answered_ns, reference=reference, voice=voices.CALLER)
    if profile and not measured.complete:
        profile = f"{profile} (damaged)"
    return HeardSound(profile, *(_rounded(at) for at in (measured.onset_ms, measured.end_ms, measured.voice_ms)))


REFERENCES: Final = {name: synthesise(profile, 8000) for name, profile in load_library().items()}


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


def faults(case: Case, found: Finding) -> list[str]:
    """Differences between the call and its expected result."""
    heard, wrong = found.heard, []
    expected: Mapping[str, object] = {
        "outcome": case.outcome.value,
        "reason": case.reason.value,
        "status": case.status,
        "dialled": case.dialled,
        "connected": case.dialled,
    }
    for name, value in expected.items():
        if (was := getattr(found, name)) != value:
            wrong.append(f"{name} is {was}, not {value}")
    if heard.profile != case.profile:
        wrong.append(f"the called phone heard {heard.profile or 'no sound'}, not {case.profile or 'no sound'}")
    if case.dialled and heard.voice_ms is None:
        wrong.append("the called phone never heard the caller")
    if heard.voice_ms is not None and heard.end_ms is not None and heard.voice_ms < heard.end_ms:
        wrong.append("the caller was heard before the sound had ended")
    if case.outcome is Outcome.BYPASS and heard.voice_ms is not None and heard.voice_ms > AT_ONCE_MS:
        wrong.append(f"the parties heard each other only after {heard.voice_ms} ms")
    evidence = found.evidence
    if evidence is None:
        wrong.append("there is no evidence")
    elif not evidence["complete"] or evidence["sent"] != bool(case.profile):
        wrong.append("the evidence does not say what was sent to the phone")
    elif evidence["fallback"] != case.fallback:
        wrong.append("the evidence does not say who handled the call")
    return wrong


async def place_case(phones: Lab, case: Case, service: Service, screen: Console) -> Finding:
    placed = await phones.place(case.forwarding)
    if placed.caller.answered_ns is not None:
        await phones.talk_and_hang_up(placed)
    ending = await phones.ending(placed)
    await phones.nothing_is_left()
    if not case.service:
        screen.print("starting idtone serve again …")
        await asyncio.to_thread(service.start)
    records = await asyncio.to_thread(service.records)
    return finding(case, placed, ending, records.get(ending.call_id))


async def run(asterisk: Asterisk, service: Service, screen: Console) -> list[tuple[Case, Finding]]:
    found = []
    async with lab(asterisk) as phones:
        for case in CASES:
            if not case.service and service.process:
                screen.print("stopping idtone serve …")
                await asyncio.to_thread(service.stop)
            found.append((case, await place_case(phones, case, service, screen)))
            print_call(screen, *found[-1])
    return found


# -- for people -------------------------------------------------------------------------------------------------------


def print_call(screen: Console, case: Case, found: Finding) -> None:
    """Print one call as text, with a timeline of the called phone's sounds."""
    number, dialled = case.forwarding.number, case.forwarding.dialled
    screen.print(f"\n[bold]{case.name}[/bold]: a call of {number} is forwarded to {dialled}")
    screen.print(f"  decided    {found.outcome}, because {found.reason}; the hook returns {found.status}")
    screen.print(f"  heard      {heard_in_words(found)}")
    if found.heard.voice_ms is not None:
        screen.print(f"             {timeline(found.heard)}", highlight=False)
    if found.evidence:
        record = found.evidence
        number_seen = record["numbers"]["forwarding"]
        steps = ", ".join(f"{step} {at[11:23]}" for step, at in record["times"].items())
        licence = f", licence {record['licence']}" if record["licence"] else ""
        screen.print(f"  evidence   {record['call_id']}: number …{number_seen['last4']}{licence}")
        screen.print(f"             {steps} (UTC)", highlight=False)
    for fault in faults(case, found):
        screen.print(f"  [bold red]wrong[/bold red]      {escape(fault)}")


def heard_in_words(found: Finding) -> str:
    heard = found.heard
    if not found.dialled:
        return "nothing: the called phone never rang"
    if not found.connected:
        return "nothing: the parties were never connected"
    voice = "the caller never" if heard.voice_ms is None else f"the caller from {heard.voice_ms:.0f} ms"
    if heard.profile is None:
        return f"no sound; {voice} after the answer"
    return f"{heard.profile} from {heard.onset_ms:.0f} to {heard.end_ms:.0f} ms after the answer, {voice}"


def timeline(heard: HeardSound) -> str:
    """Timeline from the answer on, with one character per 20 ms.

    `·` is silence, `♪` is the sound, and `█` is the caller's voice.
    """
    end_ms = (heard.voice_ms or 0) + 5 * CELL_MS
    cells = []
    for cell in range(int(end_ms / CELL_MS) + 1):
        middle_ms = (cell + 0.5) * CELL_MS
        if heard.voice_ms is not None and middle_ms >= heard.voice_ms:
            cells.append("█")
        elif heard.onset_ms is not None and heard.end_ms is not None and heard.onset_ms <= middle_ms <= heard.end_ms:
            cells.append("♪")
        else:
            cells.append("·")
    return "".join(cells)


def evidence_in_words(evidence: dict[str, Any] | None) -> str:
    if evidence is None:
        return "none"
    return "entered later" if evidence["fallback"] else "yes"


def table(found: list[tuple[Case, Finding]]) -> Table:
    shown = Table("call", "outcome", "reason", "rang", "heard", "sound ms", "voice ms", "status", "evidence", "")
    for case, call in found:
        heard = call.heard
        sound = f"{heard.onset_ms:.0f}–{heard.end_ms:.0f}" if heard.onset_ms is not None and heard.end_ms else "–"
        shown.add_row(
            call.case,
            call.outcome,
            call.reason,
            "yes" if call.dialled else "no",
            heard.profile or "–",
            sound,
            "–" if heard.voice_ms is None else f"{heard.voice_ms:.0f}",
            call.status,
            evidence_in_words(call.evidence),
            "[red]✗[/red]" if faults(case, call) else "[green]✓[/green]",
        )
    return shown


# -- the whole --------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    as_json = parser.parse_args().json
    end_in_order()
    screen = Console(file=sys.stderr if as_json else sys.stdout, width=None if sys.stdout.isatty() else 130)
    began_s = time.monotonic()
    try:
        installation = find_or_get()
    except AsteriskMissing as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="idtone-demo-") as scratch:
        screen.print(f"starting Asterisk {installation.version} ({installation.origin}) …")
        asterisk = Asterisk(installation, Path(scratch))
        service = Service(asterisk, REGISTRY)
        with asterisk:
            screen.print("starting idtone serve …")
            with service:
                found = asyncio.run(run(asterisk, service, screen))
    good = not any(faults(case, call) for case, call in found)
    if as_json:
        versions = {
            "idtone": idtone.__version__,
            "asterisk": installation.version,
            "python": platform.python_version(),
        }
        calls = [asdict(call) for _, call in found]
        json.dump({"versions": versions, "good": good, "calls": calls}, sys.stdout, ensure_ascii=False, indent=2)
        print()
    else:
        screen.print()
        screen.print(table(found))
        verdict = "Each call did what it should" if good else "Not every call did what it should"
        screen.print(f"{verdict}; {time.monotonic() - began_s:.0f} s. Nothing was left running.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
