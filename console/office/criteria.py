"""Evaluation criteria: the measures, their points, and the percentage required for each grade."""

import re
import unicodedata
from collections.abc import Mapping
from http import HTTPStatus
from itertools import count, takewhile
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import DocumentError, Fault, IdtoneError, UsageError
from idtone.core.translation import Message, template
from idtone.member.evaluation.criteria import CriteriaDocument
from idtone.member.evaluation.measures import FORMULAS, Measure
from idtone.office.evaluation.enter_criteria import enter_criteria, number_text, present_criteria, sample_criteria

from ..access.rights import Right
from ..form_errors import Fields, FormErrors, FormField, Reader, any_text, one_of
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, attribution_of, do_act, files_of
from .evaluations import PATH as EVALUATIONS

PATH: Final = f"{EVALUATIONS}/criteria"
EMPTY_ROWS: Final = 1
MEASURE_WORDS: Final[Mapping[Measure, str]] = {
    Measure.SENT_RATIO: template("share of calls on which the sound was sent (0 to 1; more is better)"),
    Measure.FALLBACK_SHARE: template("share of calls decided without the service (0 to 1; less is better)"),
    Measure.STOP_HOURS: template("longest time until a number was stopped (hours; less is better)"),
    Measure.FORMS_COMPLETE: template("share of application forms without a gap (0 to 1; more is better)"),
    Measure.REPORTS_IN_TIME: template("share of reports answered in time (0 to 1; more is better)"),
    Measure.REACHABILITY: template("share of contact attempts that succeeded (0 to 1; more is better)"),
    Measure.ASSESSMENT: template("mean of the external assessors' points (0 to 10; more is better)"),
}
WITHOUT_WORDS: Final = {"skip": template("it is left out"), "zero": template("it gives no points")}
_TERMS: Final = ("valid_days", "enough_calls", "counted_percent", "witnesses_needed", "doubtful_factor")
_CRITERION: Final = ("id", "ja", "en", "measure", "points", "weight", "minimum", "without")
_GRADE: Final = ("grade_id", "grade_ja", "grade_en", "percent")
_PAIR: Final = re.compile(r"(\S+?)(?:\s*[:→,;=]\s*|\s+)(\S+)")
_PLACE: Final = re.compile(r"(evaluation|criteria|grades)(?:\[(\d+)\])?(?:\.(\w+))?(?:\[\d+\])?(?:\.([\w.-]+))?")


def _whole(text: str, label: str) -> int:
    """Parse a whole number. Raises UsageError."""
    if not (text.isascii() and text.isdigit()):
        raise UsageError("{name}: write a whole number", name=label)
    return int(text)


def _pairs(text: str, label: str) -> list[tuple[str, str]]:
    """Parse a field with a value and a number on each line. Raises UsageError."""
    found = []
    for each in filter(None, map(str.strip, unicodedata.normalize("NFKC", text).splitlines())):
        pair = _PAIR.fullmatch(each)
        if pair is None:
            raise UsageError("{name}: write two values in each line, as 0.98 7", name=label)
        found.append((pair[1], pair[2]))
    return found


_IN_TERMS: Final[Fields] = {
    "title_ja": FormField(template("Title in Japanese"), any_text),
    "title_en": FormField(template("Title in English"), any_text),
    "list": FormField(template("Address of the public list"), any_text),
    "valid_days": FormField(template("Days for which a result is valid"), _whole),
    "enough_calls": FormField(template("Calls that are enough for a share"), _whole),
    "counted_percent": FormField(template("Percent of the weight that must have a value"), _whole),
    "witnesses": FormField(template("Keys of the witnesses, one a line"), any_text, is_required=False),
    "witnesses_needed": FormField(template("Witnesses needed"), _whole),
    "doubtful_factor": FormField(template("Ask if calls differ by this factor"), _whole),
}
_IN_CRITERION: Final[Mapping[str, tuple[str, Reader, bool]]] = {
    "id": (template("Criterion"), any_text, True),
    "ja": (template("Title in Japanese"), any_text, True),
    "en": (template("Title in English"), any_text, True),
    "measure": (template("Measure"), one_of(MEASURE_WORDS), True),
    "points": (template("Table of points"), _pairs, True),
    "weight": (template("Weight"), _whole, True),
    "minimum": (template("Points that a grade needs"), _pairs, False),
    "without": (template("Without a value"), one_of(WITHOUT_WORDS), True),
}
_IN_GRADE: Final[Mapping[str, tuple[str, Reader, bool]]] = {
    "grade_id": (template("Grade"), any_text, True),
    "grade_ja": (template("Title in Japanese"), any_text, True),
    "grade_en": (template("Title in English"), any_text, True),
    "percent": (template("From percent"), _whole, True),
}


async def criteria(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the form with the folder's criteria, or with idtone's sample criteria if there are none."""
    present = await visit.in_thread(present_criteria, files_of(visit).workspace)
    shown = present or sample_criteria()
    terms, rows, grades = _shown(shown.document)
    if problem:
        rows, grades = ([row for _, row in _sent(visit, names)] for names in (_CRITERION, _GRADE))
    else:
        rows += [dict.fromkeys(_CRITERION, "") for _ in range(EMPTY_ROWS)]
        grades += [dict.fromkeys(_GRADE, "") for _ in range(EMPTY_ROWS)]
    return visit.render(
        "office_criteria.html",
        status,
        problem=problem,
        present=present,
        read_version=visit.field("read_version") or (present.terms.version if present else 0),
        terms=terms,
        rows=rows,
        grades=grades,
        measures=MEASURE_WORDS.items(),
        without=WITHOUT_WORDS.items(),
    )


def _shown(document: CriteriaDocument) -> tuple[dict[str, str], list[dict[str, str]], list[dict[str, str]]]:
    """Values of the form's fields for the document, each criterion and each grade."""
    terms = document.evaluation
    whole = {name: str(getattr(terms, name)) for name in _TERMS}
    whole |= {"title_ja": terms.title.ja, "title_en": terms.title.en, "list": terms.list}
    whole["witnesses"] = "\n".join(terms.witnesses)
    rows = [
        {
            "id": each.id, "ja": each.title.ja, "en": each.title.en, "measure": each.measure.value,
            "points": "\n".join(f"{number_text(step.bound)} {step.points}" for step in each.points),
            "weight": str(each.weight), "without": each.without,
            "minimum": "\n".join(f"{grade} {points}" for grade, points in each.minimum.items()),
        }
        for each in document.criteria
    ]  # fmt: skip
    grades = [
        {"grade_id": each.id, "grade_ja": each.title.ja, "grade_en": each.title.en, "percent": str(each.percent)}
        for each in document.grades
    ]
    return whole, rows, grades


def _sent(visit: Visit, names: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The form's submitted rows with their indexes, in form order."""
    sent = visit.fields or {}
    places = takewhile(lambda place: f"{names[0]}_{place}" in sent, count())
    return [(place, {name: visit.field(f"{name}_{place}") for name in names}) for place in places]


def _filled(visit: Visit, names: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows that have an id or a title. All others count as empty."""
    return [(place, row) for place, row in _sent(visit, names) if any(row[each] for each in names[:3])]


def _fields(visit: Visit) -> Fields:
    found = {**_IN_TERMS, **WHY}
    for names, fields in ((_CRITERION, _IN_CRITERION), (_GRADE, _IN_GRADE)):
        for place, row in _filled(visit, names):
            for name, (label, read, is_required) in fields.items():
                said = Message("{row}: {name}", row=row[names[0]] or str(place + 1), name=Message(label))
                found[f"{name}_{place}"] = FormField(said, read, is_required)
    return found


async def enter(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        try:
            read_version = _whole(visit.field("read_version"), _FORM)
            enter_criteria(workspace, _tree(visit), attribution_of(visit), _FORM, read_version)
        except DocumentError as error:
            raise _at_fields(visit, error) from error

    return await do_act(visit, act, criteria, PATH, _fields(visit))


_FORM: Final = Message("the form")


def _tree(visit: Visit) -> dict[str, Any]:
    """The submitted criteria, structured like the criteria file."""
    return {
        "evaluation": {
            "title": {"ja": visit.field("title_ja"), "en": visit.field("title_en")},
            "list": visit.field("list"),
            **{name: visit.field(name) for name in _TERMS},
            "witnesses": visit.field("witnesses").split(),
        },
        "criteria": [_criterion(row) for _, row in _filled(visit, _CRITERION)],
        "grades": [
            {
                "id": row["grade_id"],
                "title": {"ja": row["grade_ja"], "en": row["grade_en"]},
                "percent": row["percent"],
            }
            for _, row in _filled(visit, _GRADE)
        ],
    }


def _criterion(row: Mapping[str, str]) -> dict[str, Any]:
    side = "at_least" if FORMULAS[Measure(row["measure"])].more_is_better else "at_most"
    return {
        "id": row["id"],
        "title": {"ja": row["ja"], "en": row["en"]},
        "measure": row["measure"],
        "points": [{side: value, "points": points} for value, points in _pairs(row["points"], "")],
        "weight": row["weight"],
        "minimum": dict(_pairs(row["minimum"], "")),
        "without": row["without"],
    }


def _at_fields(visit: Visit, error: DocumentError) -> IdtoneError:
    """Faults in the criteria, each attached to its form field.

    Returns the original error if a fault has no field.
    """
    errors, fields = FormErrors(), _fields(visit)
    for fault in error.faults:
        field = _field_of(visit, fault)
        if field not in fields:
            return error
        errors.note(
            field,
            UsageError(
                "{name}: {problem}. {remedy}",
                name=fields[field].words,
                problem=fault.problem,
                remedy=fault.remedy,
            ),
        )
    return errors


def _field_of(visit: Visit, fault: Fault) -> str:
    """A fault's form field, or an empty string if it has none."""
    match = _PLACE.fullmatch(fault.field)
    if match is None:
        return ""
    part, row, name, inner = match.groups()
    if part == "evaluation":
        return f"title_{inner}" if name == "title" else str(name)
    filled = _filled(visit, _CRITERION if part == "criteria" else _GRADE)
    if row is None or int(row) >= len(filled):
        return ""
    own = (inner if name == "title" else name) or "id"
    prefix = "grade_" if part == "grades" and own != "percent" else ""
    return f"{prefix}{own}_{filled[int(row)][0]}"


PAGES = (
    Page(PATH, criteria, Right.OFFICE, title=template("Criteria of the evaluation"), section=Section.OFFICE),
    Page(PATH, enter, Right.OFFICE, Method.POST),
)
