"""All that is wrong with a form, by its fields: a page shows it at once, each error at its field too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from idtone.core.errors import IdtoneError, UsageError

R = TypeVar("R")


class FormErrors(UsageError):
    """Empty as long as nothing is wrong. The page that shows the form again gets it as its problem."""

    def __init__(self) -> None:
        super().__init__("")
        self._of: dict[str, IdtoneError] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def __str__(self) -> str:
        return "\n".join(map(str, self._of.values()))

    def __iter__(self) -> Iterator[tuple[str, IdtoneError]]:
        """By the order in which the fields were read."""
        return iter(self._of.items())

    def of(self, field: str) -> IdtoneError | None:
        return self._of.get(field)

    def note(self, field: str, error: IdtoneError) -> None:
        """The first error of a field counts."""
        self._of.setdefault(field, error)

    def read(self, field: str, read: Callable[[], R]) -> R | None:
        """What `read` makes of the field; None if it raises IdtoneError, which is noted."""
        try:
            return read()
        except IdtoneError as error:
            self.note(field, error)
            return None

    def check(self) -> None:
        """Raises itself if something is wrong."""
        if self:
            raise self
