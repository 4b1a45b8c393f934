"""Confirmations to the association that this node has applied its suspensions.

A confirmation is signed and stored in a folder next to the ledger before it is sent, so it survives an unreachable desk
and the end of the process. `confirmed.json` holds the confirmed entries' digests and references, so that each entry and
its end are confirmed only once. `ended.json` holds the ended calls that an instance leaves for the next one to confirm.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import IdtoneError, LedgerError
from idtone.core.log_throttle import LogThrottle
from idtone.core.settings.settings import Settings
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.sqlite import path_of
from idtone.registry.correspondence import desk_client
from idtone.registry.correspondence.own_suspension_report import KIND as OWN_KIND
from idtone.registry.correspondence.signed_document import sign_document
from idtone.registry.correspondence.suspension_confirmation import KIND, STOPS_LIMIT
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.model import SuspensionEntry
from idtone.registry.suspended_numbers import stops
from idtone.registry.suspensions.own_suspension import OwnSuspension, OwnSuspensions

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.25
ENDED_WITHIN_S: Final = 15.0
"""Maximum time in seconds that a confirmation waits for Asterisk to end the calls that it counts."""
AGAIN_S: Final = (1.0, 60.0)
"""First and longest pause after a failure, in seconds."""
_SUFFIX: Final = ".note"
_STATE: Final = "confirmed.json"
_OWN_STATE: Final = "own.json"
_ENDED: Final = "ended.json"


@dataclass(frozen=True, slots=True)
class ConfirmedSuspensions:
    """Digests of the suspensions that this node has confirmed to the association."""

    digests: frozenset[str]
    at: datetime | None
    """The time of the newest confirmation; None if there is none."""
    waiting: int
    """Number of confirmations that the desk does not have yet."""

    def has(self, entry: SuspensionEntry) -> bool:
        return _digest(entry) in self.digests


def read_confirmed(ledger: Path) -> ConfirmedSuspensions:
    """Suspensions confirmed by a ledger's node. Raises LedgerError if this user cannot read them."""
    folder = folder_of(ledger)
    try:
        digests = frozenset(json.loads((folder / _STATE).read_bytes()))
        at = datetime.fromtimestamp((folder / _STATE).stat().st_mtime, UTC)
        return ConfirmedSuspensions(digests, at, len([*folder.glob(f"*{_SUFFIX}")]))
    except (FileNotFoundError, ValueError):
        return ConfirmedSuspensions(frozenset(), None, 0)
    except OSError as error:
        raise LedgerError("{folder}: cannot be read: {reason}", folder=folder, reason=error.strerror) from error


def folder_of(ledger: Path) -> Path:
    """Folder of the confirmations next to a ledger."""
    return ledger.with_name(f"{ledger.name}.confirmations")


class SuspensionConfirmations:
    """Confirms suspensions to the association while the service is running. Does nothing for an unsigned registry."""

    def __init__(
        self,
        settings: Settings,
        registry: Callable[[], RegistryIndex | None],
        end_calls: Callable[[float], Awaitable[bool]],
        ended: Mapping[str, int],
        send: Callable[[Settings, bytes], object] = desk_client.send,
        own: Callable[[], OwnSuspensions] = OwnSuspensions,
    ) -> None:
        """Set the service's functions and counters.

        `end_calls` ends calls with suspended numbers within a number of seconds. It returns False if it leaves some
        calls to the next instance. `ended` counts the ended calls by reference. `own` returns this node's own
        suspensions, which are also reported to the association.
        """
        self._settings = settings
        self._registry = registry
        self._end_calls = end_calls
        self._ended = ended
        self._told: Counter[str] = Counter()
        """Counts from `ended` that earlier confirmations contained."""
        self._send = send
        self._folder = folder_of(path_of(settings.ledger.own_url()))
        self._state = self._folder / _STATE
        self._seen: RegistryIndex | None = None
        self._unsent = True
        """True if there may be confirmations that the desk does not have yet."""
        self._own = own
        self._own_state = self._folder / _OWN_STATE
        self._own_seen: OwnSuspensions | None = None
        self._left: Counter[str] = Counter()
        """Calls that the previous instance ended but did not confirm."""
        self._confirming = threading.Lock()

    @property
    def waiting(self) -> list[Path]:
        """Confirmations that have not reached the association yet, oldest first."""
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    async def run(self) -> None:
        """Send confirmations until cancelled. Raises DocumentError if `association.member` is not set."""
        desk_client.member_of(self._settings)
        self._take_left()
        throttle = LogThrottle(log, window_s=AGAIN_S[1])
        wait_s, next_s = AGAIN_S[0], 0.0
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                try:
                    await self._look()
                    if self._unsent and time.monotonic() >= next_s:
                        await asyncio.wrap_future(in_daemon(self._send_waiting, "sending confirmations"))
                        wait_s = AGAIN_S[0]
                except IdtoneError as error:
                    throttle.log(logging.ERROR, f"suspensions are not confirmed to the association yet: {error}")
                    if isinstance(error, LedgerError):
                        await asyncio.sleep(AGAIN_S[0])
                    next_s = time.monotonic() + wait_s
                    wait_s = min(2 * wait_s, AGAIN_S[1])
        finally:
            throttle.flush()
            await asyncio.to_thread(self._leave)

    def _take_left(self) -> None:
        """Load the ended calls that the previous instance left.

        Removes the file first, so that no call is counted twice.
        """
        path = self._folder / _ENDED
        try:
            left = path.read_bytes()
            path.unlink()
            self._left.update(dict(json.loads(left)))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            log.error("%s: its ended calls will be missing in confirmations (%s)", path, type(error).__name__)

    def _leave(self) -> None:
        """Save the ended calls of unconfirmed suspensions for the next instance."""
        registry = self._registry()
        with self._confirming:
            confirmed, ended = self._confirmed(), self._left + Counter(self._ended) - self._told
            unconfirmed = set(self._left)  # as far as this instance knows: it may have had no registry
            if registry and registry.signed:
                entries = stops(registry.signed.suspensions.suspensions)
                unconfirmed = {each.reference for each in entries if _digest(each) not in confirmed}
            left = {reference: ended[reference] for reference in unconfirmed & ended.keys()}
            try:
                if left:
                    replace_private(self._folder / _ENDED, json.dumps(left).encode())
            except OSError as error:
                log.error("%s: ended calls will be missing in confirmations: %s", self._folder, error.strerror)

    async def _look(self) -> None:
        """Store a confirmation if the registry has new suspensions or no longer has an earlier one.

        Raises LedgerError; the next call tries again.
        """
        own = self._own()
        if own is not self._own_seen:
            await asyncio.to_thread(self._keep_own, own)
            self._own_seen = own
        registry = self._registry()
        if registry is None or registry is self._seen or registry.signed is None:
            return
        in_use = datetime.now(UTC)
        if not await self._end_calls(ENDED_WITHIN_S):
            return  # a hand-over: the next instance ends the rest and confirms all, or this one tries again
        await asyncio.to_thread(self._keep, registry.version, registry.signed, in_use)
        self._seen = registry

    def _keep(self, version: int, edition: Signed, in_use: datetime) -> None:
        with self._confirming:
            self._keep_new(version, edition, in_use)

    def _keep_new(self, version: int, edition: Signed, in_use: datetime) -> None:
        present = {_digest(entry): entry for entry in stops(edition.suspensions.suspensions)}
        confirmed = self._confirmed()
        if present.keys() == confirmed.keys():
            return
        new = iter(dict.fromkeys(entry.reference for key, entry in present.items() if key not in confirmed))
        gone = iter(dict.fromkeys(reference for key, reference in confirmed.items() if key not in present))
        try:
            while (references := list(islice(new, STOPS_LIMIT))) + (lifts := list(islice(gone, STOPS_LIMIT))):
                ended = Counter({each: self._left[each] + self._ended.get(each, 0) for each in references})
                content = {
                    "sha256": edition.sha256,
                    "issued": edition.suspensions.issued.isoformat(),
                    "registry_version": version,
                    "in_use": in_use.isoformat(),
                    "stops": [
                        {"reference": reference, "calls_ended": count - self._told[reference]}
                        for reference, count in ended.items()
                    ],
                    "lifts": lifts,
                }
                self._put(KIND, content)
                self._told |= ended
            # Last: a confirmation may be sent twice, but none is lost.
            state = {key: entry.reference for key, entry in sorted(present.items())}
            replace_private(self._state, json.dumps(state).encode())
            self._unsent = True
        except OSError as error:
            raise self._not_written(error) from error

    def _keep_own(self, own: OwnSuspensions) -> None:
        """Store a report on each of the node's own suspensions whose state the association does not know yet."""
        told = self._read(self._own_state)
        reports = {
            hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(): content
            for content in map(_report, own.suspensions)
            if content
        }
        if not reports.keys() - told:
            return
        try:
            for digest in reports.keys() - told:
                self._put(OWN_KIND, reports[digest])
            replace_private(self._own_state, json.dumps(sorted(reports)).encode())
            self._unsent = True
        except OSError as error:
            raise self._not_written(error) from error

    def _put(self, kind: str, content: dict[str, Any]) -> None:
        """Sign a document and store it until it is sent. Raises OSError."""
        signer, member = desk_client.document_signer(self._settings), desk_client.member_of(self._settings)
        document = sign_document(kind, member, content, signer, datetime.now(UTC))
        replace_private(self._folder / f"{time.time_ns():020}{_SUFFIX}", document)

    def _not_written(self, error: OSError) -> LedgerError:
        return LedgerError("{folder}: cannot be written: {reason}", folder=self._folder, reason=error.strerror)

    def _confirmed(self) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError, ValueError):  # if it is lost, all are confirmed again
            return dict(json.loads(self._state.read_bytes()))
        return {}

    def _read(self, state: Path) -> set[str]:
        with contextlib.suppress(FileNotFoundError, ValueError):  # if it is lost, all are confirmed again
            return set(json.loads(state.read_bytes()))
        return set()

    def _send_waiting(self) -> None:
        """Send the stored documents. Raises TrustError if the desk is unreachable or rejects a document."""
        for path in self.waiting:
            with contextlib.suppress(FileNotFoundError):  # the instance before this one has just sent it
                self._send(self._settings, path.read_bytes())
                path.unlink()
                log.info("a confirmation of suspensions has reached the association's desk")
        self._unsent = False


def _report(one: OwnSuspension) -> dict[str, Any] | None:
    """Report to the association on one of the node's own suspensions; None if it was never in force."""
    if one.in_force is None:
        return None
    return {
        "id": one.id, "reference": one.reference, "numbers": one.count, "in_force": one.in_force.isoformat(),
        "calls_ended": one.calls_ended, "state": one.state, **({"over": one.over.isoformat()} if one.over else {}),
    }  # fmt: skip


def _digest(entry: SuspensionEntry) -> str:
    """Digest that identifies an entry without revealing its number."""
    return hashlib.sha256(entry.model_dump_json().encode()).hexdigest()
