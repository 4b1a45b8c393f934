"""Limit on the disk space used by uploads in progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from idtone.core.errors import UsageError

ROOM: Final = 2_000_000_000
"""Maximum number of bytes on disk for all visitors without a session together."""


class UploadRoom:
    """Limits the total size of uploads in progress. Use only from the event loop."""

    def __init__(self, octets: int = ROOM) -> None:
        self._left = octets

    @contextmanager
    def taking(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves bytes until the context ends and raises UsageError if too few are left."""
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
