"""Display texts for acts, licence states, answers and other codes on the office's pages."""

from collections.abc import Mapping
from typing import Final

from idtone.core.calls import Reason
from idtone.core.translation import template
from idtone.member.evaluation.measures import NoValue
from idtone.office.authority.typed_dates import parse_day
from idtone.office.desk.reports.number_holder import Basis

from ..form_errors import Fields, FormField

ACT_WORDS: Final[Mapping[str, str]] = {
    "apply": template("application received"),
    "review": template("application examined"),
    "grant": template("licence granted"),
    "renew": template("licence renewed"),
    "suspend-licence": template("licence suspended"),
    "resume-licence": template("licence resumed"),
    "revoke": template("licence revoked"),
    "assign-number": template("numbers assigned"),
    "release-number": template("numbers taken back"),
    "pledge": template("pledge recorded"),
    "add-link": template("wholesale link added"),
    "check-link": template("wholesale link checked"),
    "remove-link": template("wholesale link removed"),
    "port-number": template("porting recorded"),
    "remove-porting": template("porting removed"),
    "add-node-key": template("key of a node added"),
    "remove-node-key": template("key of a node removed"),
    "add-log-key": template("key of a log entered"),
    "end-log-key": template("key of a log ended"),
    "add-witness": template("witness entered"),
    "end-witness": template("witness ended"),
    "demand-cosignatures": template("number of cosignatures set"),
    "stopping-conditions": template("stopping conditions entered"),
    "prolong": template("registry prolonged"),
    "evaluate": template("evaluations entered"),
    "suspend-number": template("number suspended"),
    "suspend-range": template("range suspended"),
    "suspend-member": template("member suspended"),
    "lift": template("suspension ended"),
    "no-new-numbers": template("no new numbers"),
    "allow-new-numbers": template("new numbers allowed again"),
    "certify": template("certification recorded"),
    "certify-link": template("certification of a reseller recorded"),
    "add-never-originating": template("number that never originates entered"),
    "remove-never-originating": template("number that never originates removed"),
    "undo": template("change taken back"),
    "describe": template("particulars recorded"),
    "tone": template("sound entered"),
    "rotate": template("keys replaced"),
    "edit": template("edited by hand"),
    "report": template("report received from a member"),
    "report-fetch": template("requests fetched by a member"),
    "report-answer": template("answer received from a member"),
    "figures": template("figures handed in"),
    "refusal-check": template("customer checked by a member"),
    "customer-refused": template("contractor refused"),
    "agreement-recorded": template("agreement recorded"),
    "agreement-ended": template("agreement ended"),
    "course-taken": template("test of the course entered"),
    "attendees-forgotten": template("names of attendees erased"),
    "duty-entered": template("duty entered"),
    "duty-done": template("duty done"),
    "duty-withdrawn": template("duty withdrawn"),
    "refusal-basis-decided": template("legal basis of the refusals decided"),
    "refusal-lifted": template("refusal ended before its day"),
    "refusal-ended": template("refusal over"),
    "refusals-new-epoch": template("key of the refusals replaced"),
    "report-entered": template("report entered"),
    "reports-searched": template("reports searched by a number"),
    "report-shown": template("report read"),
    "report-answered": template("report answered"),
    "report-reminded": template("member reminded"),
    "report-closed": template("report closed"),
    "reports-forgotten": template("reports erased"),
    "reporter-revealed": template("reporter revealed"),
    "application-handed-in": template("application handed in by an applicant"),
    "application-corrected": template("application corrected by its applicant"),
    "application-returned": template("application sent back to its applicant"),
    "application-declined": template("application of an applicant declined"),
    "application-taken": template("application of an applicant received"),
    "application-forgotten": template("copy of an application erased"),
    "evaluated": template("members evaluated"),
    "criteria-entered": template("criteria of the evaluation entered"),
    "observation-entered": template("observation of a member entered"),
    "observation-withdrawn": template("observation of a member withdrawn"),
    "observations-forgotten": template("observations of members erased"),
    "suspension-confirmation": template("suspensions confirmed by a node"),
    "suspension-requested": template("suspension requested"),
    "suspension-approved": template("suspension approved"),
    "suspension-withdrawn": template("request for a suspension withdrawn"),
    "key-holder-named": template("holder of a key entered"),
    "night-key-kept": template("key of a duty officer kept for the night"),
    "package-prepared": template("package prepared"),
    "package-signed": template("package signed"),
    "package-published": template("package published"),
}
"""Display text for each act. All other acts are shown by name."""


def words_of(act: str) -> str:
    return ACT_WORDS.get(act, act)


NO_VALUE_WORDS: Final[Mapping[NoValue, str]] = {
    NoValue.NOT_ENOUGH_CALLS: template("not enough calls"),
    NoValue.NO_FIGURES: template("figures are missing"),
    NoValue.NOT_WHOLE: template("a ledger does not hold the whole period"),
    NoValue.NONE: template("nothing of the kind"),
}
"""Display text for each reason why a measure has no value."""
LICENCE_WORDS: Final[Mapping[str, str]] = {
    Reason.LICENCE_VALID: template("valid"),
    Reason.LICENCE_EXPIRED: template("expired"),
    Reason.LICENCE_REVOKED: template("revoked"),
    Reason.LICENCE_SUSPENDED: template("suspended"),
    Reason.LICENCE_NOT_YET_VALID: template("not valid yet"),
    Reason.PLEDGE_MISSING: template("not valid: no pledge in force"),
}
BASIS_WORDS: Final[Mapping[Basis, str]] = {
    Basis.EDITION: template("by the registry of the time of the call"),
    Basis.EARLIEST: template("by the earliest published registry"),
    Basis.LATER: template("by a later registry; that of the time of the call names no holder"),
    Basis.UNPUBLISHED: template("by the registry as it is now"),
    Basis.CHANGED: template("by the registry of the time of the call; the number changed hands within that time"),
    Basis.NO_NUMBER: template("the report names no number"),
}
CERTIFICATION: Final[Fields] = {
    "number": FormField(template("Number of the certification")),
    "document": FormField(template("Notice of the certification")),
    "until": FormField(template("Valid until"), parse_day),
    "next_check": FormField(template("Next check"), parse_day),
    "mark": FormField(template("Mark of ETOC"), is_required=False),
    "mark_until": FormField(template("End of the mark"), parse_day, is_required=False),
}
"""Form fields for a certification."""
