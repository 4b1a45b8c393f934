"""Generates docs/reference/endings.md in both languages from the table of endings.

`tools/reference_pages.py` writes the pages.
"""

from collections.abc import Iterable, Iterator

from lab.endings import IMPOSSIBLE, TABLE, Ending, Event, Step
from lab.repository import ROOT

from . import endings_translation

PAGE = ROOT / "docs" / "reference" / "endings.md"
PAGE_JA = ROOT / "docs" / "ja" / "reference" / "endings.md"
HEAD = """\
# Every ending of a call

Generated from the table in [lab/endings.py](../../lab/endings.py), where each row names the tests that prove it on
a real Asterisk; `make docs` generates the page again. Unless a row says otherwise, it holds for both interfaces (ARI
and AGI), and whether the called party hears the sound or both do. `IDTONE_CAUSE` is a cause of ITU-T Q.850; SIP is the
final response to the caller's INVITE (after 200 a BYE follows).

The steps: deciding (the service is asked), dialling (the called phone has the call and says nothing yet), ringing,
early media, answered (by the called party; the sound is about to begin), sounding, connecting (the sound is over, and
Asterisk is about to connect the parties), connected.
"""
ONLY = {"called": "the called party hears it", "both": "both hear it"}
ONLY_JA = {"called": "着信側だけに音を聞かせる場合", "both": "両者に音を聞かせる場合"}
COLUMNS = "| while | the caller | the called party | evidence | `IDTONE_STATUS` | `IDTONE_CAUSE` | SIP |"
COLUMNS_JA = "| 段階 | 発信側 | 着信側 | 証跡 | `IDTONE_STATUS` | `IDTONE_CAUSE` | SIP |"


def page(japanese: bool) -> str:
    head = endings_translation.HEAD if japanese else HEAD
    return "\n".join((head, *(part for event in Event for part in section(event, japanese))))


def section(event: Event, japanese: bool) -> Iterator[str]:
    said = endings_translation.WORDS.__getitem__ if japanese else str
    yield f"## {endings_translation.EVENTS[event] if japanese else event[0].upper() + event[1:]}\n"
    yield COLUMNS_JA if japanese else COLUMNS
    yield "|---|---|---|---|---|---|---|"
    for row in TABLE:
        if row.event is event:
            cells = (
                where(row, japanese),
                said(row.caller),
                said(row.called),
                said(row.evidence),
                *(either(each, japanese) for each in (row.status, row.cause, row.sip)),
            )
            yield f"| {' | '.join(cells)} |"
    never = [(steps_of(steps, japanese), said(why)) for of, steps, why in IMPOSSIBLE if of is event]
    if japanese:
        yield f"\n起こり得ない段階と理由 — {'。'.join(map(': '.join, never))}。\n" if never else ""
    else:
        reasons = "; ".join(f"{' and '.join(steps.rsplit(', ', 1))}, because {why}" for steps, why in never)
        yield f"\nThis ending is impossible in these states: {reasons}.\n" if never else ""


def where(row: Ending, japanese: bool) -> str:
    by = "{} の場合" if japanese else "by {}"
    only = [by.format(interface.upper()) for interface in row.interfaces if len(row.interfaces) == 1]
    only += [(ONLY_JA if japanese else ONLY)[notify] for notify in row.notify if len(row.notify) == 1]
    if japanese:
        return steps_of(row.steps, japanese) + (f"({'、'.join(only)})" if only else "")
    return steps_of(row.steps, japanese) + (f" ({', '.join(only)})" if only else "")


def steps_of(steps: tuple[Step, ...], japanese: bool) -> str:
    if japanese:
        named = "、".join(endings_translation.STEPS[step] for step in Step if step in steps)
        return "すべての段階" if set(steps) == set(Step) else named
    return "at any step" if set(steps) == set(Step) else ", ".join(step for step in Step if step in steps)


def either(values: Iterable[object], japanese: bool) -> str:
    return (" または " if japanese else " or ").join(map(str, values)) or "–"
