"""Corrections that `idtone doctor --fix` makes, and the reasons it leaves others to the operator.

A correction loses nothing, shows no secret and affects no call. The functions in a table read the current files and
plan the changes for each topic.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.call_control.journal_reader import REFUSED, TAKEN
from idtone.core.errors import ChangeError, DocumentError, UsageError
from idtone.core.translation import Message, joined
from idtone.dialplan import FALLBACK_FILE, JOURNAL_FILE, LINES_FILE

from ..make_changes import is_done, obstacle
from ..pbx_changes import hook_changes, module_changes
from ..planned_changes import Change, Group, RightsChange
from . import asterisk_modules, observe_machine
from .asterisk_version import support_problem
from .check_inputs import CheckInputs
from .findings import TOPICS, Finding, State

Plan = Callable[[CheckInputs, Finding], Sequence[Change]]
"""Plans the changes for a finding that is not good; empty if they would not be safe. Raises OSError or ChangeError."""


@dataclass(frozen=True, slots=True)
class Fix:
    """The correction for one topic. `plan` returns its changes."""

    plan: Plan
    left: str
    """Why a finding, or part of it, is left to the operator."""


def _nothing(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    return ()


def _own(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    """Changes to access rights that affect only idtone's own files and folders."""
    own = _own_names(inputs)
    for change in finding.changes:
        if isinstance(change, RightsChange) and change.path.is_dir():
            foreign = [name for name in os.listdir(change.path) if not own(name)]
            if foreign:
                return _blocked(
                    Message("{path} has a file that is not idtone's: {name}", path=change.path, name=min(foreign))
                )
    return finding.changes


def _own_names(inputs: CheckInputs) -> Callable[[str], bool]:
    """A predicate that is True for the names of idtone's own files and folders."""
    fixed = {FALLBACK_FILE, LINES_FILE, JOURNAL_FILE, REFUSED, inputs.settings.journal_directory().name}
    profiles = set(inputs.library)
    return lambda name: name in fixed or name.startswith((".", TAKEN)) or Path(name).stem in profiles


def _private(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    """Changes to a secret's access rights, if the service's user owns the file.

    A file with another owner may need to stay readable for its group.
    """
    who, _ = inputs.service_user()
    for change in finding.changes:
        held = observe_machine.mode_and_owner(change.path) if isinstance(change, RightsChange) else None
        if who is None or held is None or held[1] != who.user:
            return ()
    return finding.changes


def _hook(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    folder = inputs.own_folder
    if folder is None or not folder.is_dir():
        return ()
    try:
        return hook_changes(folder, inputs.hook().text.encode("utf-8", "surrogateescape"))
    except (DocumentError, UsageError):
        return ()


def _hook_modules(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    try:
        return _load(inputs, set(asterisk_modules.needed_modules(inputs.hook().text)) - {asterisk_modules.CDR})
    except (DocumentError, UsageError):
        return ()


def _cdr(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    return _load(inputs, (asterisk_modules.CDR,))


def _ari(inputs: CheckInputs, finding: Finding) -> Sequence[Change]:
    return _load(inputs, asterisk_modules.SERVICE)


def _load(inputs: CheckInputs, wanted: Iterable[str]) -> Sequence[Change]:
    folder = inputs.own_folder
    return () if folder is None else module_changes(folder, wanted)


def _blocked(why: str) -> Sequence[Change]:
    raise ChangeError(why)


_LINE: Final = Message("It would change a line of yours, and --fix only adds lines.")
_SERVICE: Final = Message(
    "The service must start or be restarted for it. That also puts other changed settings in force."
)
_EVIDENCE: Final = Message("It concerns the evidence, which --fix does not touch.")
_MACHINE: Final = Message("It concerns all programs of this machine.")
_ENDPOINTS: Final = Message("Only you know over which endpoints a trunk's calls can go.")
_UNIT: Final = Message("It changes the unit of Asterisk. `idtone setup` does that.")
_OLD: Final = Message("Asterisk is too old; see the finding on its version.")
_LINES: Final = Message("Only you know which line may present which numbers.")
_ASSOCIATION: Final = Message("It needs a document of the association.")
_ELSEWHERE: Final = Message(
    "The file is not idtone's or cannot be read, or the folder is not that of the Asterisk on this machine."
)
_RIGHTS: Final = Message("It would change rights of files and folders that are not only idtone's.")
_SECRET: Final = Message(
    "A new password must go into several files. The rights of a password file are only changed if the service owns it."
)
_MODULES: Final = Message("The module is not installed, modules.conf has a noload for it, or cdr.conf disables it.")

FIXES: Final[Mapping[str, Fix]] = {
    "ari": Fix(_ari, _LINE),
    "asterisk-version": Fix(_nothing, _MACHINE),
    "asterisk-modules": Fix(_hook_modules, _MODULES),
    "ari-rights": Fix(_nothing, _LINE),
    "ari-password": Fix(_private, _SECRET),
    "ari-origins": Fix(_nothing, _LINE),
    "ari-exposure": Fix(_nothing, _LINE),
    "live-dangerously": Fix(_nothing, _LINE),
    "cdr": Fix(_cdr, _MODULES),
    "cel": Fix(_nothing, _LINE),
    "endpoint-channels": Fix(_nothing, _ENDPOINTS),
    "open-files": Fix(_nothing, _UNIT),
    "hook-loaded": Fix(_hook, _ELSEWHERE),
    "hook-file": Fix(_hook, _ELSEWHERE),
    "hook-include": Fix(_hook, _ELSEWHERE),
    "hook-use": Fix(_nothing, _LINE),
    "sound-codecs": Fix(_nothing, _LINE),
    "presented-number": Fix(_nothing, _LINE),
    "emergency-trunks": Fix(_nothing, Message("Only you know which trunks reach the emergency services.")),
    "sounds": Fix(_nothing, _SERVICE),
    "sounds-readable": Fix(_own, _RIGHTS),
    "sounds-writable": Fix(_own, _RIGHTS),
    "fallback": Fix(_nothing, _SERVICE),
    "journal": Fix(_own, _SERVICE),
    "journal-writable": Fix(_own, _RIGHTS),
    "name-ari": Fix(_nothing, _MACHINE),
    "name-own": Fix(_nothing, _MACHINE),
    "clock-asterisk": Fix(_nothing, _MACHINE),
    "clock-synchronised": Fix(_nothing, _MACHINE),
    "clock-date": Fix(_nothing, _MACHINE),
    "registry": Fix(_nothing, _ASSOCIATION),
    "registry-trust": Fix(_nothing, _ASSOCIATION),
    "registry-cache": Fix(
        _nothing, Message("If another user could write there, look at the copy before you trust it again.")
    ),
    "registry-fresh": Fix(_nothing, _ASSOCIATION),
    "registry-member": Fix(_nothing, Message("Only you know which member of the association this PBX is of.")),
    "registry-never-originates": Fix(_nothing, _ASSOCIATION),
    "registry-certifications": Fix(_nothing, _ASSOCIATION),
    "registry-licences": Fix(_nothing, _ASSOCIATION),
    "registry-sounds": Fix(_nothing, _ASSOCIATION),
    "lines": Fix(_nothing, _LINES),
    "lines-fallback": Fix(_nothing, _SERVICE),
    "lines-members": Fix(_nothing, _LINES),
    "lines-endpoints": Fix(_nothing, _LINES),
    "brake": Fix(_nothing, Message("Only a person decides whether the calls of a line go on.")),
    "own-suspensions": Fix(_nothing, Message("Only a person decides about a suspension and what follows it.")),
    "ledger": Fix(_nothing, _EVIDENCE),
    "ledger-room": Fix(_nothing, _EVIDENCE),
    "ledger-reserve": Fix(_nothing, _EVIDENCE),
    "ledger-aside": Fix(_nothing, _EVIDENCE),
    "ledger-retention": Fix(_nothing, Message("Forgetting numbers cannot be undone, so a person sets the time.")),
    "ledger-holds": Fix(_nothing, Message("Only a person decides whether a case still needs the calls.")),
    "ledger-timestamp": Fix(_nothing, Message("It needs the authority to answer.")),
    "ledger-token": Fix(_nothing, Message("Only a person connects a token, or types its PIN.")),
    "ledger-key": Fix(_private, _EVIDENCE),
    "ledger-signed": Fix(_nothing, _EVIDENCE),
    "ledger-ends": Fix(_nothing, Message("Only a person connects a token, or gives up what its key can never sign.")),
    "ledger-postgresql": Fix(_nothing, _EVIDENCE),
    "ledger-others": Fix(_nothing, _EVIDENCE),
    "ledger-sqlite": Fix(_nothing, _EVIDENCE),
    "fleet-settings": Fix(
        _nothing, Message("It needs another file, or a reload, which puts all its settings in force.")
    ),
    "backup": Fix(_nothing, Message("It needs a key of yours that is kept on another machine.")),
    "canary": Fix(_nothing, Message("It needs a person who sees where the sound gets lost, or who starts the timer.")),
    "service": Fix(_nothing, _SERVICE),
    "service-application": Fix(_nothing, _SERVICE),
    "agi": Fix(_nothing, _SERVICE),
    "watchdog": Fix(_nothing, _SERVICE),
}


def plan(inputs: CheckInputs, findings: Iterable[Finding]) -> tuple[list[Group], dict[str, str]]:
    """Plan the corrections that `idtone doctor --fix` can make for findings.

    Returns the groups of changes, and the reason for each topic that is left to the operator. If idtone rejects the
    Asterisk version, nothing is corrected.
    """
    groups: dict[tuple[Change, ...], list[str]] = {}
    left: dict[str, str] = {}
    wanting = [finding for finding in findings if finding.state in (State.BAD, State.WARNING)]
    if support_problem(inputs.asterisk_version() or ""):
        return [], {finding.topic: _OLD for finding in wanting}
    for finding in wanting:
        fix = FIXES[finding.topic]
        why: str = fix.left
        try:
            changes = tuple(change for change in fix.plan(inputs, finding) if not is_done(change))
            if trouble := next(filter(None, map(obstacle, changes)), ""):
                changes, why = (), trouble
        except ChangeError as error:
            changes, why = (), str(error)
        except (DocumentError, LookupError, OSError):
            changes = ()
        if changes:
            groups.setdefault(changes, []).append(finding.topic)
        else:
            left[finding.topic] = why
    return [
        Group(tuple(topics), joined(", ", (TOPICS[topic].looked_at for topic in topics)), changes)
        for changes, topics in groups.items()
    ], left
