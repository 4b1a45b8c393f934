"""Stores each evaluated period's criteria, results and badges in the authority's folder `evaluation`.

An example is `2026-01-01_2027-01-01.json` with the content `{"criteria": TEXT, "members": {"m-0001": {"result": TEXT,
"badge": TEXT or null}, …}}`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import writing_into
from idtone.core.japan_time import JAPAN
from idtone.core.yaml_documents import read_text
from idtone.member.evaluation.criteria import Criteria, parse_criteria
from idtone.member.evaluation.evaluation_verification import CRITERIA, FOLDER
from idtone.member.evaluation.period import Period
from idtone.member.evaluation.result import Result, check_result, result_file
from idtone.registry.model import EvaluationEntry, RegistryDocument

from ..authority import group_shared_files, registry_edits
from ..authority.change_registry import Attribution, change_registry, suspensions_of
from ..authority.history import Action, HistoryEntry
from ..authority.stopped_members import stopped_members
from ..authority.workspace import Workspace
from ..authority.yaml_text import YamlText
from ..desk.office_ledger import OfficeLedger
from .badge import badge
from .evaluate_members import EvaluatedMembers
from .evaluation import Evaluation
from .observations import observations, observations_in

ACT: Final = "evaluated"


@dataclass(frozen=True, slots=True)
class _Files:
    result: bytes
    badge: bytes | None
    entry: EvaluationEntry | None


def enter(workspace: Workspace, evaluated: EvaluatedMembers, attribution: Attribution) -> HistoryEntry:
    """Store an evaluation's results and add those with a grade to `registry.yaml`.

    The entries replace older evaluations. The office's ledger records the act first. Raises IdtoneError, for example if
    the registry or an observation has changed or a member with a grade was suspended since the evaluation, if other
    criteria were used under the same version, or if the criteria lack the public list's address.
    """
    registry, criteria, period = evaluated.registry, evaluated.criteria, evaluated.period
    if criteria.is_sample:
        raise UsageError(
            "evaluation.yaml: evaluation.list is still that of the sample, {address}, and badges would show it; "
            "write the address of your public list, and evaluate again",
            address=criteria.terms.list,
        )
    for each in _all(workspace):
        if each.criteria.terms.version == criteria.terms.version and each.criteria.sha256 != criteria.sha256:
            raise UsageError(
                "criteria of version {version} were used before with another content; raise `version`",
                version=criteria.terms.version,
            )
    start = attribution.at.astimezone(JAPAN).replace(hour=0, minute=0, second=0, microsecond=0)
    association = registry.registry.association
    made = {each.member.id: _files(each, criteria, period, association, start) for each in evaluated.evaluations}
    digest = hashlib.sha256(b"".join(hashlib.sha256(files.result).digest() for files in made.values())).hexdigest()
    entries = [files.entry for files in made.values() if files.entry]

    def edit(text: YamlText, now: RegistryDocument) -> None:
        if _judged_by(now) != _judged_by(registry):
            raise UsageError("registry.yaml has changed since this evaluation; evaluate again")
        if observations_in(period, observations(workspace.folder)) != evaluated.observations:
            raise UsageError("observations were entered or withdrawn since this evaluation; evaluate again")
        graded = {each.member.id for each in evaluated.evaluations if each.grade}
        judged = (each for each in now.members if each.id in graded)
        if stopped := stopped_members(judged, suspensions_of(workspace), attribution.at):
            raise UsageError(
                "all numbers of member {member} were stopped since this evaluation; evaluate again", member=min(stopped)
            )
        registry_edits.set_evaluations(text, entries)
        OfficeLedger(workspace.folder).record(
            ACT, str(period), criteria=criteria.sha256, results=digest, members=len(made), graded=len(entries)
        )
        _write(workspace.folder / FOLDER / f"{period.start}_{period.until}.json", made, criteria)

    return change_registry(workspace, Action.EVALUATE, str(period), attribution, edit)


def _judged_by(registry: RegistryDocument) -> tuple[object, ...]:
    """Parts of the registry on which an evaluation and its badge depend."""
    members = ((each.id, each.name, each.keys, each.licences, each.pledge) for each in registry.members)
    return registry.registry.association, *members


def _files(each: Evaluation, criteria: Criteria, period: Period, association: str, start: datetime) -> _Files:
    member, grade = each.member, each.grade
    result = result_file(Result.of(member.id, period, criteria, each.values, each.score, each.excluded), criteria)
    if grade is None:
        return _Files(result, None, None)
    until = start + timedelta(days=criteria.terms.valid_days)
    sha256 = hashlib.sha256(result).hexdigest()
    picture = badge(member, grade, criteria, association, (until - timedelta(days=1)).date(), sha256)
    content: dict[str, Any] = {
        "member": member.id,
        "grade": grade.id,
        "title": grade.title,
        "percent": str(each.score.percent),
        "period": {"from": period.start, "until": period.until},
        "valid": {"from": start, "until": until},
        "criteria": {"version": criteria.terms.version, "sha256": criteria.sha256},
        "result": sha256,
        "badge": hashlib.sha256(picture).hexdigest(),
    }
    return _Files(result, picture, EvaluationEntry.model_validate(content))


@dataclass(frozen=True)
class _Kept:
    path: Path
    criteria: Criteria
    members: Mapping[str, _Files]


def _write(path: Path, made: Mapping[str, _Files], criteria: Criteria) -> None:
    content = {
        "criteria": criteria.octets.decode(),
        "members": {
            member: {"result": files.result.decode(), "badge": files.badge.decode() if files.badge else None}
            for member, files in made.items()
        },
    }
    with writing_into(path, TrustError):
        group_shared_files.write(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")


def _read(path: Path) -> _Kept:
    try:
        content = json.loads(read_text(path))
        members = {
            str(member): _Files(files["result"].encode(), files["badge"].encode() if files["badge"] else None, None)
            for member, files in content["members"].items()
        }
        return _Kept(path, parse_criteria(content["criteria"], CRITERIA), members)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrustError("{path}: is no file with results; restore it from a backup", path=path) from error


def _all(workspace: Workspace) -> Iterator[_Kept]:
    yield from map(_read, sorted((workspace.folder / FOLDER).glob("*_*.json")))


def kept_results(workspace: Workspace) -> Iterator[tuple[Criteria, list[Result]]]:
    """Read each period's criteria and results, oldest period first. Raises TrustError if a result was changed."""
    for kept in _all(workspace):
        found = (
            check_result(each.result, f"{kept.path}, {member}", kept.criteria) for member, each in kept.members.items()
        )
        yield kept.criteria, list(found)


def kept_badge(workspace: Workspace, period: str, member: str) -> bytes | None:
    """Read a member's badge for a period such as `2026-01-01_2027-01-01`, or return None if the member has none.

    Raises IdtoneError if the file is damaged.
    """
    path = next((each for each in (workspace.folder / FOLDER).glob("*_*.json") if each.stem == period), None)
    files = None if path is None else _read(path).members.get(member)
    return files.badge if files else None


def published_files(workspace: Workspace, operators: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Collect the criteria, results and badges published alongside the list of operators, by file name.

    Raises TrustError if a file does not have the SHA-256 that the list states.
    """
    found: dict[str, bytes] = {}
    read: dict[str, _Kept] = {}
    for operator in operators:
        evaluation, member = operator.get("evaluation"), operator["member"]
        if evaluation is None:
            continue
        name = f"{evaluation['period_from']}_{evaluation['period_until']}"
        kept = read.get(name) or _read(workspace.folder / FOLDER / f"{name}.json")
        read[name] = kept
        files = kept.members.get(member)
        for file, octets_, sha256 in (
            (CRITERIA, kept.criteria.octets, evaluation["criteria"]["sha256"]),
            (f"{member}.json", files.result if files else None, evaluation["result"]),
            (f"{member}.svg", files.badge if files else None, evaluation["badge"]),
        ):
            if octets_ is None or hashlib.sha256(octets_).hexdigest() != sha256:
                raise TrustError(
                    "{path}: {file} is not what was published; evaluate again, or restore the file",
                    path=kept.path,
                    file=file,
                )
            found[file] = octets_
    return found
