"""Tasks waiting for a visitor. Their number appears at the top of each page and in emails.

Tasks are searched for in the background, so no page waits. Each submitted form triggers a new search.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from idtone.core.log_output import in_words, unexpected
from idtone.core.persons import Person, console_person
from idtone.core.translation import Message

from .access.rights import Right
from .access.users import User

_log = logging.getLogger(__name__)
EVERY_S: Final = 10.0
AT_MOST_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PendingTask:
    """Pending tasks of one kind, with their number.

    All users with `right` can do them, except `by`, the person who requested them.
    """

    count: int
    what: Message
    path: str
    right: Right
    is_late: bool = False
    by: Person | None = None


class PendingTasks:
    """The latest list of pending tasks. Use only from the event loop."""

    def __init__(self) -> None:
        self._newest: Sequence[PendingTask] = ()
        self._again = asyncio.Event()

    def of(self, user: User) -> list[PendingTask]:
        return tasks_of(user, self._newest)

    def look_again(self) -> None:
        """Search again soon, because a user has just done something."""
        self._again.set()

    async def follow(
        self,
        find_tasks: Callable[[], Sequence[PendingTask]],
        is_watched: Callable[[], bool],
        tell: Callable[[], Awaitable[object]],
    ) -> None:
        """Search periodically while `is_watched` returns True, and call `tell` after each search.

        `is_watched` returns True if a user is signed in or receives emails.
        """
        while True:
            self._again.clear()
            if is_watched():
                try:
                    self._newest = await asyncio.to_thread(find_tasks)
                    await tell()
                except Exception as error:
                    _log.error("what waits is not known: %s", in_words(error), exc_info=unexpected(error))
            await asyncio.sleep(AT_MOST_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), EVERY_S)


def tasks_of(user: User, things: Iterable[PendingTask]) -> list[PendingTask]:
    """Tasks that this user can do, late ones first."""
    me = console_person(user.name)
    found = [each for each in things if each.right in user.rights and (not each.by or me.is_another_than(each.by))]
    return sorted(found, key=lambda each: not each.is_late)
