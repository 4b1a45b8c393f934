"""Read results that all pages share."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Result of a blocking read, which the first request after `every_s` seconds repeats.

    Use only from the event loop.
    """

    def __init__(self, read: Callable[[], T], every_s: float) -> None:
        self._read = read
        self._every_s = every_s
        self._reading = asyncio.Lock()
        self._newest: T | None = None
        self._read_s = 0.0

    @property
    def is_ready(self) -> bool:
        """True once the first read is done."""
        return self._newest is not None

    async def get(self) -> T:
        """The result, which remains the same object until the next read. Raises whatever `read` raises."""
        async with self._reading:
            if self._newest is None or time.monotonic() - self._read_s >= self._every_s:
                self._newest = await asyncio.to_thread(self._read)
                self._read_s = time.monotonic()
            return self._newest
