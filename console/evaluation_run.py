"""The office's evaluation of a period: the run in progress, or the latest result until it is entered."""

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
        """Id of the result. A result can be entered only by a person who has seen this id."""

    def start(self, workspace: Workspace, period: Period) -> None:
        """Start an evaluation. Raises UsageError if one is running."""
        if self.work.is_running:
            raise UsageError("another evaluation is running; wait for its end, or cancel it")
        self.found = None
        self.work.start(workspace, period)

    def enter(self, workspace: Workspace, seen: str, attribution: Attribution) -> None:
        """Enter the evaluation in the office's records.

        Raises IdtoneError, including UsageError if the current result is not the one with the id `seen`.
        """
        found = self.found
        if found is None or not secrets.compare_digest(seen.encode(), self.id.encode()):
            raise UsageError("this evaluation was replaced or entered already; evaluate again")
        enter(workspace, found, attribution)
        self.found = None

    def _take(self, found: EvaluatedMembers) -> None:
        self.found, self.id = found, secrets.token_hex(8)


def evaluate(workspace: Workspace, period: Period, *, progress: Progress) -> EvaluatedMembers:
    """The evaluation of all members from the current files of the folder. Raises IdtoneError."""
    registry, criteria = read_folder(workspace)
    return evaluate_members(workspace, registry, criteria, period, datetime.now(UTC), progress=progress)
