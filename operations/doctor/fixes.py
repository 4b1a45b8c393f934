"""What `idtone doctor --fix` does about each topic, and what it leaves to the operator, and why.

It does what loses nothing, shows no secret and touches no call. A table decides; the functions read the present files
and make changes of them. I/O, read only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from idtone.call_control.journal import REFUSED, TAKEN
from idtone.dialplan import FALLBACK_FILE, HOOK_FILE, HOOK_GLOBAL, HOOK_MODE, JOURNAL_FILE
from idtone.errors import ChangeError, DocumentError, UsageError
from idtone.operations.asterisk_console import AsteriskConsole
from idtone.operations.changes import (
    HOOK_RELOAD,
    Change,
    FileChange,
    Group,
    RightsChange,
    module_load,
    with_include,
    with_options,
)  # fmt: skip
from idtone.operations.make_changes import is_done, obstacle
from idtone.translation import Message, joined

from . import asterisk, asterisk_files, modules, observe_machine
from .exam import Exam
from .findings import TOPICS, Finding, State

Plan = Callable[[Exam, Finding], Sequence[Change]]
"""The changes for a finding that is not good; empty if they would not be safe. Raises OSError, ChangeError."""


@dataclass(frozen=True, slots=True)
class Fix:
    """What `--fix` does about one topic."""

    plan: Plan
    left: str
    """Why it leaves a finding, or the rest of it, to the operator."""


def _nothing(exam: Exam, finding: Finding) -> Sequence[Change]:
    return ()


def _own(exam: Exam, finding: Finding) -> Sequence[Change]:
    """Rights of files and folders, if these are idtone's own."""
    own = _own_names(exam)
    for change in finding.changes:
        if isinstance(change, RightsChange) and change.path.is_dir():
            foreign = [name for name in os.listdir(change.path) if not own(name)]
            if foreign:
                return _blocked(
                    Message("{path} has a file that is not idtone's: {name}", path=change.path, name=min(foreign))
                )
    return finding.changes


def _own_names(exam: Exam) -> Callable[[str], bool]:
    """Whether idtone gives this name to a file or folder beside the sounds or the journal."""
    fixed = {FALLBACK_FILE, JOURNAL_FILE, REFUSED, exam.settings.journal_directory().name}
    profiles = set(exam.library)
    return lambda name: name in fixed or name.startswith((".", TAKEN)) or Path(name).stem in profiles


def _private(exam: Exam, finding: Finding) -> Sequence[Change]:
    """Rights of a secret, if the service's user owns it: to another owner's file the service needs its group."""
    who, _ = exam.service_user()
    for change in finding.changes:
        held = observe_machine.mode_and_owner(change.path) if isinstance(change, RightsChange) else None
        if who is None or held is None or held[1] != who.user:
            return ()
    return finding.changes


def _hook(exam: Exam, finding: Finding) -> Sequence[Change]:
    """Export the hook, include it, load it: what of this is needed."""
    folder = _folder(exam)
    if folder is None or not folder.is_dir():
        return ()
    try:
        ours = exam.hook().text.encode("utf-8", "surrogateescape")
    except (DocumentError, UsageError):
        return ()
    path = folder / HOOK_FILE
    before = observe_machine.content(path)
    if before is not None and f"\n{HOOK_GLOBAL}=".encode() not in before:
        return _blocked(Message("{path} is not idtone's", path=path))
    changes: list[Change] = []
    if before != ours:
        held = observe_machine.rights(folder)
        user = observe_machine.user_name(held.user) if os.geteuid() == 0 else None
        changes.append(FileChange(path, before, ours, HOOK_MODE, user, observe_machine.group_name(held.group)))
    including = observe_machine.including(folder)
    if including is None:
        return ()
    if not including:
        extensions = _operators_dialplan(folder)
        text = observe_machine.content(extensions)
        if text is None:
            return _blocked(Message("{path} does not exist", path=extensions))
        changes.append(FileChange(extensions, text, with_include(text, HOOK_FILE)))
    return (*changes, HOOK_RELOAD)


_CUSTOM: Final = "extensions_custom.conf"
"""The file that FreePBX and its relatives leave to the operator; they write extensions.conf themselves."""


def _operators_dialplan(folder: Path) -> Path:
    text, _ = observe_machine.read(folder / "extensions.conf")
    custom = re.search(rf"^\s*#(?:try)?include\s+\S*{re.escape(_CUSTOM)}", text or "", re.MULTILINE)
    return folder / (_CUSTOM if custom else "extensions.conf")


def _hook_modules(exam: Exam, finding: Finding) -> Sequence[Change]:
    try:
        wanted = modules.needed(exam.hook().text)
    except (DocumentError, UsageError):
        return ()
    return _load(exam, set(wanted) - {modules.CDR})


def _cdr(exam: Exam, finding: Finding) -> Sequence[Change]:
    return _load(exam, (modules.CDR,))


def _ari(exam: Exam, finding: Finding) -> Sequence[Change]:
    return _load(exam, modules.SERVICE)


def _load(exam: Exam, wanted: Iterable[str]) -> Sequence[Change]:
    """Load the installed modules of these, now and at each start of Asterisk."""
    folder = _folder(exam)
    if folder is None:
        return ()
    console = AsteriskConsole(folder)
    running, place = console.running(), console.module_folder()
    if place is None:
        return ()
    lines, trouble = asterisk_files.text(folder / "modules.conf")
    if trouble:
        return ()
    options = _options(lines or "")
    order = modules.in_order(sorted(set(wanted) - running), running)
    chosen = [name for name in order if (place / f"{name}.so").is_file() and ("noload", name) not in options]
    changes: list[Change] = [module_load(name) for name in chosen]
    missing = [name for name in chosen if ("load", name) not in options]
    loads_all = any(name == "autoload" and value.lower() in asterisk.TRUE for name, value in options)
    if missing and not loads_all:
        path = folder / "modules.conf"
        before = observe_machine.content(path) or b""
        after = with_options(before, "modules", [f"load = {name}.so" for name in missing])
        if after is None:
            return ()
        changes.append(FileChange(path, before, after))
    return changes


_OPTION: Final = re.compile(r"^\s*(autoload|load|preload|require|noload)\s*=>?\s*([^\s;]+)", re.MULTILINE)


def _options(text: str) -> Collection[tuple[str, str]]:
    """The options of modules.conf, with the names of modules without `.so`."""
    kinds = {"preload": "load", "require": "load"}
    return {(kinds.get(name, name), value.removesuffix(".so")) for name, value in _OPTION.findall(text)}


def _folder(exam: Exam) -> Path | None:
    """The configuration folder of the Asterisk on this machine; None for a copy of it, or another machine's."""
    folder, seen = exam.folder, exam.seen
    if folder is None:
        return None
    if seen is None:
        host = urlsplit(exam.settings.ari.url).hostname or ""
        is_here = host == "localhost" or (observe_machine.is_address(host) and ip_address(host).is_loopback)
        return folder if is_here else None
    own = Path(seen.variables["ASTETCDIR"])
    is_own = seen.nearby and own.is_dir() and folder.is_dir() and own.samefile(folder)
    return folder if is_own else None


def _blocked(why: str) -> Sequence[Change]:
    raise ChangeError(why)


_LINE: Final = Message("It would change a line of yours, and --fix only adds lines.")
_SERVICE: Final = Message(
    "The service must start or be restarted for it. That also puts other changed settings in force."
)
_EVIDENCE: Final = Message("It concerns the evidence, which --fix does not touch.")
_MACHINE: Final = Message("It concerns all programs of this machine.")
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
    "hook-loaded": Fix(_hook, _ELSEWHERE),
    "hook-file": Fix(_hook, _ELSEWHERE),
    "hook-include": Fix(_hook, _ELSEWHERE),
    "hook-use": Fix(_nothing, _LINE),
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
    "registry-licences": Fix(_nothing, _ASSOCIATION),
    "registry-sounds": Fix(_nothing, _ASSOCIATION),
    "ledger": Fix(_nothing, _EVIDENCE),
    "ledger-room": Fix(_nothing, _EVIDENCE),
    "ledger-reserve": Fix(_nothing, _EVIDENCE),
    "ledger-aside": Fix(_nothing, _EVIDENCE),
    "ledger-key": Fix(_private, _EVIDENCE),
    "ledger-signed": Fix(_nothing, _EVIDENCE),
    "ledger-postgresql": Fix(_nothing, _EVIDENCE),
    "ledger-sqlite": Fix(_nothing, _EVIDENCE),
    "service": Fix(_nothing, _SERVICE),
    "service-application": Fix(_nothing, _SERVICE),
    "agi": Fix(_nothing, _SERVICE),
    "watchdog": Fix(_nothing, _SERVICE),
}


def plan(exam: Exam, findings: Iterable[Finding]) -> tuple[list[Group], dict[str, str]]:
    """The groups of changes for findings that are bad or a warning, and for the other topics of these why there is
    none.
    """
    groups: dict[tuple[Change, ...], list[str]] = {}
    left: dict[str, str] = {}
    for finding in findings:
        if finding.state not in (State.BAD, State.WARNING):
            continue
        fix = FIXES[finding.topic]
        why: str = fix.left
        try:
            changes = tuple(change for change in fix.plan(exam, finding) if not is_done(change))
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
