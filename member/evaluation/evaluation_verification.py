"""Verifies evaluations in the association's public list offline.

operators.json              names the digest of each of these files (`idtone.registry.trust.licensed_operators`)
evaluation/criteria.yaml    the criteria
evaluation/m-0001.json      a member's result
evaluation/m-0001.svg       its badge
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import IdtoneError, TrustError
from idtone.core.files import reading
from idtone.registry.trust.licensed_operators import read_site

from .criteria import parse_criteria
from .result import check_result

FOLDER: Final = "evaluation"
CRITERIA: Final = "criteria.yaml"
_BADGE_LIMIT: Final = 1024 * 1024
"""Maximum size of a badge in bytes."""


def verify_published(site: Path, trust: Path, what: str, now: datetime) -> dict[str, Any]:
    """The member's entry in the list, with its evaluation.

    `what` is a member's id or the path of a badge or mark. An entry found by a licensed operator's mark has no
    evaluation.

    Raises TrustError if the list, the criteria, the result or the badge differs from what the association published, if
    the member has no evaluation, or if the evaluation is not currently valid.
    """
    listed = read_site(site, trust, now)
    operator = _of_badge(listed, Path(what)) if what.endswith(".svg") else _of_member(listed, what)
    evaluation = operator.get("evaluation")
    if evaluation is None:
        return _licensed(operator, site, now)
    try:
        start, until = (datetime.fromisoformat(evaluation[end]) for end in ("valid_from", "valid_until"))
    except (KeyError, ValueError, TypeError) as error:
        raise TrustError("{folder}: is not what the association signed", folder=site) from error
    member = str(operator["member"])
    if not start <= now < until:
        raise TrustError(
            "the evaluation of {member} is valid from {start} until {until}, not now",
            member=member,
            start=start.isoformat(),
            until=until.isoformat(),
        )
    folder = site / FOLDER
    text = _published(folder / CRITERIA, evaluation["criteria"]["sha256"])
    file = folder / f"{member}.json"
    result = _published(file, evaluation["result"])
    _published(folder / f"{member}.svg", evaluation["badge"])
    try:
        criteria = parse_criteria(text.decode(), CRITERIA)
        found = check_result(result, str(file), criteria)
        agreed = (found.member, found.grade, str(found.percent)) == (
            member,
            evaluation["grade"],
            evaluation["percent"],
        )
    except (IdtoneError, UnicodeDecodeError) as error:
        raise TrustError("{file}: cannot be verified: {error}", file=file, error=error) from error
    if not agreed:
        raise TrustError("{file}: is not the result that the list names", file=file)
    return {**operator, "rows": json.loads(result)["rows"]}


def _licensed(operator: dict[str, Any], site: Path, now: datetime) -> dict[str, Any]:
    """The entry of a licensed operator without an evaluation, found by its mark.

    Raises TrustError if the mark is not currently valid.
    """
    try:
        start, until = (datetime.fromisoformat(operator["mark"][end]) for end in ("valid_from", "valid_until"))
    except (KeyError, ValueError, TypeError) as error:
        raise TrustError("{folder}: is not what the association signed", folder=site) from error
    if now < start:
        raise TrustError(
            "the licence of {member} begins on {start}", member=operator["member"], start=start.isoformat()
        )
    if now >= until:
        raise TrustError("the licence of {member} ended on {until}", member=operator["member"], until=until.isoformat())
    return operator


def _of_member(listed: Mapping[str, Any], member: str) -> dict[str, Any]:
    for operator in listed["operators"]:
        if operator["member"] == member and operator.get("evaluation"):
            return dict(operator)
    raise TrustError("the list has no evaluation of {member!r}", member=member)


def _of_badge(listed: Mapping[str, Any], path: Path) -> dict[str, Any]:
    with reading(path, TrustError), path.open("rb") as file:
        sha256 = hashlib.sha256(file.read(_BADGE_LIMIT)).hexdigest()
    for operator in listed["operators"]:
        if sha256 in [(operator.get(each) or {}).get("badge") for each in ("evaluation", "mark")]:
            return dict(operator)
    raise TrustError("{path}: is no badge of the present list; it is forged, changed or out of date", path=path)


def _published(path: Path, sha256: str) -> bytes:
    with reading(path, TrustError):
        octets = path.read_bytes()
    if hashlib.sha256(octets).hexdigest() != sha256:
        raise TrustError("{path}: was changed after it was published", path=path)
    return octets
