"""The registry on this machine, read once for all visitors and reread after changes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from idtone.core.calls import Trust
from idtone.core.errors import DocumentError, TrustError, UsageError
from idtone.core.settings.settings import RegistrySettings
from idtone.core.translation import joined
from idtone.operations.doctor.registry_findings import faulty
from idtone.registry.differences import registry_differences, suspension_differences
from idtone.registry.index import RegistryIndex
from idtone.registry.local_registry import read_local_registry
from idtone.registry.model import Header, RegistryDocument, SuspensionsDocument
from idtone.registry.registry_report import Counts, counts, number_count
from idtone.registry.sources import identity
from idtone.registry.trust import tuf_roles

CHANGES: Final = 200
"""Maximum number of differences kept in memory and shown on a page."""
FIRST_S: Final = 5.0
AGAIN_S: Final = 0.2
"""Seconds that a page waits for a newer registry. For the first registry, it waits `FIRST_S`."""


@dataclass(frozen=True, slots=True)
class RegistryChanges:
    """Differences between the registry and the previous version that this console read."""

    version: int
    """The earlier version that the registry is compared with."""
    words: Sequence[str]
    more: bool
    """True if there are more than `CHANGES` differences."""


@dataclass(frozen=True)
class ReadRegistry:
    """One version of the registry, as read by the console."""

    document: RegistryDocument
    index: RegistryIndex
    read_at: datetime
    changes: RegistryChanges | None
    """Differences from the previous version, or None if the console has read no other version."""

    @property
    def header(self) -> Header:
        return self.document.registry

    @cached_property
    def counts(self) -> Counts:
        return counts(self.document)

    @cached_property
    def number_counts(self) -> Mapping[str, int]:
        """Count of telephone numbers by member id."""
        return {member.id: number_count(member) for member in self.document.members}

    @cached_property
    def names(self) -> Mapping[str, Mapping[str, str]]:
        """Names by member id, each by language."""
        return {member.id: {"ja": member.name.ja, "en": member.name.en} for member in self.document.members}


class RegistryInUse:
    """The registry for the pages. Use only from the event loop."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._reading: asyncio.Task[ReadRegistry] | None = None
        self._seen: tuple[int, ...] = ()
        self._read: ReadRegistry | None = None

    @property
    def signed_until(self) -> datetime | None:
        """Expiry of the last registry read, or None if there is none or it is unsigned."""
        is_signed = self._read is not None and self._read.index.trust is Trust.SIGNED
        return self._read.index.expires if self._read is not None and is_signed else None

    @property
    def read_at(self) -> datetime | None:
        """Time of the last read of the registry, or None before the first read."""
        return None if self._read is None else self._read.read_at

    async def look(self) -> ReadRegistry:
        """The current registry, or the previous one while a newer one is being read.

        An unchanged registry costs a single `stat`. Raises UsageError if the registry is unusable or the first read
        takes longer than `FIRST_S`. The error contains no telephone number.
        """
        if self._reading and self._reading.done() and not self._reading.exception():
            # The read ended after the last call, so the registry may have changed again. A fault must still be shown.
            self._reading = None
        if self._reading is None:
            if self._read is not None and identity(self._witness()) == self._seen:
                return self._read
            self._reading = asyncio.create_task(asyncio.to_thread(self._renewed))
        reading = self._reading
        done, _ = await asyncio.wait({reading}, timeout=FIRST_S if self._read is None else AGAIN_S)
        if done:
            if self._reading is reading:
                self._reading = None
            return reading.result()
        if self._read is None:
            raise UsageError("The registry is being read. Open the page again in some seconds.")
        return self._read

    def _renewed(self) -> ReadRegistry:
        seen = identity(self._witness())
        try:
            self._read = self._newer(self._read)
        except (DocumentError, TrustError) as error:
            if identity(self._witness()) != seen:  # the file was being written, and only its beginning was read
                return self._renewed()
            finding = faulty(error, self._settings.source)
            raise UsageError(joined(" → ", (finding.found, finding.remedy))) from error
        self._seen = seen
        return self._read

    def _witness(self) -> Path:
        """The file that changes whenever the registry changes."""
        if self._settings.root_file() is None:
            return self._settings.file()
        return self._settings.cache / tuf_roles.KEPT

    def _newer(self, before: ReadRegistry | None) -> ReadRegistry:
        found = read_local_registry(self._settings)
        changes = before.changes if before else None
        if before and before.document != found.document:
            changes = _changes(before.document, found.document)
        read = ReadRegistry(found.document, found.index(), datetime.now(UTC), changes)
        _ = read.counts, read.number_counts  # computed now, so that no page waits for it
        return read


def _changes(old: RegistryDocument, new: RegistryDocument) -> RegistryChanges:
    before, after = (
        SuspensionsDocument(issued=each.registry.issued, suspensions=each.suspensions) for each in (old, new)
    )
    words = [*registry_differences(old, new), *suspension_differences(before, after)]
    return RegistryChanges(old.registry.version, words[:CHANGES], len(words) > CHANGES)
