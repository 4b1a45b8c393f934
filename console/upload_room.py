"""The limit of the space that uploads in progress take on the disk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from idtone.core.errors import UsageError

ROOM: Final = 2_000_000_000
"""Most bytes on the disk, for all visitors without a session together."""


class UploadRoom:
    """Limits the octets of all uploads in progress from visitors without a session. Used by the event loop alone."""

    def __init__(self, octets: int = ROOM) -> None:
        self._left = octets

    @contextmanager
    def taking(self) -> Iterator[Callable[[int], None]]:
        """Context with a function that reserves octets until the context ends. The function raises UsageError if too
        few are left.
        """
        taken = 0

        def take(octets: int) -> None:
            nonlocal taken
            if octets > self._left:
                raise UsageError("Too many uploads are under way. Try again in a minute.")
            self._left -= octets
            taken += octets

        try:
            yield take
        finally:
            self._left += taken
