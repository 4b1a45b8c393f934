"""The interface through which evidence enters the ledger."""

from concurrent.futures import Future
from typing import Protocol

from .steps import Step


class Evidence(Protocol):
    """A writer of evidence: the ledger, or an object that forwards steps to the ledger."""

    @property
    def full(self) -> bool:
        """True if the ledger has no room for more steps."""
        ...

    def append(self, step: Step) -> Future[None]:
        """Append a step of evidence to the ledger.

        For a decision, the future is done as soon as the decision would survive a crash of this process. For any other
        step, the future is done when the step is on the disk.
        """
        ...

    def hurry(self) -> None:
        """Write the appended steps immediately, because a caller is waiting for them."""
        ...
