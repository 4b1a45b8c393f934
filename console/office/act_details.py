"""Details of office acts in readable form, with names, times in Japan, last days, and text instead of codes."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from idtone.core.translation import Message, template
from idtone.office.authority.agreements import AGREEMENT_WORDS
from idtone.office.authority.compliance_duties import DUTY_WORDS
from idtone.office.desk.reports.call_traceback import Stage
from idtone.office.desk.reports.take_report import TAKEN_WORDS
from idtone.office.evaluation.observations import OBSERVATION_WORDS
from idtone.office.refused.refusal_basis import FIELDS

from ..drawings.report_trace import ANSWERS, FINDINGS
from ..time_formats import format_to_minute, last_day
from .act_words import BASIS_WORDS
from .reports import RESULT_WORDS

STAGES: Final = {
    Stage.MEMBER: template("a member has to answer"),
    Stage.OFFICE: template("the office has to close it"),
    Stage.CLOSED: template("closed"),
}
_YES_NO: Final[Mapping[Any, str]] = {"True": template("yes"), "False": template("no")}
_WAYS: Final[Mapping[Any, str]] = {**TAKEN_WORDS, "page": template("by the public page")}
DETAILS: Final[Mapping[str, tuple[str, Mapping[Any, str]]]] = {
    "action": (template("What is to be done"), {}),
    "agreement": (template("Agreement"), AGREEMENT_WORDS),
    "before": (template("Tests before"), {}),
    "application": (template("Application"), {}),
    "basis": (template("Holder known"), BASIS_WORDS),
    "count": (template("Count"), {}),
    "criteria": (template("SHA-256 of the criteria"), {}),
    "on": (template("Day"), {}),
    "decided": (template("Decided on"), {}),
    "document": (template("Document"), {}),
    "done": (template("Done on"), {}),
    "due": (template("Due"), {}),
    "epoch": (template("Number of the key"), {}),
    "evaluations": (template("Evaluations"), {}),
    "finding": (template("How the chain ended"), FINDINGS),
    "graded": (template("Members with a grade"), {}),
    "holder": (template("Holder"), {}),
    "key": (template("Key"), {}),
    "kind": (template("Kind"), DUTY_WORDS),
    "member": (template("Member"), {}),
    "members": (template("Members"), {}),
    "next_due": (template("Due next"), {}),
    "next_member": (template("Member asked next"), {}),
    "next_request": (template("Next request"), {}),
    "observed": (template("Observation"), OBSERVATION_WORDS),
    "of": (template("Questions"), {}),
    "others": (template("Other members"), {}),
    "passed": (template("Passed"), _YES_NO),
    "refusals": (template("Refusals"), {}),
    "reporter": (template("The reporter gave a name"), _YES_NO),
    "reports": (template("Reports"), {}),
    "reference": (template("Reference"), {}),
    "request": (template("Request"), {}),
    "result": (template("Result"), {**ANSWERS, **RESULT_WORDS}),
    "results": (template("SHA-256 of the results"), {}),
    "right": (template("Right answers"), {}),
    "sha256": ("SHA-256", {}),
    "since": (template("First day"), {}),
    "stage": (template("Who has to act"), STAGES),
    "taken": (template("Day of the test"), {}),
    "through": (template("Last day"), {}),
    "today": (template("Today"), {}),
    "tokens": (template("Tokens"), {}),
    "until": (template("Last day"), {}),
    "version": (template("Version"), {}),
    "via": (template("How it came"), _WAYS),
    **{name: (label, {}) for name, label in FIELDS.items()},
}
"""Label and display texts for each detail. All other details are shown unchanged."""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d")
_PERIOD: Final = re.compile(r"(\d{4}-\d\d-\d\d)[/_](\d{4}-\d\d-\d\d)")

_OF_DAY: Final = re.compile(r"([\w.-]+)/(\d{4}-\d\d-\d\d)$")


def detail(name: str, value: object) -> Message:
    label, words = DETAILS.get(name, (name, {}))
    text = str(value)
    if text in words:
        shown: str = Message(words[text])
    elif _MOMENT.fullmatch(text):
        shown = _read(lambda: format_to_minute(datetime.fromisoformat(text)), text)
    else:
        shown = _last_day(text) if name == "until" else text
    return Message("{name}: {value}", name=Message(label), value=shown)


def subject(text: str) -> str:
    """The subject of an act for display: a period with its last day, a member's test with its date."""
    text = _PERIOD.sub(lambda match: f"{match[1]} – {_last_day(match[2])}", text)
    return _OF_DAY.sub(r"\1, \2", text)


def _last_day(text: str) -> str:
    return _read(lambda: last_day(text), text)


def _read(shown: Callable[[], str], text: str) -> str:
    """The text formatted by `shown`, or unchanged if it contains a day that does not exist.

    A single damaged line must not hide the others.
    """
    try:
        return shown()
    except (ValueError, OverflowError):
        return text
