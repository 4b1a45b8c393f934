"""Rules for the kinds of documents that the desk accepts."""

from collections.abc import Mapping
from typing import Final

from idtone.member.customers.refused.refusal_check import KIND as REFUSAL_CHECK
from idtone.member.evaluation.figures import KIND as FIGURES
from idtone.member.reports.report_documents import ANSWER, FETCH, REPORT
from idtone.registry.correspondence import own_suspension_report, suspension_confirmation

from ..evaluation.accept_figures import accept_figures
from ..refused.blind_evaluation import refuse_without_key
from . import member_stops, suspension_confirmations
from .document_desk import Rule
from .reports.report_desk import answer_rule, fetch_rule, report_rule

RULES: Final[Mapping[str, Rule]] = {
    FIGURES: accept_figures,
    REPORT: report_rule,
    FETCH: fetch_rule,
    ANSWER: answer_rule,
    suspension_confirmation.KIND: suspension_confirmations.accept_confirmation,
    own_suspension_report.KIND: member_stops.accept_own_suspensions,
    REFUSAL_CHECK: refuse_without_key,
}
