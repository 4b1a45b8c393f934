"""Orders the node's own suspensions, applies them without the service, and records them.

Several commands share these acts.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from idtone.call_control.fallback_conf import UsableNumbers
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.core.errors import DocumentError, FallbackError, IdtoneError, LedgerError, TrustError, UsageError
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Scalar, Step
from idtone.ledger.keys.key_file import read_key
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.sealing import day_of
from idtone.ledger.store.sqlite import path_of
from idtone.registry.local_registry import read_local_registry
from idtone.registry.suspensions.own_suspension import Act, OwnSuspension, put_to_use
from idtone.registry.suspensions.suspension_acts import (
    APPROVED,
    IN_FORCE,
    LIFT_ASKED,
    LIFTED,
    WITHDRAWN,
    act_details,
    ordered_step,
)
from idtone.registry.suspensions.suspension_file import StopsInUse, changing, read_suspensions, suspensions_path
from idtone.registry.suspensions.suspension_states import SuspensionState
from idtone.service import status_client
from idtone.service.other_nodes import shares_with_nodes
from idtone.service.suspension_keeper import duty_terms

PUT_TO_USE_WITHIN_S: Final = 5.0
"""Maximum number of seconds that a command waits for the service."""
ELSEWHERE_WITHIN_S: Final = 6.0
"""Maximum number of seconds that a command waits for the other nodes, which need about three."""


class SuspensionActs:
    """One command's acts on the node's own suspensions.

    The command runs as the service's user or as root. A file that root replaces keeps its owner. If a suspension needs
    two persons, raises UsageError for an account that belongs to no single person (root or the service's user). Raises
    LedgerError if the ledger's key cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        """Identify the person who acts.

        Raises UsageError, in particular if a suspension needs two persons and this account belongs to no single person
        (root or the service's user).
        """
        self.settings, self.person = settings, acting_person()
        key = settings.ledger.key_file
        read_key(key)  # a missing key is not made here
        if self.persons > 1 and not self.person.is_by_console and self.person.uid in (0, key.stat().st_uid):
            raise UsageError(
                "{name} is no person's own account, and a suspension takes two persons here "
                "(policy.own_suspensions); log in as yourself and run this by sudo",
                name=self.person.name,
            )
        self.path = suspensions_path(settings)

    @property
    def persons(self) -> int:
        """Number of persons that a suspension needs according to the settings."""
        return self.settings.policy.own_suspensions.persons

    def act(self, why: str = "") -> Act:
        return Act.of(self.person, datetime.now(UTC), why)

    def change(self, beginning: str, changed: Callable[[OwnSuspension], OwnSuspension]) -> OwnSuspension:
        """Find a suspension by the beginning of its id, and change it in the suspensions file.

        Raises UsageError.
        """
        with changing(self.path) as draft:
            after = changed(draft.held.find(beginning))
            draft.put(after)
        return after

    def enter(self, one: OwnSuspension) -> None:
        """Add a new suspension to the suspensions file.

        Call this before `record`, because the ledger may be in trouble. Raises UsageError.
        """
        wanted = set(one.numbers)
        with changing(self.path) as draft:
            for each in draft.held.suspensions:
                if each.is_open and not each.lifted and not each.taken_over and wanted <= set(each.numbers):
                    raise UsageError("{id} ({state}) is of these numbers already", id=each.id, state=each.words)
            draft.put(one)

    def order(self, one: OwnSuspension) -> tuple[OwnSuspension, LedgerError | None]:
        """Add a new suspension, apply it if it is approved, and record it in the ledger.

        The result contains the LedgerError if the ledger did not record the suspension. Even then, its calls are
        refused. Raises UsageError and FallbackError.
        """
        self.enter(one)
        if one.approved:
            one = self.wait_for_service(one, lambda found: found.in_force is not None)
        try:
            self.record_order(one)
        except LedgerError as error:
            return one, error
        return one, None

    def finish(self, one: OwnSuspension) -> OwnSuspension:
        """Apply a changed suspension, and record the act.

        Raises UsageError, FallbackError and LedgerError.
        """
        if one.withdrawn:
            self.record(one, WITHDRAWN, {"why_withdrawn": one.withdrawn.why})
        elif one.lifted:
            self.record(one, LIFTED, {"why_lifted": (one.lift_asked or one.lifted).why})
            one = self.wait_for_service(one, lambda found: found.over is not None)
        elif one.lift_asked:
            self.record(one, LIFT_ASKED, {"why_lifted": one.lift_asked.why})
        else:
            one = self.wait_for_service(one, lambda found: found.in_force is not None)
            self.record(one, APPROVED)
        return one

    # -- in force -----------------------------------------------------------------------------------------------------

    def wait_for_service(self, one: OwnSuspension, is_done: Callable[[OwnSuspension], bool]) -> OwnSuspension:
        """Wait until the service confirms a suspension.

        If no service answers, the command applies and confirms the suspension itself. Raises UsageError and
        FallbackError.
        """
        if _runs(self.settings):
            deadline_s = time.monotonic() + PUT_TO_USE_WITHIN_S
            while time.monotonic() < deadline_s:
                found = read_suspensions(self.path).find(one.id)
                if is_done(found):
                    return found
                time.sleep(0.02)
        return self._put_to_use(one.id)

    def wait_for_other_nodes(self, one: OwnSuspension) -> OwnSuspension:
        """Wait a limited time for the fleet's other nodes to confirm a suspension."""
        waits = one.state is SuspensionState.ASKED or one.withdrawn or (one.lift_asked and not one.lifted)
        if waits or not shares_with_nodes(self.settings) or not _runs(self.settings):
            return one
        deadline_s = time.monotonic() + ELSEWHERE_WITHIN_S
        while time.monotonic() < deadline_s:
            one = read_suspensions(self.path).find(one.id)
            if one.elsewhere and not one.waiting_nodes():
                break
            time.sleep(0.05)
        return one

    def _put_to_use(self, suspension: str) -> OwnSuspension:
        """Apply the suspension only to the file that Asterisk reads."""
        stops = StopsInUse(self.path)
        self._write(stops)
        at = datetime.now(UTC)
        due = duty_terms(self.settings.policy, at)

        def changed(one: OwnSuspension) -> OwnSuspension:
            if one.lifted and not one.over:
                return one.model_copy(update={"over": at})
            return put_to_use(one, at, False, due)

        one = self.change(suspension, changed)
        if one.in_force == at:
            self.record(one, IN_FORCE, {"node": self.settings.node, "calls_ended": 0, "by_service": False})
        return one

    def _write(self, stops: StopsInUse) -> None:
        settings = self.settings
        usable = UsableNumbers.by_policy(
            settings.policy.policy(settings.association.member), settings.lines.source is not None
        )
        fallback = FallbackKeeper(settings.sounds.directory, usable, stops=lambda: stops.index)
        try:
            index = read_local_registry(settings.registry).index()
        except (DocumentError, TrustError) as error:
            if not stops.index:
                raise FallbackError(
                    "the registry cannot be read, so Asterisk keeps what it has while the service is down; run: "
                    "idtone registry update ({error})",
                    error=error,
                ) from error
            index = None
        fallback.update(index)

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def record(self, one: OwnSuspension, act: str, more: dict[str, Scalar] | None = None) -> str:
        """Record an act by the command's user in the ledger, and return its id.

        Raises LedgerError.
        """
        details = {**act_details(one), **(more or {})}
        return self._recorded(lambda act_id, _: steps.duty(act_id, _now(), self.person, act, one.id, details))

    def record_order(self, one: OwnSuspension) -> str:
        return self._recorded(
            lambda act_id, ring: ordered_step(act_id, _now(), self.person, one, ring.days.writing(day_of(_now())))
        )

    def _recorded(self, make: Callable[[str, KeyRing], Step]) -> str:
        settings = self.settings
        ring = KeyRing.of(settings.ledger, settings.node)
        return record_act(
            settings.ledger.own_url(),
            settings.node,
            ring,
            lambda act_id: make(act_id, ring),
            DisclosureRules.of(settings.ledger),
        )


def _runs(settings: Settings) -> bool:
    try:
        return status_client.ask(path_of(settings.ledger.own_url())) is not None
    except IdtoneError:
        return False  # the service does not answer, or it is another one's


def _now() -> datetime:
    return datetime.now(UTC)
