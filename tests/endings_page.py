"""docs/reference/endings.md, made of the table of endings; `tests/reference_pages.py` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import ROOT
from .endings import IMPOSSIBLE, TABLE, Ending, Event, Step

PAGE = ROOT / "docs" / "reference" / "endings.md"
HEAD = """\
# Every ending of a call

Generated from the table in [tests/endings.py](../../tests/endings.py), where each row names the tests that prove it on
a real Asterisk; `make docs` generates the page again. Unless a row says otherwise, it holds for both interfaces (ARI
and AGI), and whether the called party hears the sound or both do. `IDTONE_CAUSE` is a cause of ITU-T Q.850; SIP is the
final response to the caller's INVITE (after 200 a BYE follows).

The steps: deciding (the service is asked), dialling (the called phone has the call and says nothing yet), ringing,
early media, answered (by the called party; the sound is about to begin), sounding, connecting (the sound is over, and
Asterisk is about to connect the parties), connected.
"""
ONLY = {"called": "the called party hears it", "both": "both hear it"}


def page() -> str:
    return "\n".join((HEAD, *(part for event in Event for part in section(event))))


def section(event: Event) -> Iterator[str]:
    yield f"## {event[0].upper()}{event[1:]}\n"
    yield "| while | the caller | the called party | evidence | `IDTONE_STATUS` | `IDTONE_CAUSE` | SIP |"
    yield "|---|---|---|---|---|---|---|"
    for row in TABLE:
        if row.event is event:
            cells = (
                where(row), row.caller, row.called, row.evidence,
                either(row.status), either(row.cause), either(row.sip),
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"
    never = [f"{steps_of(steps)}: {why}" for of, steps, why in IMPOSSIBLE if of is event]
    yield f"\nImpossible while {'; while '.join(never)}.\n" if never else ""


def where(row: Ending) -> str:
    only = [f"by {interface.upper()}" for interface in row.interfaces if len(row.interfaces) == 1]
    only += [ONLY[notify] for notify in row.notify if len(row.notify) == 1]
    return steps_of(row.steps) + (f" ({', '.join(only)})" if only else "")


def steps_of(steps: tuple[Step, ...]) -> str:
    return "at any step" if set(steps) == set(Step) else ", ".join(step for step in Step if step in steps)


def either(values: Iterable[object]) -> str:
    return " or ".join(map(str, values)) or "–"
