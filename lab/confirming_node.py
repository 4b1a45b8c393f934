"""A node that confirms suspensions to the desk, and registries with signed lists of suspensions."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from idtone.core.errors import TrustError
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import Signer
from idtone.registry.correspondence.signed_document import verified_document
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.parsers import parse_suspensions
from idtone.registry.suspensions.own_suspension import OwnSuspensions
from idtone.service.suspension_confirmations import ENDED_WITHIN_S, SuspensionConfirmations
from lab.registry.examples import GOOD, index_of

SEED = b"1" * 32
SIGNER = Signer("m-0001/pbx-1", SEED)
ENTRY = "  - {{number: '03123456{0:02}', since: 2026-11-02T00:00:00+09:00, reference: R-{0}}}\n"
REGISTRY = index_of(GOOD.partition("suspensions:")[0])


def registry_with_stops(*references: int) -> RegistryIndex:
    """A signed registry with suspensions under these references, and with a member that gets no new numbers."""
    text = "issued: 2026-11-02T00:00:00+09:00\nsuspensions:\n" + "".join(map(ENTRY.format, references))
    text += "  - {member: m-0002, kind: no-new-numbers, since: 2026-11-02T00:00:00+09:00, reference: R-0}\n"
    document = parse_suspensions(text, "suspensions.yaml")
    return REGISTRY.renewed(Signed(document, datetime.now(UTC) + timedelta(days=1), "ab" * 32))


class Node:
    """A node and its desk. `away` makes the desk unreachable."""

    def __init__(self, folder: Path) -> None:
        key_file = folder / "ledger.key"
        seed = key_file.with_name("ledger.key.sign")
        seed.write_bytes(SEED)
        seed.chmod(0o600)
        self.settings = Settings.model_validate(
            {
                "node": "pbx-1",
                "association": {"member": "m-0001", "desk": "https://desk.example"},
                "ledger": {"url": f"sqlite:///{folder / 'ledger.sqlite3'}", "key_file": str(key_file)},
            }
        )
        self.registry: RegistryIndex | None = None
        self.ended: Counter[str] = Counter()
        self.away = False
        self.received: list[bytes] = []
        self.own = OwnSuspensions()
        self.hangs = False
        """True if the calls end but their channels do not report it."""
        self.hands_over = False
        """True if the next instance ends the remaining calls."""
        self.start()

    def start(self) -> None:
        """Start the node's next process."""
        self.confirming = SuspensionConfirmations(
            self.settings,
            lambda: self.registry,
            self.end_calls,
            self.ended,
            self.send,
            lambda: self.own,
        )
        self.ending: dict[str, int] = {}

    async def end_calls(self, _: float) -> bool:
        self.ended.update(self.ending)
        if self.hangs:
            self.ending = {}
            await asyncio.sleep(ENDED_WITHIN_S)
        return not self.hands_over

    def send(self, settings: Settings, octets: bytes) -> None:
        if self.away:
            raise TrustError("the desk cannot be reached")
        self.received.append(octets)

    async def until_it_hangs(self) -> None:
        async with asyncio.timeout(60):
            while self.ending:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.received) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def told(self) -> list[dict[str, int]]:
        documents = [verified_document(octets, lambda _: [SIGNER.key]).content for octets in self.received]
        return [{stop["reference"]: stop["calls_ended"] for stop in each["stops"]} for each in documents]
