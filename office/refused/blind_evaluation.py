"""Desk rule for members' customer checks, from which the desk learns nothing about the customers."""

import base64
from datetime import datetime, time

from idtone.core.errors import TrustError
from idtone.core.japan_time import JAPAN
from idtone.member.customers.refused.oprf import VOPRF
from idtone.member.customers.refused.refusal_check import KIND, elements_of
from idtone.registry.correspondence.signed_document import SignedDocument

from ..desk.document_desk import Accepted, DocumentDesk
from .refusal_key import RefusalKey
from .refusal_store import RefusalStore


class BlindEvaluation:
    """Rule that answers members' customer checks, using the refusals' key.

    The desk evaluates blinded elements. `authority.yaml` limits each member's checks per day.
    """

    def __init__(self, key: RefusalKey) -> None:
        self._key = key

    def __call__(self, desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
        blinded = elements_of(document.content.get("blinded"))
        epoch = RefusalStore(desk.folder).epoch()
        if epoch is None or self._key.key_pair(epoch.number).public != epoch.public:
            raise TrustError("the desk has another key than the refusals; the association restarts it")
        if document.content.get("epoch") != epoch.number:
            raise TrustError(
                "the list of refusals is of another epoch than {epoch}; try again later", epoch=epoch.number
            )
        day = datetime.combine(now.astimezone(JAPAN).date(), time(), JAPAN)
        allowed = desk.workspace.terms().refusals.daily_checks(document.member)
        made = desk.documents.count(KIND, document.member, day)
        if made >= allowed:
            raise TrustError("{member} has made its {allowed} checks of today", member=document.member, allowed=allowed)
        pair = self._key.key_pair(epoch.number)
        evaluated = VOPRF.evaluate(pair.secret, blinded)
        answer = {
            "evaluated": [base64.b64encode(each).decode() for each in evaluated],
            "proof": base64.b64encode(VOPRF.prove(pair, blinded, evaluated)).decode(),
        }
        details = {"epoch": epoch.number, "evaluations": len(blinded), "today": made + 1}
        return Accepted(f"{document.member}/{day:%Y-%m-%d}", answer, details)


def refuse_without_key(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Reject a customer check: the rule for a desk that was started without the refusals' key."""
    raise TrustError("the desk runs without the key of the refusals")
