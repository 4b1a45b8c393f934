"""A limit on each user's searches by number, so that nobody finds a number by trying many."""

from typing import Final

from idtone.core.http.request_limits import NUMBER_SEARCHES
from idtone.core.translation import Message

from .page import Visit

TOO_MANY_NUMBERS: Final = Message("You have searched for many numbers. Wait a minute before the next one.")


def admits_number_search(visit: Visit) -> bool:
    """True if this user may search now. The search is counted."""
    return visit.console.limits.admits(f"numbers {visit.party}", NUMBER_SEARCHES)
