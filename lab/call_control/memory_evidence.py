"""A ledger in memory with the interface that call control uses, and the registry and call ids of its tests."""

import functools
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from idtone.call_control.call import Call
from idtone.call_control.request import Request
from idtone.core.errors import LedgerError
from idtone.ledger.evidence.call_record import Record, record_of_steps
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.leaves import CLOSING
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import parse_document

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = "123456789012"
OTHER_NONCE = "210987654321"

LICENSED, SUSPENDED, UNKNOWN, FOREIGN = "0312345678", "0312345677", "0399999998", "0399999999"
MEMBER = "m-0001"
CALLER, CALLED = "09012345679", "05012345670"


@dataclass
class MemoryEvidence:
    """Evidence in memory.

    Decisions are stored at once, as in the real ledger with its file of pending decisions. Other steps are also stored
    at once. If `slow`, they are stored by `commit`, and a kill before `commit` loses them. If `stuck`, decisions also
    wait for `commit`.
    """

    full: bool = False
    slow: bool = False
    stuck: bool = False
    error: LedgerError | None = None
    """Error of every further step, or None."""
    steps: list[Step] = field(default_factory=list)
    """Steps in the order of writing."""
    hurried: int = 0
    _late: list[tuple[Step, Future[None]]] = field(default_factory=list)

    def append(self, step: Step) -> Future[None]:
        written: Future[None] = Future()
        if self.error:
            written.set_exception(self.error)
        elif self.stuck if step.kind is StepKind.DECIDED else self.slow:
            self._late.append((step, written))
        else:
            self.steps.append(step)
            written.set_result(None)
        return written

    def hurry(self) -> None:
        self.hurried += 1

    def commit(self, most: int | None = None) -> None:
        """Store the first `most` of the waiting steps, or all of them by default."""
        group, self._late = self._late[:most], self._late[len(self._late) if most is None else most :]
        self.steps += [step for step, _ in group]
        for _, written in group:
            written.set_result(None)

    @property
    def late(self) -> int:
        return len(self._late)

    def kinds(self, call_id: str | None = None) -> list[str]:
        return [step.kind.value for step in self.steps if call_id in (None, step.call_id)]

    # -- as the ledger is read ------------------------------------------------------------------------------------

    def times(self, call_ids: Iterable[str]) -> dict[str, dict[str, datetime]]:
        found: dict[str, dict[str, datetime]] = {call_id: {} for call_id in call_ids}
        for step in self.steps:
            if step.call_id in found:
                found[step.call_id].setdefault(step.kind, step.at)
        return found

    def knows(self, call_id: str) -> bool:
        return any(step.call_id == call_id for step in self.steps)

    def record(self, call_id: str) -> Record:
        return record_of_steps("lab", [step for step in self.steps if step.call_id == call_id])

    def records(self) -> list[Record]:
        return [self.record(call_id) for call_id in dict.fromkeys(step.call_id for step in self.steps)]

    def restored(self, call_ids: Iterable[str]) -> dict[str, Call]:
        records = map(self.record, call_ids)
        return {each.call_id: Call.restored(each, each.nonce) for each in records if each.nonce is not None}

    def calls_in_progress(self) -> dict[str, Call]:
        """The calls in progress, as the next instance restores them."""
        return self.restored(each.call_id for each in self.records() if not CLOSING & each.times.keys())


_: type[Evidence] = MemoryEvidence


SUSPENSION = f'{{number: "{SUSPENDED}", since: 2026-03-01T00:00:00Z, reference: R-1}}'
SUSPENDED_NOW = f'{SUSPENSION}, {{number: "{LICENSED}", since: 2026-10-31T23:59:59Z, reference: R-2}}'


@functools.cache
def registry(suspensions: str = SUSPENSION, version: int = 42, more: str = "") -> RegistryIndex:
    """A registry with the licensed numbers 0312345600 to 0312345699 and a number of another member."""
    text = f"""
registry: {{association: JUSA, version: {version}, issued: 2026-10-01T00:00:00Z, expires: 2126-12-01T00:00:00Z}}
tones:
  - {{id: sample, title: Sample sound}}
members:
  - id: m-0001
    name: {{ja: 良い電話株式会社, en: Good Telecom}}
    pledge: {{signed: 2026-01-05}}
    licences:
      - id: L-0001
        tone: sample
        status: active
        valid: {{from: 2026-01-10T00:00:00Z, until: 2127-01-10T00:00:00Z}}
        directions: [incoming, outgoing]
    numbers: ["+81312345600-+81312345699"]
  - id: m-0002
    name: {{ja: 他社電話株式会社, en: Other Telephone}}
    numbers: ["{FOREIGN}"]
suspensions: [{suspensions}]
{more}"""
    return RegistryIndex(parse_document(text, "registry.yaml"))


def suspending_registry() -> RegistryIndex:
    """The next version of the registry, which also suspends the licensed number."""
    return registry(SUSPENDED_NOW, version=43)


def id_of(number: int = 1, at: datetime = NOW, calls: int = 1, system: str = "") -> str:
    """A call id as Asterisk and the hook make it for a channel created at the time `at`."""
    return f"{system}{int(at.timestamp())}.{number}-{calls}"


REQUEST = Request(id_of(), NONCE, LICENSED, "incoming", CALLED, f"PJSIP/{CALLED}@trunk", CALLER)
