"""The registry in use, with its members, licences and wholesale chains.

The page also shows the current decision for a number, with the reasons for it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.calls import Decision, Direction, ForwardedCall, Licence, Reason
from idtone.core.decision import decide, time_by
from idtone.core.decision_words import OUTCOMES, OutcomeWords
from idtone.core.licence_standing import judge
from idtone.core.numbers import Number, parse, parse_japanese
from idtone.core.settings.policy import PolicySettings
from idtone.core.settings.settings import Settings
from idtone.core.translation import template
from idtone.registry.compiled_registry import licences
from idtone.registry.model import Member, day_begins
from idtone.registry.registry_report import NumberReport, chain_report, number_report

from ..access.rights import Right
from ..decision_rules import AppliedRule, JudgedLicence, applied_rules, judged_licences
from ..form_errors import Fields, FormField, errors_of, one_of
from ..listing import listing
from ..number_search_limit import TOO_MANY_NUMBERS, admits_number_search
from ..page import Method, Page, Visit
from ..registry_in_use import ReadRegistry
from .masked_span import masked_span

PATH: Final = "/licences"


@dataclass(frozen=True, slots=True)
class MemberRow:
    id: str
    name: Mapping[str, str]
    numbers: int
    pledge_until: datetime | None
    pledge_in_force: bool
    licences: list[tuple[Licence, Reason]]
    """Each licence with its validity, regardless of call direction."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The current decision on a call with a given number."""

    number: str
    """The number, masked except for its last four digits."""
    direction: Direction
    decision: Decision
    outcome: OutcomeWords
    rules: list[AppliedRule]
    licences: list[JudgedLicence]
    holder: NumberReport | None


_FIELDS: Final[Fields] = {
    "number": FormField(template("Forwarding number"), lambda text, _: parse_japanese(text)),
    "direction": FormField(template("Direction"), one_of(set(Direction))),
}


async def ask(visit: Visit) -> web.StreamResponse:
    """Show the current decision on a call with the entered number.

    The form sends the number in its body, so it appears in no address and no log.
    """
    errors = errors_of(_FIELDS, visit.fields or {})
    if errors:
        return await _page(visit, HTTPStatus.BAD_REQUEST, problem=errors)
    number, direction = parse_japanese(visit.field("number")), Direction(visit.field("direction"))
    if not admits_number_search(visit):
        return await _page(visit, HTTPStatus.TOO_MANY_REQUESTS, problem=TOO_MANY_NUMBERS)
    read = await visit.console.registry.look()
    settings = visit.console.settings
    answer = await visit.in_thread(answer_for, number, direction, read, settings, datetime.now(UTC))
    return await _page(visit, answer=answer)


async def show(visit: Visit) -> web.StreamResponse:
    return await _page(visit)


def answer_for(number: Number, direction: Direction, read: ReadRegistry, settings: Settings, clock: datetime) -> Answer:
    """The decision for a number under the call controller's rules."""
    policy, now = settings.policy.policy(settings.association.member), time_by(read.index, clock)
    call = ForwardedCall("question", direction, number, parse(""), parse(""))
    decision = decide(call, read.index, policy, now)
    holding = read.index.holding(number, now)
    return Answer(
        str(number),
        direction,
        decision,
        OUTCOMES[decision.outcome],
        applied_rules(call, read.index, now, decision),
        judged_licences(call, holding, now),
        number_report(read.document, number, now, settings.policy.chain_check) if holding else None,
    )


async def _page(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, answer: Answer | None = None, problem: object = None
) -> web.StreamResponse:
    read = await visit.console.registry.look()
    shown = await visit.in_thread(_shown, read, visit.console.settings.policy, visit)
    feed = visit.console.live.newest.feed
    return visit.render(
        "licences.html",
        status,
        read=read,
        answer=answer,
        problem=problem,
        of_service=feed and feed["registry"],
        **shown,
    )


def _shown(read: ReadRegistry, policy: PolicySettings, visit: Visit) -> dict[str, Any]:
    document, now = read.document, time_by(read.index, datetime.now(UTC))
    columns: dict[str, Callable[[Member], Any]] = {
        "member": lambda each: each.name.ja if visit.language == "ja" else each.name.en,
        "numbers": lambda each: read.number_counts[each.id],
        "pledge": lambda each: each.pledge and each.pledge.until,
        "valid": lambda each: min((one.valid.until for one in each.licences), default=None),
    }
    members = listing(visit, document.members, columns)
    chains = listing(visit, document.chains, {}, name="chains")
    return {
        "list": members,
        "members": member_rows(read, members.rows, now),
        "chain_list": chains,
        "chains": [(masked_span(each.numbers), chain_report(each, now, policy.chain_check)) for each in chains.rows],
        "expired": now >= read.index.expires,
        "in_force": sum(entry.in_force(now) for entry in document.suspensions),
    }


def member_rows(read: ReadRegistry, members: Iterable[Member], now: datetime) -> list[MemberRow]:
    rows = []
    for member in members:
        pledge = member.pledge
        rows.append(
            MemberRow(
                member.id,
                read.names[member.id],
                read.number_counts[member.id],
                day_begins(pledge.until) if pledge and pledge.until else None,
                pledge is not None and pledge.in_force(now),
                [(licence, judge(licence, min(licence.directions), now)) for licence in licences(member)],
            )
        )
    return rows


PAGES = (
    Page(PATH, show, Right.LOOK, title=template("Licences and numbers")),
    Page(PATH, ask, Right.LOOK, Method.POST),
)
