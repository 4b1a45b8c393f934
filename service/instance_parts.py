"""Container for a service instance's parts, for the code that starts them or shows their state."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from idtone.ari_app.application import AriApplication
from idtone.ari_app.runner import ApplicationRunner
from idtone.call_control.call_control import CallControl
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.call_control.journal_reader import JournalReader
from idtone.core.calls import Licence
from idtone.core.settings.settings import Settings
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.witness.cosigning import Cosigning
from idtone.ledger.witness.timestamping import Timestamping
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.registry.customer_lines.lines_source import LinesSource
from idtone.registry.index import RegistryIndex
from idtone.registry.licence_lapses import LicenceLapse, lapses
from idtone.registry.sources import Source

from .brake_keeper import BrakeKeeper
from .call_counts import CallCounts
from .ledger_disk_space import LedgerDiskSpace
from .loaded_hook_check import LoadedHookCheck
from .other_nodes import OtherNodes
from .suspension_keeper import SuspensionKeeper


@dataclass
class InstanceParts:
    """All parts of a service instance. The threads for metrics and `idtone status` also read them."""

    settings: Settings
    calls: CallControl
    counts: CallCounts
    fallback: FallbackKeeper
    source: Source
    lines: LinesSource | None
    application: AriApplication
    runner: ApplicationRunner
    hook: LoadedHookCheck
    keeper: BrakeKeeper | None
    """The brake's keeper; None if the brake is off."""
    suspensions: SuspensionKeeper
    """This node's own suspensions."""
    journal: JournalReader
    evidence: LedgerWriter
    room: LedgerDiskSpace
    cosigning: Cosigning
    timestamping: Timestamping
    replicator: Replicator | None
    others: OtherNodes
    hand_overs: Callable[[], int]
    _suspended: tuple[RegistryIndex, list[float], list[float]] | None = field(default=None, init=False)
    _licences: tuple[RegistryIndex, tuple[Licence, ...]] | None = field(default=None, init=False)
    _lapses: tuple[RegistryIndex, float | None] | None = field(default=None, init=False)

    def certification_lapses_s(self) -> float | None:
        registry = self.source.current
        if registry is None:
            return None
        if self._lapses is None or self._lapses[0] is not registry:
            first = min(registry.certification_lapses(self.settings.association.member), default=None)
            self._lapses = registry, first[0].timestamp() if first else None
        return self._lapses[1]

    def licence_lapses(self, now: datetime) -> list[LicenceLapse]:
        """Upcoming and past lapses of the licences of `association.member`."""
        registry, member = self.source.current, self.settings.association.member
        if registry is None or member is None:
            return []
        if self._licences is None or self._licences[0] is not registry:
            self._licences = registry, registry.licences(member)
        return lapses(self._licences[1], now)

    def suspensions_in_force(self, now_s: float) -> int:
        registry = self.source.current
        if registry is None:
            now = datetime.fromtimestamp(now_s, UTC)
            return sum(any(each.in_force(now) for each in found) for found in self.calls.remembered.suspended.values())
        if self._suspended is None or self._suspended[0] is not registry:
            begin = sorted(each.since.timestamp() for each in registry.suspensions)
            end = sorted(each.until.timestamp() for each in registry.suspensions if each.until)
            self._suspended = registry, begin, end
        _, begin, end = self._suspended
        at_s = max(now_s, registry.issued.timestamp())
        return bisect_right(begin, at_s) - bisect_right(end, at_s)
