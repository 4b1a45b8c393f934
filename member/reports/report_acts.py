"""Ledger acts on this node that record signed reports and answers."""

from datetime import UTC, datetime

from idtone.core.persons import acting_person
from idtone.core.settings.settings import Settings
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Scalar, Step, StepKind
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader


def record_report_act(settings: Settings, act: str, subject: str, **details: Scalar) -> str:
    """Record an act in the ledger, even while the service is running, and return the act's id.

    If this raises LedgerError, the caller must not carry out the act.
    """
    person, now = acting_person(), datetime.now(UTC)
    return record_act(
        settings.ledger.own_url(),
        settings.node,
        KeyRing.of(settings.ledger, settings.node),
        lambda act_id: steps.duty(act_id, now, person, act, subject, details),
        DisclosureRules.of(settings.ledger),
    )


def recorded_report_acts(settings: Settings, acts: frozenset[str]) -> list[Step]:
    """Acts with these names, in the order written. Raises LedgerError."""
    reader = LedgerReader.open(settings.ledger.own_url())
    return [step for step in reader.acts(frozenset({StepKind.DUTY})) if step.details.get("act") in acts]
