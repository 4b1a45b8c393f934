"""Display texts for the codes of calls and their steps. Pages show the code as a tooltip."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from markupsafe import Markup

from idtone.core.calls import Outcome, Party, Skip, Trust
from idtone.core.decision_words import DIRECTIONS, REASONS
from idtone.core.numbers import NumberKind
from idtone.core.translation import Message, is_japanese, template, translated
from idtone.ledger.evidence.steps import CallStatus

from .access.rights import Role

OUTCOMES: Final[Mapping[str, str]] = {
    Outcome.PLAY: template("identification tone"),
    Outcome.NOTICE: template("notice tone"),
    Outcome.REFUSE: template("refused call"),
    Outcome.SHED: template("turned away: overload"),
    Outcome.BYPASS: template("emergency call"),
}
TONES: Final[Mapping[str, str]] = {
    Outcome.PLAY: "good",
    Outcome.NOTICE: "warning",
    Outcome.REFUSE: "bad",
    Outcome.SHED: "overload",
    Outcome.BYPASS: "quiet",
}
"""Color of each outcome in lists and plots."""
STATUSES: Final[Mapping[str, str]] = {
    CallStatus.CONNECTED: template("call connected"),
    CallStatus.REFUSED: template("call refused"),
    CallStatus.BUSY: template("busy line"),
    CallStatus.NOANSWER: template("no answer"),
    CallStatus.CANCEL: template("caller hung up before the answer"),
    CallStatus.UNAVAILABLE: template("called party not reachable"),
    CallStatus.FAILED: template("call failed"),
}
SKIPS: Final[Mapping[str, str]] = {
    Skip.ANNOUNCED: template("another call of the same chain plays it"),
    Skip.SILENT_NUMBER: template("the called number is a fax or another machine"),
}
TRUST: Final[Mapping[str, str]] = {
    Trust.SIGNED: template("signed by the association"),
    Trust.UNSIGNED: template("unsigned file"),
}
NUMBERS: Final[Mapping[str, str]] = {
    NumberKind.FIXED: template("fixed line"),
    NumberKind.IP_050: template("050 number"),
    NumberKind.FREE_0120: template("toll-free number"),
    NumberKind.MOBILE: template("mobile phone"),
    NumberKind.OTHER: template("another kind of number"),
    NumberKind.EMERGENCY: template("emergency number"),
    NumberKind.WITHHELD: template("number withheld"),
    NumberKind.MALFORMED: template("number that cannot be read"),
}
"""Text shown instead of a number to visitors who may not see any digits."""
ROLES: Final[Mapping[str, str]] = {
    Role.VIEWER: template("viewer"),
    Role.INVESTIGATOR: template("investigator"),
    Role.APPROVER: template("approver"),
    Role.DUTY: template("person on duty"),
    Role.OFFICE: template("office"),
    Role.ADMINISTRATOR: template("administrator"),
}
_PARTIES: Final[Mapping[str, str]] = {Party.CALLED: template("called party"), Party.CALLER: template("caller's side")}
_INTERFACES: Final[Mapping[str, str]] = {"ari": "ARI", "agi": "FastAGI"}
_BY: Final[Mapping[str, str]] = {
    "association": template("the association"),
    "operator": template("the operator itself"),
}
_YES_NO: Final[Mapping[str, str]] = {"True": template("yes"), "False": template("no")}
DETAILS: Final[Mapping[str, tuple[str, Mapping[Any, str]]]] = {
    "direction": (template("Direction"), DIRECTIONS),
    "outcome": (template("Outcome"), OUTCOMES),
    "reason": (template("Reason"), REASONS),
    "member": (template("Member"), {}),
    "wholesale_chain": (template("Wholesale chain"), {}),
    "customer": (template("Customer"), {}),
    "licence": (template("Licence"), {}),
    "profile": (template("Sound"), {}),
    "profiles": (template("Sounds"), {}),
    "parties": (template("Who hears it"), _PARTIES),
    "party": (template("Party"), _PARTIES),
    "skip": (template("No sound, because"), SKIPS),
    "interface": (template("Asked over"), _INTERFACES),
    "registry_version": (template("Version of the registry"), {}),
    "registry_trust": (template("Registry"), TRUST),
    "registry_sha256": (template("SHA-256 of the registry"), {}),
    "hangup_cause": (template("Q.850 cause"), {}),
    "number_suspended": (template("Number suspended"), _YES_NO),
    "canary": (template("Canary call"), _YES_NO),
    "suspended_by": (template("Suspended by"), _BY),
    "own_suspension": (template("Id of the suspension"), {}),
    "chain_node": (template("Comes from the PBX"), {}),
    "chain_call": (template("Comes from the call"), {}),
    "format": (template("Format"), {}),
    "sha256": ("SHA-256", {}),
    "played_ms": (template("Played, in ms"), {}),
    "known_by": (template("How it is known"), {}),
    "packets": (template("RTP packets sent"), {}),
    "instead": (template("Played instead"), {}),
    "why": (template("Why"), {}),
    "confirmed": (template("Confirmed by the phone"), _YES_NO),
    "lost": (template("Packets lost"), {}),
    "lost_back": (template("Packets of the phone lost"), {}),
    "status": (template("End"), STATUSES),
}
"""Label and display texts for each detail of a step."""


def words_of(table: Mapping[Any, str], code: object) -> str:
    """Display text for a code in the visitor's language, or the code itself if it is unknown."""
    text = "" if code is None else str(code)
    return translated(Message(table[text])).replace("`", "") if text in table else text


def detail_words(name: str, value: object) -> str:
    """Display text for one detail of a step, whose value may consist of several codes."""
    if name not in DETAILS:
        return f"{name}: {value}"
    label, table = DETAILS[name]
    shown = ", ".join(words_of(table, part) for part in str(value).split(",")) if table else str(value)
    return f"{translated(Message(label))}: {shown}"


def coded(table: Mapping[Any, str]) -> object:
    """Template filter that shows the text for a code, with the code as a tooltip."""

    @lru_cache(100)  # a page of calls has 200
    def words_in(code: object, _: bool) -> Markup:
        shown = words_of(table, code)
        return Markup('<span title="{}">{}</span>').format(code, shown) if shown != code else Markup.escape(shown)

    return lambda code: Markup() if code is None else words_in(code, is_japanese())


_PERSON: Final = re.compile(r"([^;()]+?) \(uid \d+, by (login|sudo|account|console)\)")
"""Pattern for a person in the history."""


def person(text: str) -> Markup:
    """Template filter that shows a person's name and whether they used the console or a command.

    The account appears as a tooltip.
    """
    shown, end = Markup(), 0
    for found in _PERSON.finditer(text):
        way = translated(Message("in the console") if found[2] == "console" else Message("by command"))
        named = Markup('<span title="{}">{} ({})</span>').format(found[0].strip(), found[1].strip(), way)
        shown += Markup.escape(text[end : found.start()]) + named
        end = found.end()
    return shown + Markup.escape(text[end:])


FILTERS: Final = {
    "person": person,
    "outcome": coded(OUTCOMES),
    "reason": coded(REASONS),
    "status": coded(STATUSES),
    "skip": coded(SKIPS),
    "trust": coded(TRUST),
    "number": coded(NUMBERS),
    "interface": coded(_INTERFACES),
    "role": coded(ROLES),
}
