"""The interface through which call control writes to the ledger."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from idtone.ledger.evidence.steps import Step


class Evidence(Protocol):
    """Takes the steps of calls. The service uses the ledger's writer behind the file of pending decisions."""

    @property
    def full(self) -> bool:
        """Whether the ledger has no room for more steps."""
        ...

    def append(self, step: Step) -> Future[None]:
        """Append a step. The future of a decision is done when the decision survives this process; the future of any
        other step is done when the step is on the disk.
        """
        ...

    def hurry(self) -> None:
        """Write the appended steps at once, because a caller waits for them."""
        ...
