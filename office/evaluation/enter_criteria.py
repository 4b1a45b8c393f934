"""Stores the evaluation criteria in `evaluation.yaml`, increasing their version with each change."""

from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from typing import Any, Final

import yaml

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import writing
from idtone.member.evaluation.criteria import (
    Criteria,
    CriteriaDocument,
    Step,
    criteria_document,
    parse_criteria,
    read_criteria,
)

from ..authority import group_shared_files
from ..authority.change_registry import Attribution
from ..authority.workspace import Workspace
from ..desk.office_ledger import OfficeLedger
from .accept_figures import CRITERIA_FILE
from .results import kept_results

ENTERED: Final = "criteria-entered"
_HEAD: Final = """\
# Criteria of the evaluation (評価基準). They are published with the results.
# 評価結果とともに公開されます。変更は管理画面、または `idtone-office evaluation enter-criteria` で行ってください。
"""


def sample_criteria() -> Criteria:
    """Read idtone's example criteria, which the association adapts."""
    return parse_criteria((resources.files("idtone.config") / CRITERIA_FILE).read_text("utf-8"), CRITERIA_FILE)


def present_criteria(workspace: Workspace) -> Criteria | None:
    """Read the criteria in the folder, or return None if the folder has none. Raises DocumentError."""
    path = workspace.folder / CRITERIA_FILE
    return read_criteria(path) if path.exists() else None


def enter_criteria(
    workspace: Workspace,
    given: Mapping[str, Any],
    attribution: Attribution,
    name: str = CRITERIA_FILE,
    read_version: int | None = None,
) -> Criteria:
    """Store criteria under the next version, replacing the older ones.

    `given` is the file's content; its version is ignored. `name` is the file name shown in error messages.
    `read_version` is the version that the person has edited, or 0 for new criteria; if the current version differs, the
    entry is rejected. The office's ledger records the act first. Raises IdtoneError without changing anything.
    """
    with workspace.locked():
        present = present_criteria(workspace)
        if read_version is not None and read_version != (present.terms.version if present else 0):
            raise UsageError("the criteria were changed since you read them; read the page again")
        used = [criteria.terms.version for criteria, _ in kept_results(workspace)]
        used += [present.terms.version] if present else []
        version = max(used, default=0) + 1
        tree = {**given, "evaluation": {**given.get("evaluation", {}), "version": version}}
        document = criteria_document(tree, name)
        if present and _content(present.document) == _content(document):
            raise UsageError("that would change nothing")
        made = parse_criteria(_HEAD + _text(document), CRITERIA_FILE)
        OfficeLedger(workspace.folder).record(
            ENTERED, CRITERIA_FILE, version=version, criteria=made.sha256, why=attribution.why
        )
        path = workspace.folder / CRITERIA_FILE
        with writing(path, TrustError):
            group_shared_files.write(path, made.octets)
    return made


def tree_of(document: CriteriaDocument) -> dict[str, Any]:
    """Convert criteria to the content of `evaluation.yaml`, omitting empty values."""
    terms = document.evaluation
    return {
        "evaluation": {
            **terms.model_dump(exclude={"witnesses", "title"}),
            "title": terms.title.model_dump(),
            "witnesses": list(terms.witnesses),
        },
        "criteria": [
            {
                "id": each.id,
                "title": each.title.model_dump(),
                "measure": each.measure.value,
                "points": [_step(step) for step in each.points],
                "weight": each.weight,
                **({"minimum": dict(each.minimum)} if each.minimum else {}),
                "without": each.without,
            }
            for each in document.criteria
        ],
        "grades": [each.model_dump() for each in document.grades],
    }


def number_text(value: Decimal) -> str:
    """Format a number without trailing zeros or an exponent."""
    return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"


def _step(step: Step) -> dict[str, Any]:
    side = "at_least" if step.at_most is None else "at_most"
    bound = step.bound
    return {side: int(bound) if bound == bound.to_integral_value() else float(bound), "points": step.points}


def _content(document: CriteriaDocument) -> dict[str, Any]:
    tree = tree_of(document)
    del tree["evaluation"]["version"]
    return tree


def _text(document: CriteriaDocument) -> str:
    return yaml.safe_dump(tree_of(document), allow_unicode=True, sort_keys=False, default_flow_style=None, width=120)
