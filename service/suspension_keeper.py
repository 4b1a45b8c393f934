"""Applies, confirms and records this node's own suspensions (`idtone suspend`).

No call waits for this work. Decisions use `StopsInUse`, and Asterisk gets the numbers from `fallback.conf`. A
suspension is in force when both have it. If the association suspends the same number, its suspension takes over.

The nodes of a fleet suspend numbers together. This node's suspensions are sealed in its state in PostgreSQL
(`node_state`), and the other nodes' suspensions are added to the local file (`fleet_suspensions`).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.core.errors import FallbackError, IdtoneError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.log_throttle import LogThrottle
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import acting_person
from idtone.core.settings.fleet import read_fleet_key
from idtone.core.settings.policy import PolicySettings
from idtone.core.settings.settings import Settings
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.act_ids import new_act_id
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import Step
from idtone.ledger.replication.node_reports import NodeReport
from idtone.registry.index import RegistryIndex
from idtone.registry.suspensions.fleet_suspensions import SuspensionSeal, suspensions_to_send, taken_over
from idtone.registry.suspensions.own_suspension import OwnSuspension, OwnSuspensions, covered, put_to_use
from idtone.registry.suspensions.suspension_acts import IN_FORCE, LIFT_IN_FORCE, TAKEN_OVER, act_details
from idtone.registry.suspensions.suspension_file import StopsInUse, changing, read_suspensions
from idtone.registry.suspensions.suspension_states import DutyKind

from .other_nodes import shares_with_nodes

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.25
ENDED_WITHIN_S: Final = 1.0
"""Maximum time in seconds to wait for Asterisk to end calls with stopped numbers. The ended calls are then counted;
calls that end later are added.
"""
AGAIN_S: Final = 30.0
"""Pause in seconds between checks while nothing changes, because a suspension by the association may begin at a later
date.
"""


def duty_terms(policy: PolicySettings, at: datetime) -> list[tuple[DutyKind, Any]]:
    """Duties that follow a suspension, with their due dates."""
    given = (DutyKind.CONTRACTOR_REPORT, policy.contractor_report), (DutyKind.CONTRACT_END, policy.contract_end)
    return [(kind, (at + term).astimezone(JAPAN).date()) for kind, term in given]


class SuspensionKeeper:
    """Applies this node's own suspensions while the service is running."""

    def __init__(
        self,
        settings: Settings,
        stops: StopsInUse,
        registry: Callable[[], RegistryIndex | None],
        fallback: FallbackKeeper,
        end_calls: Callable[[float], Awaitable[object]],
        ended: Mapping[str, int],
        evidence: Evidence,
        report_soon: Callable[[], None] = lambda: None,
    ) -> None:
        """Set the service's functions and counters.

        `end_calls` ends calls with suspended numbers within a number of seconds. `ended` counts the ended calls by
        suspension id. `report_soon` immediately sends a change to the other nodes. Raises DocumentError if the fleet
        key cannot be used.
        """
        self._settings, self._stops, self._registry, self._fallback = settings, stops, registry, fallback
        self._end_calls, self._ended, self._evidence = end_calls, ended, evidence
        self._told: dict[str, int] = {}
        """Counts from `ended` that are in the file."""
        self._confirming = threading.Lock()
        self._known = read_suspensions(stops.path)
        self._report_soon = report_soon
        key = settings.fleet.key_file if shares_with_nodes(settings) else None
        self._seal = SuspensionSeal(read_fleet_key(key)) if key else None
        self.told: str | None = None
        """This node's report for the other nodes; None if there is nothing to share. Thread-safe."""
        self._told_known = OwnSuspensions()
        self._tell()

    @property
    def known(self) -> OwnSuspensions:
        """Suspensions in the file when it was last read."""
        return self._known

    def _tell(self) -> None:
        """Send the file's content to the other nodes."""
        if self._seal and self._known != self._told_known:
            self._told_known = self._known
            self.told = self._seal.sealed(self._settings.node, suspensions_to_send(self._known, self._settings.node))
            self._report_soon()

    def read_reports(self, reports: Sequence[NodeReport]) -> None:
        """Add the other nodes' suspensions and confirmations to the file. Thread-safe."""
        if not self._seal:
            return
        node = self._settings.node
        others = {each.node: self._seal.opened(each.node, _field(each.state)) for each in reports}
        if taken_over(self._known, node, others) == self._known:
            return
        try:
            with changing(self._stops.path) as draft:
                before, draft.held = draft.held, taken_over(draft.held, node, others)
        except UsageError as error:
            log.error("suspensions of other nodes are not taken over: %s", error)
            return
        for one in draft.held.suspensions:
            if one.home and all(each.id != one.id for each in before.suspensions):
                log.warning("%s: %s has stopped %d numbers", one.id, one.home, one.count)

    async def run(self) -> None:
        """Apply and record suspensions until cancelled."""
        throttle = LogThrottle(log, window_s=60.0)
        seen: RegistryIndex | None = None
        again_s, is_due = 0.0, True
        try:
            while True:
                registry = self._registry()
                waits = any(each.is_open for each in self._known.suspensions)
                if waits and (registry is not seen or dict(self._ended) != self._told or time.monotonic() >= again_s):
                    is_due = True
                if is_due or self._stops.has_changed():
                    seen, again_s = registry, time.monotonic() + AGAIN_S
                    try:
                        await self._settle(registry)
                        is_due = False
                    except FallbackError as error:
                        is_due = True
                        throttle.log(logging.CRITICAL, str(error))
                    except IdtoneError as error:
                        is_due = True
                        throttle.log(logging.ERROR, f"this node's own suspensions are not confirmed: {error}")
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            throttle.flush()
            if dict(self._ended) != self._told:  # the next instance counts only the calls that it ends itself
                await asyncio.to_thread(self._count_rest)

    async def _settle(self, registry: RegistryIndex | None) -> None:
        await asyncio.to_thread(self._stops.refresh)  # from here on its calls are refused
        at = datetime.now(UTC)
        ending = asyncio.ensure_future(self._end_calls(ENDED_WITHIN_S))
        await asyncio.to_thread(self._fallback.update, registry)
        await ending
        ended = dict(self._ended)
        await asyncio.to_thread(self._confirm, registry, at, ended)

    def _count_rest(self) -> None:
        try:
            with self._confirming, changing(self._stops.path) as draft:
                for one in draft.held.suspensions:
                    draft.put(self._counted(one, self._ended))
        except UsageError as error:
            log.error("ended calls will be missing in this node's own suspensions: %s", error)

    def _confirm(self, registry: RegistryIndex | None, at: datetime, ended: dict[str, int]) -> None:
        """Confirm the suspensions in use. Raises FallbackError or UsageError."""
        with self._confirming:
            self._confirm_all(registry, at, ended)

    def _confirm_all(self, registry: RegistryIndex | None, at: datetime, ended: dict[str, int]) -> None:
        self._known = read_suspensions(self._stops.path)
        by_association = _in_force(registry, at, self._known)
        if any(self._changed(each, at, ended, by_association) != each for each in self._known.suspensions):
            with changing(self._stops.path) as draft:
                pairs = [(each, self._changed(each, at, ended, by_association)) for each in draft.held.suspensions]
                for _, after in pairs:
                    draft.put(after)
            self._known, self._told = draft.held, ended
            for before, after in pairs:
                for step in self._steps(before, after):
                    self._evidence.append(step)
            self._stops.refresh()
            self._fallback.update(registry)
        self._told = ended
        self._tell()

    def _changed(
        self, one: OwnSuspension, at: datetime, ended: Mapping[str, int], by_association: Iterable[NumberSpan]
    ) -> OwnSuspension:
        after = self._counted(put_to_use(one, at, True, duty_terms(self._settings.policy, at)), ended)
        if after.lifted and not after.over:
            after = after.model_copy(update={"over": at})
        return covered(after, by_association, at)

    def _counted(self, one: OwnSuspension, ended: Mapping[str, int]) -> OwnSuspension:
        more = ended.get(one.id, 0) - self._told.get(one.id, 0)
        return one.model_copy(update={"calls_ended": one.calls_ended + more}) if more else one

    def _steps(self, before: OwnSuspension, after: OwnSuspension) -> Iterator[Step]:
        by = acting_person()
        node = self._settings.node
        if after.in_force and not before.in_force:
            log.warning("%s: the suspension of this node is in force (%d numbers)", after.id, after.count)
            yield steps.duty(
                new_act_id(),
                after.in_force,
                by,
                IN_FORCE,
                after.id,
                {**act_details(after), "node": node, "calls_ended": after.calls_ended},
            )
        if after.taken_over and not before.taken_over:
            log.warning("%s: the association's own suspension has taken over", after.id)
            yield steps.duty(new_act_id(), after.taken_over, by, TAKEN_OVER, after.id, act_details(after))
        if after.over and not before.over:
            log.warning("%s: the suspension of this node is lifted", after.id)
            yield steps.duty(
                new_act_id(), after.over, by, LIFT_IN_FORCE, after.id, {**act_details(after), "node": node}
            )


def _field(state: object) -> object:
    return state.get("suspensions") if isinstance(state, dict) else None


def _in_force(registry: RegistryIndex | None, at: datetime, known: OwnSuspensions) -> list[NumberSpan]:
    """Spans of the association's suspensions in force that overlap one of the node's own suspensions."""
    own = [span for one in known.suspensions for span in one.spans()]
    if registry is None or not own:
        return []
    now = max(at, registry.issued)
    return [span for span, each in registry.suspended_spans() if each.in_force(now) and any(map(span.overlaps, own))]


def summary(known: OwnSuspensions, now: datetime, most: int = 100) -> list[dict[str, Any]]:
    """Open suspensions for `idtone status`, without telephone numbers."""
    return [
        {
            "id": one.id, "state": one.state, "reference": one.reference, "numbers": one.count,
            "asked": one.asked.at.isoformat(timespec="seconds"),
            "in_force": one.in_force.isoformat(timespec="seconds") if one.in_force else None,
            "calls_ended": one.calls_ended, "home": one.home, "not_confirmed_by": one.waiting_nodes(),
            "duties": [
                {"kind": duty.kind, "due": duty.due.isoformat(), "overdue": duty.is_overdue(now)}
                for duty in one.open_duties()
            ],
        }
        for one in known.suspensions if one.is_open
    ][-most:]  # fmt: skip
