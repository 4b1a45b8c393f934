"""Per-user limit on searches by number, which prevents finding numbers by trial and error."""

from typing import Final

from idtone.core.http.request_limits import NUMBER_SEARCHES
from idtone.core.translation import Message

from .page import Visit

TOO_MANY_NUMBERS: Final = Message("You have searched for many numbers. Wait a minute before the next one.")


def admits_number_search(visit: Visit) -> bool:
    """Count a search by number and return True if it is allowed."""
    return visit.console.limits.admits(f"numbers {visit.party}", NUMBER_SEARCHES)
