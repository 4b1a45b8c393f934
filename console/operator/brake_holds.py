"""Numbers and lines that the brake has marked, slowed or stopped on any node. Only a command releases them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from idtone.call_control.brake.limits import BrakeStep, LineKind, Signal, SubjectKind
from idtone.call_control.brake.shared_stops import Hold
from idtone.call_control.brake.state_files import read_state, state_path
from idtone.core.settings.brake import HighestStep
from idtone.core.settings.settings import Settings
from idtone.core.translation import template

from ..access.rights import Right
from ..page import Page, Visit

ROWS: Final = 500
"""Maximum number of rows. Stopped subjects come first, followed by the newest."""
STEPS: Final = {
    BrakeStep.MARK: template("marked"),
    BrakeStep.SLOW: template("slowed"),
    BrakeStep.STOP: template("stopped"),
}
KINDS: Final = {
    SubjectKind.ENDPOINT: template("endpoint"),
    SubjectKind.CUSTOMER: template("customer"),
    SubjectKind.TRUNK: template("trunk"),
    SubjectKind.NUMBER: template("number"),
}
LINES: Final = {
    LineKind.EXTENSION: template("extension"),
    LineKind.PBX: template("PBX"),
    LineKind.CALL_CENTRE: template("call centre"),
    LineKind.RESELLER: template("reseller"),
    LineKind.TRUNK: template("trunk"),
    LineKind.NUMBER: template("number"),
}
SIGNALS: Final = {
    Signal.CALLS.word: template("calls in a minute"),
    Signal.PRESENTED.word: template("presented numbers in a minute"),
    Signal.HOUR_CALLS.word: template("calls in an hour"),
    Signal.HOUR_PRESENTED.word: template("presented numbers in an hour"),
    Signal.HOUR_CALLED.word: template("called numbers in an hour"),
}
_SHOWN: Final = 8
"""Number of a token's characters shown, as in `idtone brake list`."""


@dataclass(frozen=True, slots=True)
class BrakedRow:
    """A brake hold as a table row.

    `name` is empty for a number, which visitors who may see it can find in the call.
    """

    step: BrakeStep
    word: str
    kind: str
    line: str
    name: str
    signal: str
    since: datetime
    node: str
    call_id: str
    is_own: bool
    """True if the call is in this node's ledger."""
    token: str


async def show(visit: Visit) -> web.StreamResponse:
    settings = visit.console.settings
    holds = await visit.in_thread(_holds, settings)
    counts = {STEPS[step]: sum(hold.step is step for hold in holds) for step in reversed(STEPS)}
    return visit.render(
        "braked.html",
        rows=rows(holds, settings.node),
        total=len(holds),
        counts=counts,
        is_off=settings.brake.highest is HighestStep.NOTHING,
        stopped=STEPS[BrakeStep.STOP],
        at=datetime.now(UTC),
    )


def _holds(settings: Settings) -> tuple[Hold, ...]:
    """The current holds. Raises UsageError."""
    return read_state(state_path(settings)).holds


def rows(holds: tuple[Hold, ...], node: str) -> list[BrakedRow]:
    """At most `ROWS` holds, with the most severe step first and newer holds before older ones within each step."""
    return [
        BrakedRow(
            hold.step,
            STEPS[hold.step],
            KINDS[hold.kind],
            LINES[hold.line],
            hold.label,
            SIGNALS.get(hold.signal, hold.signal),
            datetime.fromtimestamp(hold.since_s, UTC),
            hold.node,
            hold.call_id,
            hold.node == node,
            hold.token[:_SHOWN],
        )
        for hold in sorted(holds, key=lambda hold: (-hold.step, -hold.since_s))[:ROWS]
    ]


PAGES = (Page("/brake", show, Right.LOOK, title=template("Brake")),)
