"""The office's observations of members for evaluations, and counts from the report desk's records.

The office enters observations as soon as it makes them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.persons import acting_person
from idtone.core.translation import Message, joined, template
from idtone.member.evaluation.period import Period
from idtone.office.authority.typed_dates import in_japan, parse_day
from idtone.office.evaluation.evaluate_members import counted_by_desk
from idtone.office.evaluation.observations import (
    GOOD_WORDS,
    OBSERVATION_WORDS,
    Observation,
    ObservationKind,
    forget_observations,
    observations,
    observations_in,
    observations_of,
    observe,
    points,
    withdraw_observation,
)
from idtone.registry.model import Member

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of, one_of
from ..listing import listing
from ..page import Method, Page, Section, Visit
from ..time_formats import with_zone
from .common_parts import WHY, do_act, files_of, japanese_moment, member_choices, not_found_page
from .evaluations import PATH as EVALUATIONS

PATH: Final = f"{EVALUATIONS}/observations"
_MEMBER: Final[Fields] = {"member": FormField(template("Member"), any_text)}
_RESULTS: Final = ("good", "bad")
_ENTER: Final[Mapping[str, Fields]] = {
    ObservationKind.CONTACT: {
        **_MEMBER,
        "day": FormField(template("Day"), parse_day),
        "result": FormField(template("Result"), one_of(_RESULTS)),
        "what": FormField(template("Remark"), is_required=False),
    },
    ObservationKind.FORM: {
        **_MEMBER,
        "day": FormField(template("Day"), parse_day),
        "result": FormField(template("Result"), one_of(_RESULTS)),
        "what": FormField(template("Remark"), is_required=False),
    },
    ObservationKind.STOP: {
        **_MEMBER,
        "what": FormField(template("Reference")),
        "asked": FormField(template("Asked at"), japanese_moment),
        "stopped": FormField(template("Stopped at"), japanese_moment),
    },
    ObservationKind.ASSESSOR: {
        **_MEMBER,
        "what": FormField(template("Assessor")),
        "day": FormField(template("A day of the period that was assessed"), parse_day),
        "points": FormField(template("Points (0 to 10)"), points),
    },
}
_WITHDRAW: Final[Fields] = {"observation": FormField(template("Observation"), any_text), **WHY}
_FORGET: Final[Fields] = {"before": FormField(template("Before the day"), parse_day)}


async def show(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the observations, newest first, and the desk's counts for one year, for one or all members."""
    files, today = files_of(visit), in_japan(datetime.now(UTC)).date()
    members = (await visit.in_thread(files.registered)).members
    wanted, year = visit.query("member"), _year(visit.query("year"), today.year)
    found = await visit.in_thread(observations, files.folder)
    period = Period(today.replace(year=year, month=1, day=1), today.replace(year=year + 1, month=1, day=1))
    own = [each for each in observations_in(period, found) if wanted in ("", each.member)]
    listed = listing(visit, [each for each in members.values() if wanted in ("", each.id)], {}, name="counts")

    def counts() -> list[tuple[Member, list[str]]]:
        counted = counted_by_desk(files.workspace, listed.rows, period)
        rows = []
        for each in listed.rows:
            (stops, reports), noted = counted(each.id), observations_of(found, each.id, period)
            shares = [f"{share.part} / {share.of}" for share in (reports, noted.reachability, noted.forms)]
            stopped = len(noted.stops_hours | stops)
            rows.append((each, [shares[0], f"{len(stops)} / {stopped}", *shares[1:], str(len(noted.assessors_points))]))
        return rows

    return visit.render(
        "office_observations.html",
        status,
        problem=problem,
        words=OBSERVATION_WORDS,
        good=GOOD_WORDS,
        results=_RESULTS,
        kinds=ObservationKind,
        list=listing(visit, own[::-1], {}),
        counts=await visit.in_thread(counts),
        counts_list=listed,
        choices=[(each.id, _choice(each)) for each in own[::-1]],
        members=member_choices(visit, members.values()),
        wanted=wanted,
        act=visit.request.path.rpartition("/")[2],
        year=year,
        today=today.isoformat(),
    )


def _year(text: str, present: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and 2000 <= int(text[:5]) <= present else present


def _choice(each: Observation) -> Message:
    words = (f"{each.id} {each.member} {each.day} ", Message(OBSERVATION_WORDS[each.kind]), ", ", each.result)
    return joined("", words)


async def enter(visit: Visit) -> web.StreamResponse:
    workspace, kind = files_of(visit).workspace, visit.part("kind")
    fields = _ENTER.get(kind)
    if fields is None:
        return not_found_page(visit, Message("There is no such page."))

    def act() -> None:
        given = {name: visit.field(name) for name in fields}
        given |= {name: with_zone(given[name]) for name in ("asked", "stopped") if name in given}
        observe(
            workspace, kind, visit.field("member"), given, str(acting_person()), datetime.now(UTC), labels_of(fields)
        )

    return await do_act(visit, act, show, PATH, fields)


async def withdraw(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace
    return await do_act(
        visit,
        lambda: withdraw_observation(workspace, visit.field("observation"), visit.field("why"), labels_of(_WITHDRAW)),
        show,
        PATH,
        _WITHDRAW,
    )


async def forget(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace
    return await do_act(
        visit,
        lambda: forget_observations(workspace, visit.field("before"), labels_of(_FORGET)("before")),
        show,
        PATH,
        _FORGET,
    )


PAGES = (
    Page(PATH, show, Right.OFFICE, title=template("Observations of members"), section=Section.OFFICE),
    Page(PATH + "/withdraw", withdraw, Right.OFFICE, Method.POST),
    Page(PATH + "/forget", forget, Right.OFFICE, Method.POST),
    Page(PATH + "/enter/{kind}", enter, Right.OFFICE, Method.POST),
)
