"""Where the registry comes from, and its last good generation: the association's signed one, or a file for labs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from idtone.documents import load, parse
from idtone.errors import DocumentError, Fault, TrustError

from .compiling import LARGE, apart
from .index import RegistryIndex, Signed
from .model import RegistryDocument
from .rules import complaints
from .signed import parse_registry, parse_suspensions
from .trust import layout

if TYPE_CHECKING:  # with TUF, which an unsigned registry does not need
    from .trust.client import Published, Repository

log = logging.getLogger(__name__)

WHOLE_S: Final = 60.0
"""How long an unchanged timestamp may stand for all that it leads to. That signatures have expired, and what is wrong
with the source beside its timestamp, is said no later than this; no call waits for it, since each decision looks at the
expiry itself.
"""
_LOGGED_FAULTS: Final = 5


def read_document(path: Path) -> RegistryDocument:
    """The registry as it stands in the file. Raises DocumentError with every fault."""
    return load(path, RegistryDocument, complaints)


def parse_document(text: str, name: str) -> RegistryDocument:
    """As `read_document`, from text; `name` stands for the file in the faults."""
    return parse(text, name, RegistryDocument, complaints)


def load_registry(path: Path) -> RegistryIndex:
    """The registry, ready for look-ups. Raises DocumentError with every fault."""
    return RegistryIndex(read_document(path))


class Source(Protocol):
    """Keeps the last good generation of a registry."""

    @property
    def current(self) -> RegistryIndex | None: ...
    def refresh(self) -> bool:
        """Look whether there is a newer one; True where it was taken. Blocks: call it from a thread, any thread."""
        ...


class SignedSource:
    """Keeps the last good generation of what the association has published.

    Whatever is wrong with what comes now, what was good stays, until its signatures have expired; and what it
    suspends stays suspended beyond that. It is in the cache for the next start, when the source may be away.
    """

    def __init__(self, repository: Repository, poll_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._poll_s = poll_s
        self._clock_s = clock_s
        self._next_s = 0.0
        self._refreshing = threading.Lock()
        self._published: Published | None = None
        self._refused: Published | None = None
        """Verified, and with faults."""
        self._kept: Published | None = None
        self._whole_s = 0.0
        """When all of it is verified again, whether or not its timestamp has changed."""
        self._told = ""
        self._begun = False
        self.current: RegistryIndex | None = None

    def refresh(self) -> bool:
        """As `Source` says, but not more often than every `poll_s` seconds.

        The first time what was kept is enough: nobody waits for a source that does not answer.
        """
        with self._refreshing:
            if not self._begun:
                self._begun = True
                if self._attempt(self._take_kept):
                    return True
            if self._clock_s() < self._next_s:
                return False
            self._next_s = self._clock_s() + self._poll_s
            return self._attempt(self._take_latest)

    def _take_latest(self) -> bool:
        now_s = self._clock_s()
        if now_s < self._whole_s and self._repository.unchanged():
            return False
        published = self._repository.update()
        self._whole_s = now_s + WHOLE_S  # what cannot be read or kept now is tried again then
        taken = published not in (self._published, self._refused)
        if taken:
            try:
                self._take(published, "is in use")
            except DocumentError:
                self._refused = published
                raise
        if published == self._published != self._kept:
            self._repository.keep(published)
            self._kept = published
        return taken

    def _take_kept(self) -> bool:
        kept = self._repository.kept()
        if kept is not None:
            self._take(kept, "is in use, as it was last published here")
            self._kept = kept
        return kept is not None

    def _attempt(self, take: Callable[[], bool]) -> bool:
        try:
            taken = take()
        except DocumentError as error:
            trouble = _summary(error)
        except TrustError as error:
            trouble = str(error)
        else:
            self._told = ""
            return taken
        if trouble != self._told:  # once, until it is something else
            self._told = trouble
            log.error("the registry cannot be renewed: %s. %s", trouble, _consequence(self.current))
        return False

    def _take(self, published: Published, how: str) -> None:
        before, current = self._published, self.current
        suspensions = parse_suspensions(published.read(layout.SUSPENSIONS_FILE), layout.SUSPENSIONS_FILE)
        signed = Signed(suspensions, published.expires)
        same = before and current and published.sha256[layout.REGISTRY_FILE] == before.sha256[layout.REGISTRY_FILE]
        taken = current.renewed(signed) if same and current else _members(published, signed)
        self._published, self.current = published, taken
        log.info(
            "registry %s: version %d, %d suspensions, good until %s, %s",
            self._repository.source, taken.version, len(suspensions.suspensions), taken.expires.isoformat(), how,
        )  # fmt: skip


def _members(published: Published, signed: Signed) -> RegistryIndex:
    file = layout.REGISTRY_FILE
    octets = published.octets(file)
    if len(octets) > LARGE:
        return RegistryIndex.of(apart(published.path(file), file), signed)
    return RegistryIndex(parse_registry(published.text(file, octets), file), signed)


class FileSource:
    """Keeps the last good generation of an unsigned registry file.

    A file that becomes faulty or disappears changes nothing but the log: what was good stays in use,
    and with it every suspension. Writers must replace the file (write beside it, then rename), or a
    half-written one is read and complained about.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._refreshing = threading.Lock()
        self.current: RegistryIndex | None = None

    def refresh(self) -> bool:
        """Look at the file, and read it where it has changed; True where a new generation was taken.

        Costs one `stat` where nothing changed. Blocks while reading: call it from a thread, any thread.
        """
        with self._refreshing:
            seen = _identity(self._path)
            if seen == self._seen:
                return False
            self._seen = seen  # of before the reading, so that a change meanwhile is found next time
            try:
                _refuse_special(self._path)
                self.current = load_registry(self._path)
            except DocumentError as error:
                trouble = _summary(error)
            else:
                log.info("registry %s: version %d is in use", self._path, self.current.version)
                return True
            log.error("the registry cannot be used: %s. %s", trouble, _consequence(self.current))
            return False


def _consequence(current: RegistryIndex | None) -> str:
    if current is None:
        return "There is no registry: no licence counts"
    return f"Version {current.version} stays in use"


def _identity(path: Path) -> tuple[int, ...]:
    """Differs whenever the file was changed, replaced, removed or brought back."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _refuse_special(path: Path) -> None:
    """A pipe would be waited for. Raises DocumentError."""
    if path.exists() and not path.is_file():
        remedy = "Put the registry's file there"
        raise DocumentError([Fault(str(path), 0, 0, "", "it is not a regular file", remedy)])


def _summary(error: DocumentError) -> str:
    shown = "; ".join(map(str, error.faults[:_LOGGED_FAULTS]))
    more = len(error.faults) - _LOGGED_FAULTS
    return f"{shown}; and {more} more faults" if more > 0 else shown
