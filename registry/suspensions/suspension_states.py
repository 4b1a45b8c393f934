"""States and duties of a node's own suspension, with their names for people.

The module imports little, because `idtone status` shows them.
"""

from enum import StrEnum
from typing import Final

from idtone.core.translation import template


class SuspensionState(StrEnum):
    ASKED = "asked"
    """One person has ordered it, and another has to approve it."""
    APPROVED = "approved"
    """It is approved, but no node has confirmed yet that it is in use."""
    IN_FORCE = "in-force"
    TAKEN_OVER = "taken-over"
    """The association's own suspension of all its numbers is in force. From then on, only the association's suspension
    counts.
    """
    LIFTED = "lifted"
    WITHDRAWN = "withdrawn"
    """It was requested but withdrawn before it was approved."""


class DutyKind(StrEnum):
    """A duty of the operator that follows a suspension."""

    CONTRACT_END = "contract-end"
    """The contract with the numbers' customer ends (契約解除)."""
    CONTRACTOR_REPORT = "contractor-report"
    """The operator reports the contractor (契約者の報告)."""


STATE_WORDS: Final = {
    SuspensionState.ASKED: template("asked, waits for the second person"),
    SuspensionState.APPROVED: template("approved, not in force"),
    SuspensionState.IN_FORCE: template("in force"),
    SuspensionState.TAKEN_OVER: template("taken over by the association"),
    SuspensionState.LIFTED: template("lifted"),
    SuspensionState.WITHDRAWN: template("withdrawn"),
}
DUTY_WORDS: Final = {
    DutyKind.CONTRACT_END: template("end of the contract"),
    DutyKind.CONTRACTOR_REPORT: template("report of the contractor"),
}
