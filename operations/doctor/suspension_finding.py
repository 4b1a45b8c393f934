"""The doctor's check of the node's own suspensions. Its finding never shows telephone numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from idtone.core.translation import Message, joined
from idtone.registry.suspensions.own_suspension import OwnSuspension
from idtone.registry.suspensions.suspension_states import DUTY_WORDS, SuspensionState

from .findings import Finding, bad, good, unknown, warning

TOPIC: Final = "own-suspensions"
SOON: Final = timedelta(minutes=1)
"""Age from which a suspension that is not in force is reported. Once approved, it is in force within a second. Until
then it waits for a person, who can be reached by telephone."""


def unreadable(problem: str, may_read: bool) -> Finding:
    """Explain that the suspensions file cannot be read.

    `problem` names the file and the remedy. `may_read` is False if only another user may read the file.
    """
    if not may_read:
        return unknown(TOPIC, problem, Message("Run this as the user that `idtone serve` runs as"))
    return bad(TOPIC, problem, Message("Do that, then systemctl restart idtone"))


def judge(found: Sequence[OwnSuspension], now: datetime) -> Finding:
    late = [
        each
        for each in found
        if each.state is SuspensionState.APPROVED and each.approved and now - each.approved.at > SOON
    ]
    if late:
        return bad(
            TOPIC,
            Message("not in force: {names}", names=", ".join(each.id for each in late)),
            Message("systemctl start idtone; if it runs, its log says why, and `idtone suspensions list`"),
        )
    waiting = [each for each in found if each.state is SuspensionState.ASKED and now - each.asked.at > SOON]
    elsewhere = [
        (each, nodes)
        for each in found
        if (act := each.lifted or each.approved) and now - act.at > SOON and (nodes := each.waiting_nodes())
    ]
    overdue = [(each, duty) for each in found for duty in each.open_duties() if duty.is_overdue(now)]
    parts = [
        *(Message("{id} waits for the approval of another person", id=each.id) for each in waiting),
        *(Message("{id}: not confirmed by {nodes}", id=each.id, nodes=", ".join(nodes)) for each, nodes in elsewhere),
        *(
            Message("{id}: {kind} was due on {due}", id=each.id, kind=Message(DUTY_WORDS[duty.kind]), due=duty.due)
            for each, duty in overdue
        ),
    ]
    if parts:
        return warning(
            TOPIC,
            joined("; ", parts),
            Message("idtone-fleet status")
            if elsewhere and len(parts) == len(elsewhere)
            else Message(
                "idtone suspensions list; then idtone suspensions approve or lift, or idtone-evidence duty close"
            ),
        )
    in_force = sum(each.state is SuspensionState.IN_FORCE for each in found)
    return good(TOPIC, Message("{count} in force", count=in_force))
