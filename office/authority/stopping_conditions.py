"""Records stopping conditions (利用停止条件) in the registry."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, parse, validate
from idtone.member.misuse.rules import RULES
from idtone.registry.model import RegistryDocument, StoppingCondition, Text
from idtone.registry.trust import tuf_roles

from .agreements import Agreement, read_acceptances
from .change_registry import Attribution, change_registry
from .history import Action, HistoryEntry
from .workspace import Workspace
from .yaml_text import Tree, YamlText

SAMPLE: Final = "stopping_conditions.yaml"
FINDINGS: Final = tuple(rule.name for rule in RULES)
"""Names of the findings that `idtone-office misuse` reports."""


class Conditions(Model):
    """Stopping conditions and their version, with the field names used in `registry.yaml`."""

    stopping_version: Text
    stopping_conditions: tuple[StoppingCondition, ...]


def sample_conditions() -> Conditions:
    """Read idtone's example conditions. A lawyer has to check them, and the association may change them."""
    return read_conditions((resources.files("idtone.config") / SAMPLE).read_text("utf-8"), SAMPLE)


def read_conditions(text: str, name: str) -> Conditions:
    """Parse stopping conditions from a file's text. Raises DocumentError listing every fault.

    `name` is the file name shown in the faults.
    """
    return parse(text, name, Conditions, _faults)


def conditions_of(version: str, rows: Sequence[Mapping[str, Any]], name: str) -> Conditions:
    """Read stopping conditions from the rows of a web form. Raises DocumentError listing every fault."""
    tree = {"stopping_version": version, "stopping_conditions": list(rows)}
    return validate(tree, "", name, Conditions, _faults)


def enter_conditions(workspace: Workspace, conditions: Conditions, attribution: Attribution) -> HistoryEntry:
    """Record stopping conditions under a new version, replacing all older ones. Raises IdtoneError."""
    version = checked_line(conditions.stopping_version, Message("Version"))

    def edit(text: YamlText, document: RegistryDocument) -> None:
        if version == document.stopping_version or version in _versions_before(workspace):
            raise UsageError(
                "version {version} was entered before, or members have agreed to it. Write another one", version=version
            )
        if document.stopping_version is None:
            text.add((), "stopping_version", version)
        else:
            text.replace(("stopping_version",), version)
        text.replace_list("stopping_conditions", [_tree(each) for each in conditions.stopping_conditions])

    return change_registry(workspace, Action.STOPPING_CONDITIONS, version, attribution, edit)


def _versions_before(workspace: Workspace) -> set[str]:
    """All versions that the office has recorded or a member has accepted. Their texts must not change."""
    entered = {
        each.subject
        for each in workspace.history(tuf_roles.REGISTRY).entries
        if each.action is Action.STOPPING_CONDITIONS
    }
    agreed = read_acceptances(workspace.folder)
    return entered | {each.version for each in agreed if each.agreement is Agreement.STOPPING_CONDITIONS}


def _tree(condition: StoppingCondition) -> Tree:
    found: dict[str, Tree] = {"id": condition.id}
    if condition.finding is not None:
        found["finding"] = condition.finding
    text: Tree = {"ja": condition.text.ja, "en": condition.text.en}
    return found | {"leads_to": condition.leads_to, "within_days": condition.within_days, "text": text}


def _faults(conditions: Conditions) -> Iterator[ValidationFault]:
    named = {each.finding for each in conditions.stopping_conditions}
    for place, each in enumerate(conditions.stopping_conditions):
        if each.finding is not None and each.finding not in FINDINGS:
            yield ValidationFault(
                ("stopping_conditions", place, "finding"),
                Message("is no finding of `idtone-office misuse`"),
                Message("Write one of these: {names}", names=", ".join(FINDINGS)),
            )
    for missing in FINDINGS:
        if missing not in named:
            yield ValidationFault(
                ("stopping_conditions",),
                Message("has no condition for the finding {finding}", finding=missing),
                Message("Add one, so that everyone can read to what this finding leads"),
            )
