"""The office's evaluation of a period, either running or finished and waiting to be entered."""

import secrets
from datetime import UTC, datetime

from idtone.core.errors import UsageError
from idtone.member.evaluation.period import Period
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.workspace import Workspace
from idtone.office.evaluation.evaluate_members import EvaluatedMembers, evaluate_members, read_folder
from idtone.office.evaluation.results import enter

from .background_work import Progress, Work


class EvaluationRun:
    """The console's evaluation. Use only from the event loop, except `enter`."""

    def __init__(self) -> None:
        self.work: Work[EvaluatedMembers] = Work(evaluate, self._take)
        self.found: EvaluatedMembers | None = None
        self.id = ""
        """Id of the result. Only people who have seen this id can enter the result."""

    def start(self, workspace: Workspace, period: Period) -> None:
        """Start an evaluation. Raises UsageError if one is running."""
        if self.work.is_running:
            raise UsageError("another evaluation is running; wait for its end, or cancel it")
        self.found = None
        self.work.start(workspace, period)

    def enter(self, workspace: Workspace, seen: str, attribution: Attribution) -> None:
        """Enter the result in the office's records.

        Raises IdtoneError, in particular UsageError if `seen` is not the id of the current result.
        """
        found = self.found
        if found is None or not secrets.compare_digest(seen.encode(), self.id.encode()):
            raise UsageError("this evaluation was replaced or entered already; evaluate again")
        enter(workspace, found, attribution)
        self.found = None

    def _take(self, found: EvaluatedMembers) -> None:
        self.found, self.id = found, secrets.token_hex(8)


def evaluate(workspace: Workspace, period: Period, *, progress: Progress) -> EvaluatedMembers:
    """Evaluate all members from the folder's current files. Raises IdtoneError."""
    registry, criteria = read_folder(workspace)
    return evaluate_members(workspace, registry, criteria, period, datetime.now(UTC), progress=progress)
