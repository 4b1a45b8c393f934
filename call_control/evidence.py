"""The ledger, as far as calls need it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from idtone.ledger.evidence.steps import Step


class Evidence(Protocol):
    """Where steps go. The real one is the ledger's writer, behind the file of pending decisions."""

    @property
    def full(self) -> bool:
        """There is no room for more of it."""
        ...

    def append(self, step: Step) -> Future[None]:
        """Its future is done when a decision outlives this process, or any other step is on the disk."""
        ...

    def hurry(self) -> None:
        """A caller waits for what was appended."""
        ...
