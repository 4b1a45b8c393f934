"""The table of customer lines in use, with a cache of the last good edition.

A restart uses the cache, because the source may be unreachable.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import DocumentError
from idtone.core.files import replace_durably
from idtone.core.settings.customer_lines import LinesSettings

from ..sources import identity
from .index import LinesIndex, NoLines
from .line_compiler import compile_in_process
from .read_line_table import digest_of_text, file_text

log = logging.getLogger(__name__)

OWN_FILE: Final = 0o600
OWN_FOLDER: Final = 0o700
_NONE: Final = NoLines()


class LinesSource:
    """The table of lines in use.

    `current` is the edition that decisions use. `trouble` says why the newest edition is not in use; empty if it is.
    """

    def __init__(self, settings: LinesSettings, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Check the settings without reading the source. Raises DocumentError."""
        settings.check()
        assert settings.source
        self._settings, self._source = settings, settings.source
        self._clock_s = clock_s
        self._next_s = 0.0
        self._seen: tuple[int, ...] | None = None
        self._refreshing = threading.Lock()
        self._begun = False
        self._has_kept = False
        """True if the cache had an edition at startup."""
        self.current: LinesIndex | NoLines = _NONE
        self.taken: datetime | None = None
        self.trouble = ""

    @property
    def index(self) -> LinesIndex | None:
        """Edition in use, or None if none was ever read."""
        return self.current if isinstance(self.current, LinesIndex) else None

    def refresh(self) -> bool:
        """Read the source if it is due or its file has changed. Returns True if a new edition is now in use.

        Blocks, so call it from a worker thread. If the source is a database or an unchanged or unusable file, the first
        call uses the cached edition.
        """
        with self._refreshing:
            if not self._begun:
                self._begun = True
                if self._begin():
                    return True
            return self._is_due() and self._read()

    def _begin(self) -> bool:
        kept = self._kept()
        if kept is None:
            return False
        self._has_kept = True
        if not self._settings.is_database():
            try:
                is_same = digest_of_text(file_text(Path(self._source))) == kept.origin
            except DocumentError:
                is_same = False
            if not is_same and self._is_due() and self._read():
                return True
        self._take(kept, "is in use, from the cache")
        return True

    def _is_due(self) -> bool:
        if self._settings.is_database():
            if self._clock_s() < self._next_s:
                return False
            self._next_s = self._clock_s() + self._settings.poll.total_seconds()
            return True
        seen = identity(Path(self._source))
        if seen == self._seen:
            return False
        self._seen = seen  # before reading, so that a change meanwhile is found next time
        return True

    def _read(self) -> bool:
        known = self.index.origin if self.index else ""
        try:
            octets = compile_in_process(self._source, self._settings.query, self._settings.secret(), known)
            taken = LinesIndex.unpack(octets) if octets is not None else None
        except DocumentError as error:
            trouble = error.summary()
        except ValueError as error:
            trouble = str(error)
        else:
            self.trouble = ""
            if taken is None or octets is None:
                return False
            self._take(taken, "is in use")
            self._keep(octets)
            return True
        if trouble != self.trouble:  # log it once, until it changes
            self.trouble = trouble
            log.error("the table of lines cannot be used: %s. %s", trouble, self._consequence())
        return False

    def _consequence(self) -> str:
        if self.index or self._has_kept:
            return "The last good one stays in use"
        return "There is none, so outgoing calls are refused"

    def _take(self, taken: LinesIndex, how: str) -> None:
        self.current, self.taken = taken, datetime.now(UTC)
        totals = taken.totals
        log.info(
            "the table of lines %s: %d lines of %d customers, %d numbers",
            how,
            totals.lines,
            totals.customers,
            totals.numbers,
        )

    # -- the cache ----------------------------------------------------------------------------------------------------

    @property
    def _cache(self) -> Path:
        """Cache file, named after the source and the query so that it is never used for another table."""
        name = hashlib.sha256(f"{self._source}\n{self._settings.query}".encode()).hexdigest()[:16]
        return self._settings.cache / f"{name}.lines"

    def _kept(self) -> LinesIndex | None:
        try:
            return LinesIndex.unpack(self._cache.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
            log.warning("%s cannot be used: %s", self._cache, error)
            return None

    def _keep(self, octets: bytes) -> None:
        try:
            self._settings.cache.mkdir(OWN_FOLDER, parents=True, exist_ok=True)
            replace_durably(self._cache, octets, OWN_FILE)
        except OSError as error:
            log.error("the table of lines is not kept for the next start: %s; check lines.cache and its disk", error)
