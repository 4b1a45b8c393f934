"""The doctor's check of the brake. Its findings never show telephone numbers."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from idtone.call_control.brake.limits import BrakeStep
from idtone.call_control.brake.shared_stops import Hold
from idtone.core.settings.brake import HighestStep
from idtone.core.translation import Message, joined

from .findings import Finding, bad, good, unknown, warning

TOPIC: Final = "brake"
LONG_S: Final = 86_400.0
"""Age in seconds from which a mark or a slowing must have a lasting cause, because both end ten minutes after their
cause."""
_SHOWN: Final = 5
_LOOK: Final = Message("idtone brake list; if its calls are ordinary, `idtone brake release TOKEN --why TEXT`")


def unreadable(problem: str, may_read: bool) -> Finding:
    """Explain that one of the brake's files cannot be read.

    `problem` names the file and the remedy. `may_read` is False if only another user may read the file.
    """
    if not may_read:
        return unknown(TOPIC, problem, Message("Run this as the user that `idtone serve` runs as"))
    return bad(TOPIC, problem, Message("Do that, then systemctl restart idtone"))


def judge(highest: HighestStep, holds: Sequence[Hold], now: datetime) -> Finding:
    """Check that the brake stops no subject and restricts none for more than a day.

    `highest` is the highest step that the brake may take.
    """
    if highest is HighestStep.NOTHING:
        return good(TOPIC, Message("not used: brake.highest is nothing"))
    stopped = [hold for hold in holds if hold.step is BrakeStep.STOP]
    lasting = [hold for hold in holds if hold.step is not BrakeStep.STOP and now.timestamp() - hold.since_s > LONG_S]
    parts = []
    if stopped:
        parts.append(Message("stopped until a person releases it: {names}", names=_names(stopped, now.tzinfo)))
    if lasting:
        parts.append(Message("marked or slowed for more than a day: {names}", names=_names(lasting, now.tzinfo)))
    if parts:
        return warning(TOPIC, joined("; ", parts), _LOOK)
    return good(TOPIC, Message("{count:,} subjects are marked or slowed, none is stopped", count=len(holds)))


def _names(holds: Sequence[Hold], zone: tzinfo | None) -> Message:
    oldest = sorted(holds, key=lambda hold: hold.since_s)
    shown = [
        Message(
            "{kind} {name} ({signal}, since {since}, {node})",
            kind=hold.kind,
            name=hold.label or hold.token[:8],
            signal=hold.signal,
            since=f"{datetime.fromtimestamp(hold.since_s, zone):%Y-%m-%d %H:%M}",
            node=hold.node,
        )
        for hold in oldest[:_SHOWN]
    ]
    more = len(holds) - _SHOWN
    names = joined(", ", shown)
    return Message("{names} and {more:,} more", names=names, more=more) if more > 0 else names
