"""Maintains `fallback-lines.conf`: the numbers that each customer line may present while the service is down.

The service writes the file next to `fallback.conf`. The hook reads it with AST_CONFIG() for outgoing calls.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from idtone import dialplan
from idtone.core.calls import Period
from idtone.core.number_spans import NumberSpan

from .fallback_conf import entries_of, with_end
from .fallback_keeper import identity, not_written, replace

log = logging.getLogger(__name__)

LINES_LIMIT: Final = 100_000
"""Maximum number of lines and number patterns. Asterisk searches them one by one in some milliseconds."""


class LineTable(Protocol):
    """Interface to the table of customer lines for the fallback file."""

    def groups_of_endpoints(self) -> Iterable[tuple[str, int]]:
        """Endpoints, each with the number group that it may present."""
        ...

    def groups_of_accounts(self) -> Iterable[tuple[str, int]]:
        """Account codes, each with the number group that it may present."""
        ...

    def spans_of_groups(self) -> Iterable[Iterable[tuple[NumberSpan, Period]]]:
        """Number ranges of each group, in ascending order, with the periods in which they may be presented."""
        ...


def lines_text(table: LineTable | None) -> str:
    """Text of `fallback-lines.conf`.

    The text has no last section if `table` is None or has more than `LINES_LIMIT` entries.
    """
    lines = list(islice(_lines(table), LINES_LIMIT + 1)) if table else []
    head = "; Written by idtone; the hook reads it while the service is down.\n"
    if table is None or len(lines) > LINES_LIMIT:
        return head
    return with_end("\n".join((head, *lines, "")))


def is_complete(text: str) -> bool:
    """True if the text ends with the last section and the digest in it matches."""
    return text == with_end(text.rpartition(f"[{dialplan.FALLBACK_END}]")[0])


def _lines(table: LineTable) -> Iterator[str]:
    for section, names in (
        (dialplan.LINES_ENDPOINTS, table.groups_of_endpoints()),
        (dialplan.LINES_ACCOUNTS, table.groups_of_accounts()),
    ):
        yield f"[{section}]"
        for name, group in names:
            yield f"{name_in_request(name)} = {name_in_request(name)}:{group}"
    for group, spans in enumerate(table.spans_of_groups()):
        yield f"[{dialplan.LINES_GROUP}{group}]"
        for pattern, times in entries_of(spans):
            yield f"{pattern} = {times}"


_DROPPED: Final = str.maketrans("", "", "'()")


def name_in_request(name: str) -> str:
    """Encode a name as the hook's request does, with URIENCODE() and FILTER()."""
    return quote(name.translate(_DROPPED), safe="!*")


class FallbackLines:
    """Rewrites `fallback-lines.conf` whenever the table or the file itself changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / dialplan.LINES_FILE
        self._table: LineTable | None = None
        self._left: tuple[int, ...] = ()
        """The file's identity after it was last written for this table."""

    def update(self, table: LineTable | None) -> None:
        """Update the file if required. If nothing has changed, this takes one `lstat`. Raises FallbackError."""
        if table is self._table and self._left and self._left == identity(self._path, self._directory):
            return
        text = lines_text(table)
        if not self._has(text):
            replace(self._path, text)
        self._table, self._left = table, identity(self._path, self._directory)
        if table is not None and f"[{dialplan.FALLBACK_END}]" not in text:
            log.critical(
                "the customers' lines and their numbers need more than %d entries in %s. While this service is down, "
                "Asterisk refuses outgoing calls; join the numbers to ranges",
                LINES_LIMIT,
                dialplan.LINES_FILE,
            )

    def remove(self) -> None:
        """Remove the file because the settings no longer name a table. Raises FallbackError."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise not_written(self._directory, error) from error

    def _has(self, text: str) -> bool:
        try:
            return bool(identity(self._path, self._directory)) and self._path.read_bytes() == text.encode("ascii")
        except OSError:
            return False
