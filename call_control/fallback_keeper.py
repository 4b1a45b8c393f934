"""Keeps `fallback.conf` up to date with the registry, for the service and `idtone registry update`."""

import contextlib
import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from idtone import dialplan
from idtone.core.errors import FallbackError
from idtone.core.files import replace_durably
from idtone.core.translation import Message

from . import fallback_conf
from .fallback_conf import (
    NO_OWN_STOPS,
    FallbackOwnStops,
    FallbackRegistry,
    UsableNumbers,
    end_of,
    never_sections,
    origin_with,
    text_for,
    with_stops,
)

log = logging.getLogger(__name__)

MODE: Final = 0o640
"""File mode. Other users must not read the suspended numbers; Asterisk's user reads them through the folder's group."""
LOCK_WITHIN_S: Final = 1.0
"""Maximum wait for the lock, in seconds. Writers hold it for less, but any member of Asterisk's group can take it."""


def write_durably(directory: Path, text: str) -> None:
    """Write `fallback.conf` durably and atomically. Raises FallbackError."""
    replace(directory / dialplan.FALLBACK_FILE, text)


def replace(path: Path, text: str) -> None:
    """Replace a file that Asterisk's group can read. Raises FallbackError."""
    with contextlib.suppress(OSError):
        path.rmdir()  # an empty folder there; any other is an error below
    try:
        # A command of root's keeps the owner, who could not read the file otherwise.
        owner = path.stat().st_uid if os.geteuid() == 0 and path.exists() else -1
        replace_durably(path, text.encode("ascii"), MODE, path.parent.stat().st_gid, owner)
    except OSError as error:
        raise not_written(path.parent, error) from error


def identity(path: Path, directory: Path) -> tuple[int, ...]:
    """A value that changes when the file is changed or replaced; empty if Asterisk's group cannot read the file."""
    try:
        status, group = path.lstat(), directory.stat().st_gid
    except OSError:
        return ()
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != MODE or status.st_gid != group:
        return ()
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


class FallbackKeeper:
    """Rewrites `fallback.conf` whenever the registry, the operator's suspensions or the file itself changes.

    Thread-safe. Without a registry, only the operator's own suspensions are added, and the rest of the file stays the
    same, because only a newer registry lifts a suspension.
    """

    def __init__(
        self,
        directory: Path,
        usable: UsableNumbers,
        is_latest: Callable[[], bool] = lambda: True,
        stops: Callable[[], FallbackOwnStops] = lambda: NO_OWN_STOPS,
    ) -> None:
        """Set the numbers that this node may use and the sources of the current state.

        `is_latest` returns False if another program has read a newer registry. It is called before a complete file is
        replaced. `stops` returns the operator's own suspensions.
        """
        self._directory = directory
        self._path = directory / dialplan.FALLBACK_FILE
        self._usable = usable
        self._is_latest = is_latest
        self._stops = stops
        self._updating = threading.Lock()
        self._registry: FallbackRegistry | None = None
        self._stopped = ""
        """Digest of the operator's own suspensions in the file."""
        self._never = never_sections(None)
        """Sections for the last list, because a long one takes a second to render and every suspension renders the file
        again.
        """
        self._left: tuple[int, ...] = ()
        """The file's identity after it was last written for this registry."""
        self._failure = ""
        self._left_out = ""

    def update(self, registry: FallbackRegistry | None) -> bool:
        """Update the file if required. Returns True if it was written.

        If nothing has changed, this takes one `lstat`. Raises FallbackError; the next call tries again.
        """
        with self._updating:
            try:
                return self._update(registry, self._stops())
            except FallbackError as error:
                self._failure = str(error)
                raise

    def _update(self, registry: FallbackRegistry | None, stops: FallbackOwnStops) -> bool:
        if registry is None:
            return self._add(stops)
        is_same = registry is self._registry and stops.digest == self._stopped
        if is_same and self._left == self._identity() and not self._failure:
            return False
        if registry.never_originating is not self._never.numbers:
            self._never = never_sections(registry.never_originating)
        made = text_for(registry, self._usable, self._never, stops)
        with self._locked():
            written = self._write(made.text)
        self._left = self._identity()
        if written and is_same and not self._failure:
            log.error("%s was removed or changed by another program, and is written again", self._path)
        self._registry, self._stopped, self._failure = registry, stops.digest, ""
        left_out = [
            *([] if made.has_stocks else [_stocks_left_out()]),
            *([] if made.has_never else [_never_left_out()]),
            *([] if made.has_own else [_own_left_out()]),
        ]
        self._left_out = "; ".join(map(str, left_out))
        if self._left_out:
            log.critical("%s", self._left_out)
        return written

    def _add(self, stops: FallbackOwnStops) -> bool:
        is_same = stops.digest == self._stopped and self._left == self._identity()
        if not stops.digest or (is_same and not self._failure):
            return False
        with self._locked():
            there = self._read()
            if there is None or end_of(there) is None:
                return False  # Asterisk refuses every call then; `trouble` says so
            text = with_stops(there, stops)
            if changed := there != text.encode("ascii"):
                write_durably(self._directory, text)
        self._left, self._stopped, self._failure = self._identity(), stops.digest, ""
        return changed

    def is_made_of(self, origin: str) -> bool:
        """True if the file is complete, readable by Asterisk's group and made from the given registry.

        The settings and the operator's own suspensions must also match. `origin` is the registry's digest.
        """
        end = end_of(self._read() or b"")
        wanted = origin_with(origin, self._stops())
        return end is not None and end.origin == wanted and end.usable == self._usable.digest

    def has_suspensions_of(self, registry: FallbackRegistry | None) -> bool:
        """True if the file contains all of the registry's suspensions.

        Without a registry, returns True if `trouble` is empty.
        """
        is_latest = registry is None or (registry is self._registry and self._stops().digest == self._stopped)
        return not self.trouble and is_latest

    @property
    def trouble(self) -> str:
        """Reason why Asterisk does not get the suspended numbers from the file; empty if it does."""
        if self._failure:
            return self._failure
        there = self._identity()
        if there and (there == self._left or self._registry is None):
            return self._left_out
        return str(
            Message(
                "{path} is missing, was changed, or cannot be read by Asterisk's group. While this service is down, "
                "Asterisk refuses every call if it cannot read the file",
                path=self._path,
            )
        )

    def _write(self, text: str) -> bool:
        there = self._read()
        if there == text.encode("ascii") or (there is not None and end_of(there) and not self._is_latest()):
            return False
        write_durably(self._directory, text)
        return True

    def _identity(self) -> tuple[int, ...]:
        return identity(self._path, self._directory)

    def _read(self) -> bytes | None:
        if not self._identity():
            return None
        try:
            with open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                return file.read()
        except OSError:
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder during the block, so that no other writer replaces the file after it was read.

        Runs the block without the lock if it is not free within `LOCK_WITHIN_S`.
        """
        try:
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise not_written(self._directory, error) from error
        try:
            deadline_s = time.monotonic() + LOCK_WITHIN_S
            while time.monotonic() < deadline_s:
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)


def _own_left_out() -> Message:
    return Message(
        "this node's own numbers need more than {most:,} entries in {file}. While this service is down, Asterisk "
        "refuses every call; set association.member if it is not set, or join the numbers to ranges in the registry",
        most=fallback_conf.ENTRIES_LIMIT,
        file=dialplan.FALLBACK_FILE,
    )


def _never_left_out() -> Message:
    return Message(
        "the numbers that never originate need more than {most:,} entries in {file}. While this service is down, "
        "Asterisk connects calls from those that are left out; keep it running, and ask the association to join "
        "these numbers to ranges",
        most=fallback_conf.NEVER_LIMIT,
        file=dialplan.FALLBACK_FILE,
    )


def _stocks_left_out() -> Message:
    return Message(
        "the numbers of the suspended members need more than {most:,} entries in {file}. While this service is down, "
        "Asterisk connects their calls; keep it running, or join these numbers to ranges in the registry",
        most=fallback_conf.ENTRIES_LIMIT,
        file=dialplan.FALLBACK_FILE,
    )


def not_written(directory: Path, error: OSError) -> FallbackError:
    return FallbackError(
        "{directory}: the suspended numbers cannot be written for Asterisk: {reason}. While this service is down, "
        "Asterisk connects numbers that were suspended after the last write, and refuses every call if "
        "{file} is missing or damaged. Allow the user that runs idtone to write to this folder, and run: "
        "chmod g+s {directory}",
        directory=directory,
        file=dialplan.FALLBACK_FILE,
        reason=error.strerror,
    )
