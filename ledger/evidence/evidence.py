"""The interface through which evidence enters the ledger."""

from concurrent.futures import Future
from typing import Protocol

from .steps import Step


class Evidence(Protocol):
    """A writer of evidence, either the ledger itself or an object that forwards steps to it."""

    @property
    def full(self) -> bool:
        """True if the ledger has no room for more steps."""
        ...

    def append(self, step: Step) -> Future[None]:
        """Append a step of evidence to the ledger.

        For a decision, the future is done as soon as the decision would survive a crash of this process. For any other
        step, it is done when the step is on disk.
        """
        ...

    def hurry(self) -> None:
        """Write the appended steps immediately. Use this when a caller is waiting for them."""
        ...
