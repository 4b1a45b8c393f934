"""The interface through which steps enter the ledger."""

from concurrent.futures import Future
from typing import Protocol

from .steps import Step


class Evidence(Protocol):
    """Takes the steps of calls and of acts: the ledger's writer, or an object that passes steps on to it."""

    @property
    def full(self) -> bool:
        """True if the ledger has no room for more steps."""
        ...

    def append(self, step: Step) -> Future[None]:
        """Append a step. For a decision, the returned future is done when the decision would survive this process. For
        another step, it is done when the step is on the disk.
        """
        ...

    def hurry(self) -> None:
        """Write the appended steps at once, because a caller is waiting for them."""
        ...
