"""Sources of the registry: the association's signed publication, or an unsigned file for labs."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from idtone.core.errors import DocumentError, Fault, TrustError
from idtone.core.translation import Message
from idtone.core.yaml_documents import parse, read_text

from .index import InterimIndex, RegistryIndex, Signed
from .model import RegistryDocument, SuspensionsDocument
from .never_originating import NeverOriginating, compiled_never_originating
from .parsers import parse_never_originates, parse_registry, parse_suspensions
from .registry_compiler import LARGE, Compilation, compile_in_process, is_compiled, never_originating_in_process
from .trust import tuf_roles
from .used_registries import UNSIGNED, UsedRegistries, UsedRegistry
from .validation_rules import registry_faults

if TYPE_CHECKING:  # imports TUF, which an unsigned registry does not need
    from .trust.publication_client import PublicationClient, Published

log = logging.getLogger(__name__)

WHOLE_S: Final = 60.0
"""Interval in seconds at which all files are verified again while the timestamp is unchanged. Expired signatures and
faults in other files are logged then. Calls do not depend on it, because each decision checks the expiry itself.
"""


_WITHOUT_MEMBERS: Final = (tuf_roles.SUSPENSIONS_FILE, tuf_roles.NEVER_ORIGINATES_FILE)


def read_document(path: Path) -> RegistryDocument:
    """Read an unsigned registry file. Raises DocumentError with every fault."""
    return parse_document(read_text(path), str(path))


def parse_document(text: str, name: str) -> RegistryDocument:
    """Parse an unsigned registry. Raises DocumentError with every fault, in the file `name`."""
    return parse(text, name, RegistryDocument, registry_faults)


def load_registry(path: Path) -> RegistryIndex:
    """Load an unsigned registry file for look-ups. Raises DocumentError with every fault."""
    return index_of_text(read_unsigned_registry(path), path)


def index_of_text(text: str, path: Path) -> RegistryIndex:
    """Load an unsigned registry for look-ups from its text. Raises DocumentError with every fault."""
    return RegistryIndex(parse_document(text, str(path)), origin=origin_of(text))


def read_unsigned_registry(path: Path) -> str:
    """Text of an unsigned registry file. Raises DocumentError, including for a pipe, which would block."""
    if path.exists() and not path.is_file():
        remedy = "Put the registry's file there"
        raise DocumentError([Fault(str(path), 0, 0, "", Message("it is not a regular file"), remedy)])
    return read_text(path)


def origin_of(text: str) -> str:
    """Digest of an unsigned registry."""
    return hashlib.sha256(text.encode()).hexdigest()


class Source(Protocol):
    """Interface for a source that keeps the last good edition of its registry."""

    @property
    def current(self) -> RegistryIndex | None: ...
    @property
    def taken(self) -> datetime | None:
        """Time at which this process began to use the current edition; None if there is none."""
        ...

    def refresh(self) -> bool:
        """Look for a newer edition. Returns True if one is now in use. Blocks, so call it from a worker thread."""
        ...

    def is_latest(self) -> bool:
        """False if another program on this machine has already loaded a newer edition."""
        ...


class SignedSource:
    """Source that reads the association's publications and keeps the last good edition.

    If a newer edition is faulty, the last good edition stays in use until its signatures expire, and its suspensions
    stay in force even after that. A restart uses the cache, because the source may be unreachable.

    A large registry is compiled in the background. Until it is ready, the earlier members apply together with the new
    suspensions, so that suspensions do not have to wait (`InterimIndex`).
    """

    def __init__(
        self, repository: PublicationClient, poll_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._repository = repository
        self._poll_s = poll_s
        self._clock_s = clock_s
        self._next_s = 0.0
        self._refreshing = threading.Lock()
        self._published: Published | None = None
        self._refused: Published | None = None
        """An edition that was verified but is faulty."""
        self._kept: Published | None = None
        self._verify_all_s = 0.0
        """When all files are verified next, even if the timestamp is unchanged."""
        self._compiling: Compilation | None = None
        self._interim: Published | None = None
        """An edition whose suspensions and numbers that never originate are in use while its members are being
        compiled.
        """
        self._whole: RegistryIndex | None = None
        """The index of `_published`. `current` may also include the suspensions of `_interim`."""
        self._logged = ""
        self._begun = False
        self.current: RegistryIndex | None = None
        self.taken: datetime | None = None

    def refresh(self) -> bool:
        """Look for a newer edition, at most every `poll_s` seconds. Returns True if one is now in use.

        The first call accepts the cached edition, so that startup does not wait for an unreachable source.
        """
        with self._refreshing:
            if not self._begun:
                self._begun = True
                if self._attempt(self._take_kept):
                    self._attempt(self._take_kept_stops)
                    return True
            if self._clock_s() < self._next_s:
                return False
            self._next_s = self._clock_s() + self._poll_s
            return self._attempt(self._take_latest)

    def is_latest(self) -> bool:
        if self._published is None or self._published != self._kept:  # it could not be kept, so others do not know it
            return True
        try:
            return self._repository.last_good() == self._kept
        except TrustError:
            return True

    def _take_latest(self) -> bool:
        now_s = self._clock_s()
        waits = self._compiling is None or not self._compiling.has_ended()
        if waits and now_s < self._verify_all_s and self._repository.is_unchanged():
            return False
        with self._repository.locked():
            return self._take_published(now_s)

    def _take_published(self, now_s: float) -> bool:
        published = self._repository.update()
        self._verify_all_s = now_s + WHOLE_S  # then files that cannot be read or kept now are tried again
        taken = published not in (self._published, self._refused)
        if taken and not self._is_ready(published):
            taken = published != self._interim and self._take_stops(published)
            if taken and self._kept is not None and self._kept == self._published:
                self._repository.keep(self._kept, stops_of=published)
        elif taken:
            try:
                self._take(published, "is in use")
            except DocumentError:
                self._refused = published
                self._stop_compiling()
                raise
        if published == self._published != self._kept:
            self._repository.keep(published)
            self._kept = published
        return taken

    def _take_kept(self) -> bool:
        kept = self._repository.last_good()
        while kept is not None:
            try:
                self._take(kept, "is in use, from the cache")
            except TrustError:
                tried, kept = kept, self._repository.last_good()
                if kept == tried:
                    raise
                continue  # another program has kept a newer one meanwhile, and removed these files
            self._kept = kept
            return True
        return False

    def _take_kept_stops(self) -> bool:
        """Use the suspensions from before a restart, in case the source is unreachable. Returns True if any exist."""
        newer = self._repository.last_good_stops()
        return newer is not None and self._take_stops(newer)

    def _attempt(self, take: Callable[[], bool]) -> bool:
        try:
            taken = take()
        except DocumentError as error:
            trouble = error.summary()
        except TrustError as error:
            trouble = str(error)
        else:
            self._logged = ""
            return taken
        if trouble != self._logged:  # log it once, until it changes
            self._logged = trouble
            log.error("the registry cannot be renewed: %s. %s", trouble, _consequence(self.current))
        return False

    def _is_ready(self, published: Published) -> bool:
        """True if an edition's members are ready for use. Otherwise, starts compiling them."""
        path = published.path(tuf_roles.REGISTRY_FILE)
        if self._compiling and self._compiling.registry != path:  # a newer registry has come
            self._stop_compiling()
        if self.current is None or self._has_members_of(published):
            return True
        if self._compiling is None:
            if is_prepared(published):
                return True
            self._compiling = Compilation(path)
            log.info("registry %s: a new large one is compiled in the background", self._repository.source)
        return self._compiling.has_ended()

    def _stop_compiling(self) -> None:
        if self._compiling:
            self._compiling.cancel()
        self._compiling = None

    def _has_members_of(self, published: Published) -> bool:
        file, before = tuf_roles.REGISTRY_FILE, self._published
        return before is not None and published.sha256[file] == before.sha256[file]

    def _take_stops(self, published: Published) -> bool:
        """Combine the current edition with a newer edition's suspensions. Returns False if they are already in use."""
        assert self._whole is not None, "else the members are waited for"
        assert self._published is not None, "as there are members"
        used = self._interim or self._published
        is_new = any(used.sha256.get(file) != published.sha256.get(file) for file in _WITHOUT_MEMBERS)
        if is_new:
            self.current, self.taken = InterimIndex.between(self._whole, self._signed(published)), datetime.now(UTC)
            log.info("its stops are in force, beside version %d", self.current.version)
        self._interim = published
        return is_new

    def _signed(self, published: Published) -> Signed:
        suspensions = parse_suspensions(published.read(tuf_roles.SUSPENSIONS_FILE), tuf_roles.SUSPENSIONS_FILE)
        return signed_by(published, suspensions, self._never_originating(published))

    def _members(self, published: Published, signed: Signed) -> RegistryIndex:
        """Index of an edition. Raises DocumentError or TrustError."""
        compiling, self._compiling = self._compiling, None
        if self._whole and self._has_members_of(published):
            return self._whole.renewed(signed)
        if compiling:
            return RegistryIndex.of(compiling.wait(tuf_roles.REGISTRY_FILE), signed)
        return _indexed(published, signed)

    def _take(self, published: Published, how: str) -> None:
        before = self._published
        signed = self._signed(published)
        taken = self._members(published, signed)
        self._interim = None
        if before is None or published.sha256 != before.sha256:  # else only its signatures were renewed
            self.taken = datetime.now(UTC)
        self._published, self._whole, self.current = published, taken, taken
        log.info(
            "registry %s: version %d, %d suspensions, %s, good until %s, %s",
            self._repository.source,
            taken.version,
            len(signed.suspensions.suspensions),
            _listed(signed.never_originating),
            taken.expires.isoformat(),
            how,
        )

    def _never_originating(self, published: Published) -> NeverOriginating | None:
        """Numbers that never originate calls. Does not reread an unchanged list, because a large one takes time."""
        file, before, current = tuf_roles.NEVER_ORIGINATES_FILE, self._interim or self._published, self.current
        if before and current and current.signed and published.sha256.get(file) == before.sha256.get(file):
            return current.signed.never_originating
        return never_originating_of(published)


def _listed(numbers: NeverOriginating | None) -> str:
    if numbers is None:
        return "no list of numbers that never originate"
    return f"{numbers.entries} entries of numbers that never originate"


def signed_by(
    published: Published, suspensions: SuspensionsDocument, never_originating: NeverOriginating | None
) -> Signed:
    """Signed parts of an edition other than its members. `suspensions` is the parsed suspensions.yaml."""
    return Signed(
        suspensions,
        published.expires,
        published.sha256[tuf_roles.SUSPENSIONS_FILE],
        published.origin,
        never_originating,
        published.metadata,
    )


def never_originating_of(published: Published) -> NeverOriginating | None:
    """Numbers that never originate calls, or None if no list is published. Raises DocumentError or TrustError."""
    file = tuf_roles.NEVER_ORIGINATES_FILE
    if file not in published.sha256:
        return None
    octets = published.octets(file)
    if len(octets) > LARGE:
        return never_originating_in_process(published.path(file), file)
    document = parse_never_originates(published.text(file, octets), file)
    return compiled_never_originating(document.never_originates, document.issued)


def index_of(published: Published, stops_of: Published | None = None) -> RegistryIndex:
    """Load a published edition for look-ups. A large edition is compiled only once.

    `stops_of` is a newer edition whose suspensions also apply. Raises DocumentError or TrustError.
    """
    index = _indexed(published, _signed_of(published))
    return index if stops_of is None else InterimIndex.between(index, _signed_of(stops_of))


def _signed_of(published: Published) -> Signed:
    suspensions = parse_suspensions(published.read(tuf_roles.SUSPENSIONS_FILE), tuf_roles.SUSPENSIONS_FILE)
    return signed_by(published, suspensions, never_originating_of(published))


def is_prepared(published: Published) -> bool:
    """True if `index_of` would be fast for the edition."""
    path = published.path(tuf_roles.REGISTRY_FILE)
    return published.checked_size(tuf_roles.REGISTRY_FILE) <= LARGE or is_compiled(path)


def prepare(published: Published) -> None:
    """Compile a large registry in advance so that `index_of` is fast. Raises DocumentError or TrustError."""
    compile_in_process(published.path(tuf_roles.REGISTRY_FILE), tuf_roles.REGISTRY_FILE)


def _indexed(published: Published, signed: Signed) -> RegistryIndex:
    file = tuf_roles.REGISTRY_FILE
    if published.checked_size(file) > LARGE:
        return RegistryIndex.of(compile_in_process(published.path(file), file), signed)
    return RegistryIndex(parse_registry(published.read(file), file), signed)


class FileSource:
    """Source that reads an unsigned registry file and keeps the last good edition.

    If the file becomes faulty or disappears, this is only logged, and the last good edition stays in use with every
    suspension. Writers must replace the file by renaming a new one. Otherwise, a half-written file may be read and
    reported as faulty.
    """

    def __init__(self, path: Path, used: UsedRegistries | None = None) -> None:
        """Set the path of the file and the folder that keeps each edition for evidence."""
        self._path = path
        self._used = used
        self._seen: tuple[int, ...] | None = None
        self._refreshing = threading.Lock()
        self.current: RegistryIndex | None = None
        self.taken: datetime | None = None

    def is_latest(self) -> bool:
        return identity(self._path) == self._seen

    def refresh(self) -> bool:
        """Read the file if it has changed. Returns True if a new edition is now in use.

        If nothing has changed, this takes one `stat`. It blocks while reading, so call it from a worker thread.
        """
        with self._refreshing:
            seen = identity(self._path)
            if seen == self._seen:
                return False
            self._seen = seen  # taken before reading, so that a change meanwhile is found next time
            try:
                text = read_unsigned_registry(self._path)
                self.current, self.taken = index_of_text(text, self._path), datetime.now(UTC)
                self._keep(text)
            except DocumentError as error:
                trouble = error.summary()
            else:
                log.info("registry %s: version %d is in use", self._path, self.current.version)
                return True
            log.error("the registry cannot be used: %s. %s", trouble, _consequence(self.current))
            return False

    def _keep(self, text: str) -> None:
        if self._used is not None:
            digest = origin_of(text)
            self._used.put(UsedRegistry(digest, {UNSIGNED: digest}), lambda _: BytesIO(text.encode()))


def _consequence(current: RegistryIndex | None) -> str:
    if current is None:
        return "There is no registry, so no licence is valid"
    return f"Version {current.version} stays in use"


def identity(path: Path) -> tuple[int, ...]:
    """A file's fingerprint, which changes when the file is changed, replaced, removed or restored."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
