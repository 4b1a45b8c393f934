"""A member's result as a JSON file, with values, points, percentage and grade.

Points and grade can be recomputed from this file and the criteria. It contains no call counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from idtone.core.errors import TrustError

from .criteria import Criteria, titles
from .measures import Measure, NoValue, Value
from .period import Period
from .scoring import Score, score


@dataclass(frozen=True)
class Result:
    """One member's result for one period."""

    member: str
    period: Period
    criteria_version: int
    criteria_sha256: str
    values: Mapping[Measure, Value]
    percent: Decimal | None
    grade: str | None
    excluded: str | None = None
    """Why the member gets no grade, regardless of its values."""

    @classmethod
    def of(
        cls,
        member: str,
        period: Period,
        criteria: Criteria,
        values: Mapping[Measure, Value],
        found: Score,
        excluded: str | None = None,
    ) -> Result:
        used = {row.criterion.measure: values[row.criterion.measure] for row in found.rows}
        return cls(
            member,
            period,
            criteria.terms.version,
            criteria.sha256,
            used,
            found.percent,
            found.grade.id if found.grade and not excluded else None,
            excluded,
        )


def result_file(result: Result, criteria: Criteria) -> bytes:
    """Content of the result file."""
    found = score(criteria.document, {**dict.fromkeys(Measure, NoValue.NONE), **result.values})
    content = {
        "member": result.member,
        "period": {"from": result.period.start.isoformat(), "until": result.period.until.isoformat()},
        "criteria": {"version": criteria.terms.version, "sha256": criteria.sha256},
        "rows": [
            {
                "criterion": row.criterion.id,
                "title": titles(row.criterion.title),
                "measure": row.criterion.measure.value,
                "value": None if isinstance(row.value, NoValue) else str(row.value),
                "no_value": row.value.value if isinstance(row.value, NoValue) else None,
                "points": row.points,
                "of": row.criterion.most,
                "weight": row.criterion.weight,
            }
            for row in found.rows
        ],
        "counted_percent": found.counted_percent,
        "percent": None if found.percent is None else str(found.percent),
        "grade": found.grade.id if found.grade and not result.excluded else None,
        "excluded": result.excluded,
        "missed": {grade: list(names) for grade, names in found.missed.items()},
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def read_result(file: bytes, name: str) -> Result:
    """Read the result in a file. Raises TrustError if the format is invalid."""
    try:
        content = json.loads(file)
        period = Period(*(date.fromisoformat(content["period"][end]) for end in ("from", "until")))
        return Result(
            str(content["member"]),
            period,
            int(content["criteria"]["version"]),
            str(content["criteria"]["sha256"]),
            {Measure(row["measure"]): _value(row) for row in content["rows"]},
            None if content["percent"] is None else Decimal(content["percent"]),
            content["grade"],
            content["excluded"],
        )
    except (ValueError, KeyError, TypeError, InvalidOperation) as error:
        raise TrustError("{name}: is not the result of an evaluation", name=name) from error


def _value(row: Mapping[str, Any]) -> Value:
    return NoValue(row["no_value"]) if row["value"] is None else Decimal(row["value"])


def check_result(file: bytes, name: str, criteria: Criteria) -> Result:
    """Read a result. Raises TrustError unless its points and grade follow from its values and the criteria."""
    result = read_result(file, name)
    if result_file(result, criteria) != file:
        raise TrustError("{name}: its points do not follow from its values by the criteria", name=name)
    return result
