"""Functions that change the registry, the suspensions and related files in the authority's folder.

Each change is checked against every rule before the file is written and is then recorded in the file's history.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import writing, writing_into
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text
from idtone.registry.file_kinds import KINDS
from idtone.registry.member_application import MemberApplication, parse_application
from idtone.registry.model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from idtone.registry.parsers import parse_never_originates, parse_registry, parse_suspensions
from idtone.registry.trust import tuf_roles

from . import group_shared_files, registry_edits, undo_copies
from .history import Action, ApplicationStatus, HistoryEntry, ReviewResult, application_status
from .never_originates_edits import FIRST
from .suspension_edits import refuse_suspended
from .typed_dates import in_japan
from .workspace import APPLICATIONS, Workspace
from .yaml_text import YamlText, read_value


@dataclass(frozen=True, slots=True)
class Attribution:
    """Account that makes a change, and the reason and time."""

    by: str
    why: str
    at: datetime

    def entry(self, action: Action, subject: str, **more: Any) -> HistoryEntry:
        return HistoryEntry(at=self.at, action=action, by=self.by, subject=subject, why=self.why, **more)


def change_registry(
    workspace: Workspace,
    action: Action,
    subject: str,
    attribution: Attribution,
    edit: Callable[[YamlText, RegistryDocument], None],
    before_writing: Callable[[], object] = lambda: None,
    **more: Any,
) -> HistoryEntry:
    """Edit `registry.yaml`, check the result and record the change in the history.

    The file gets a higher version number than the published one. `before_writing` runs after all checks, immediately
    before the file is written. Raises IdtoneError without changing anything.
    """

    def edited(text: YamlText, old: RegistryDocument) -> None:
        edit(text, old)
        published = _published_version(workspace) or 0
        registry_edits.set_version(text, max(old.registry.version, published + 1), in_japan(attribution.at))

    return _change(workspace, tuf_roles.REGISTRY, action, subject, attribution, edited, more, before_writing)


def change_suspensions(
    workspace: Workspace,
    action: Action,
    subject: str,
    attribution: Attribution,
    edit: Callable[[YamlText, SuspensionsDocument], None],
    **more: Any,
) -> HistoryEntry:
    """Edit `suspensions.yaml`, check the result and record the change in the history.

    Raises IdtoneError without changing anything.
    """
    return _change(workspace, tuf_roles.SUSPENSIONS, action, subject, attribution, edit, more)


def change_never_originates(
    workspace: Workspace,
    action: Action,
    subject: str,
    attribution: Attribution,
    edit: Callable[[YamlText, NeverOriginatesDocument], None],
    **more: Any,
) -> HistoryEntry:
    """Edit `never-originates.yaml`, check the result and record the change in the history.

    The first entry creates the file. Raises IdtoneError without changing anything.
    """
    return _change(workspace, tuf_roles.NEVER_ORIGINATES, action, subject, attribution, edit, more)


def _change(
    workspace: Workspace,
    role: str,
    action: Action,
    subject: str,
    attribution: Attribution,
    edit: Callable[[YamlText, Any], None],
    more: Mapping[str, Any],
    before_writing: Callable[[], object] = lambda: None,
) -> HistoryEntry:
    kind, path = KINDS[role], workspace.folder / tuf_roles.DELEGATED[role]
    with workspace.locked():
        octets, text = _before(workspace, role)
        draft = YamlText(text, str(path))
        old = kind.unchecked(draft.tree, text, str(path))
        edit(draft, old)
        changed = draft.finish()
        new = kind.checked(draft.tree, changed, f"{path} after this change")
        entry = attribution.entry(action, subject, what=tuple(kind.differences(old, new)), **more)
        if not entry.what:
            raise UsageError("that would change nothing")
        before_writing()
        return _written(workspace, role, octets, changed, entry)


def record_edits(workspace: Workspace, attribution: Attribution, roles: Iterable[str]) -> list[HistoryEntry]:
    """Record edits made by hand in these roles' files.

    Raises IdtoneError without recording anything.
    """
    with workspace.locked():
        entries = {role: _edited(workspace, role, attribution) for role in roles}
        for role, entry in entries.items():
            workspace.record_entry(role, entry)
        return list(entries.values())


def _edited(workspace: Workspace, role: str, attribution: Attribution) -> HistoryEntry:
    file, octets, left = (
        tuf_roles.DELEGATED[role],
        workspace.file_octets(tuf_roles.DELEGATED[role]),
        workspace.octets_before(role),
    )
    name, kind = str(workspace.folder / file), KINDS[role]
    new = kind.parse(_text(octets, name), name)
    old = None if left is None else kind.parse(_text(left, file), file)
    if old is None and file in tuf_roles.OPTIONAL:
        old = kind.emptied(new)
    what = () if old is None else tuple(kind.differences(old, new))
    if role == tuf_roles.REGISTRY:
        version = _published_version(workspace)
        if version is not None and new.registry.version <= version:
            raise TrustError(
                "{name}: registry.version must be higher than {version}, which was published; raise it",
                name=name,
                version=version,
            )
    elif left is not None and old is not None and new.issued <= old.issued:
        raise TrustError("{name}: issued is not later than before the edit; set it to now", name=name)
    return attribution.entry(Action.EDIT, file, what=what, before=_sha256(left), after=_sha256(octets))


def _published_version(workspace: Workspace) -> int | None:
    published = workspace.repository.file_octets(tuf_roles.REGISTRY)
    if published is None:
        return None
    return int(read_value(_text(published, tuf_roles.REGISTRY_FILE), ("registry", "version")))


# -- applications -----------------------------------------------------------------------------------------------------


def accept_application(
    workspace: Workspace, text: str, name: str, attribution: Attribution
) -> tuple[MemberApplication, HistoryEntry]:
    """Store a member's application after checking that it is valid and can be granted.

    `text` is the content of the file `name`. Raises IdtoneError.
    """
    application = parse_application(text, name)
    with workspace.locked():
        history = workspace.history(tuf_roles.REGISTRY)
        if application_status(history.entries_of(application.id), None) is ApplicationStatus.GRANTED:
            raise UsageError(
                "{path}: application {id} was granted already; give this one another id", path=name, id=application.id
            )
        kept = workspace.folder / APPLICATIONS / f"{application.id}.yaml"
        if kept.exists() and parse_application(read_text(kept), str(kept)).member != application.member:
            raise UsageError(
                "{path}: application {id} is another member's; give this one another id", path=name, id=application.id
            )
        octets = text.encode()
        if kept.exists() and kept.read_bytes() == octets:
            raise UsageError("{path}: application {id} was accepted already, unchanged", path=name, id=application.id)
        _, registry = _before(workspace, tuf_roles.REGISTRY)
        kind, name = KINDS[tuf_roles.REGISTRY], str(workspace.folder / tuf_roles.REGISTRY_FILE)
        trial = YamlText(registry, name)
        document = kind.unchecked(trial.tree, registry, name)
        registry_edits.insert_application(
            trial, document, application, attribution.at, attribution.at + timedelta(days=1)
        )
        kind.checked(trial.tree, trial.finish(), f"{tuf_roles.REGISTRY_FILE}, if {application.id} was granted")
        entry = attribution.entry(Action.APPLY, application.id, application=_sha256(octets))
        with writing_into(workspace.folder, TrustError):
            group_shared_files.write(kept, octets)
        workspace.record_entry(tuf_roles.REGISTRY, entry)
    return application, entry


def review_application(
    workspace: Workspace, application: str, result: ReviewResult, attribution: Attribution
) -> HistoryEntry:
    """Record the office's review of an application."""
    with workspace.locked():
        _, sha256 = _application(workspace, application)
        entry = attribution.entry(Action.REVIEW, application, result=result, application=sha256)
        workspace.record_entry(tuf_roles.REGISTRY, entry)
    return entry


def grant_application(
    workspace: Workspace, application: str, start: datetime, until: datetime, attribution: Attribution
) -> HistoryEntry:
    """Add an application's member, licences and numbers to the registry.

    Raises UsageError if the application has not passed its review.
    """
    _, sha256 = _application(workspace, application)

    def edit(text: YamlText, document: RegistryDocument) -> None:
        asked, now = _application(workspace, application)
        entries = workspace.history(tuf_roles.REGISTRY).entries_of(application)
        status = application_status(entries, now if now == sha256 else None)
        if status is not ApplicationStatus.PASSED:
            raise UsageError("application {application} {why}", application=application, why=_NOT_GRANTED[status])
        refuse_suspended(suspensions_of(workspace), asked.member.id, asked.numbers, attribution.at)
        registry_edits.insert_application(text, document, asked, start, until)

    return change_registry(workspace, Action.GRANT, application, attribution, edit, application=sha256)


def assign_numbers(workspace: Workspace, member: str, entries: Sequence[str], attribution: Attribution) -> HistoryEntry:
    """Assign numbers to a member. Raises UsageError if a suspension forbids it."""

    def edit(text: YamlText, document: RegistryDocument) -> None:
        refuse_suspended(suspensions_of(workspace), member, entries, attribution.at)
        registry_edits.insert_numbers(text, document, member, entries)

    return change_registry(workspace, Action.ASSIGN_NUMBER, member, attribution, edit)


def release_numbers(
    workspace: Workspace, member: str, entries: Sequence[str], attribution: Attribution
) -> HistoryEntry:
    """Take numbers back from a member, including parts of a range."""
    return change_registry(
        workspace,
        Action.RELEASE_NUMBER,
        member,
        attribution,
        lambda text, document: registry_edits.delete_numbers(text, document, member, entries),
    )


PARTICULARS: Final = ("corporate_number", "notification", "web", "mail")
"""Names of a member's optional registry fields that appear in the public list."""


def record_particulars(
    workspace: Workspace, member: str, fields: Mapping[str, str], attribution: Attribution
) -> HistoryEntry:
    """Change a member's particulars in the registry. Missing or empty fields keep their current values."""
    given = {name: fields.get(name, "").strip() for name in PARTICULARS}
    return change_registry(
        workspace,
        Action.DESCRIBE,
        member,
        attribution,
        lambda text, document: registry_edits.set_particulars(text, document, member, given),
    )


def suspensions_of(workspace: Workspace) -> SuspensionsDocument:
    """Parse `suspensions.yaml` in the authority's folder. Raises IdtoneError."""
    file = tuf_roles.SUSPENSIONS_FILE
    return parse_suspensions(_text(workspace.file_octets(file), workspace.folder / file), str(workspace.folder / file))


def registry_of(workspace: Workspace) -> RegistryDocument:
    """Parse `registry.yaml` in the authority's folder. Raises IdtoneError."""
    file = tuf_roles.REGISTRY_FILE
    return parse_registry(_text(workspace.file_octets(file), workspace.folder / file), str(workspace.folder / file))


def never_originates_of(workspace: Workspace) -> NeverOriginatesDocument | None:
    """Parse `never-originates.yaml` in the authority's folder, or return None if it is missing. Raises IdtoneError."""
    if workspace.is_absent(tuf_roles.NEVER_ORIGINATES):
        return None
    file = tuf_roles.NEVER_ORIGINATES_FILE
    return parse_never_originates(
        _text(workspace.file_octets(file), workspace.folder / file), str(workspace.folder / file)
    )


_NOT_GRANTED: Final = {
    ApplicationStatus.RECEIVED: Message("has not passed its review; run `idtone-office application review` first"),
    ApplicationStatus.REFUSED: Message("was refused; if the reason for that is gone, review it again"),
    ApplicationStatus.CHANGED: Message("was changed after its review; review it again"),
    ApplicationStatus.GRANTED: Message("was granted already"),
}


def accepted_applications(workspace: Workspace) -> list[tuple[MemberApplication, ApplicationStatus]]:
    """Read all accepted applications with their statuses, sorted by day of receipt."""
    history = workspace.history(tuf_roles.REGISTRY)
    found = [_application(workspace, path.stem) for path in (workspace.folder / APPLICATIONS).glob("*.yaml")]
    found.sort(key=lambda each: (each[0].received, each[0].id))
    return [(asked, application_status(history.entries_of(asked.id), sha256)) for asked, sha256 in found]


def _application(workspace: Workspace, name: str) -> tuple[MemberApplication, str]:
    path = workspace.folder / APPLICATIONS / f"{name}.yaml"
    if Path(name).name != name or not path.exists():
        raise UsageError("there is no application {name!r}; `idtone-office application accept` accepts one", name=name)
    text = read_text(path)
    return parse_application(text, str(path)), _sha256(text.encode()) or ""


# -- files ------------------------------------------------------------------------------------------------------------


def _before(workspace: Workspace, role: str) -> tuple[bytes, str]:
    """Read a role's file. Raises TrustError if an edit by hand is missing from the history."""
    file = tuf_roles.DELEGATED[role]
    if workspace.roles_edited_by_hand([role]):
        raise TrustError(
            "{path}: was edited by hand; record that in the history with `idtone-office history note`, or "
            "with `idtone-office publication publish --why TEXT`",
            path=workspace.folder / file,
        )
    if workspace.is_absent(role):
        return b"", FIRST
    octets = workspace.file_octets(file)
    return octets, _text(octets, workspace.folder / file)


def _written(workspace: Workspace, role: str, before: bytes, text: str, entry: HistoryEntry) -> HistoryEntry:
    octets = text.encode()
    path = workspace.folder / tuf_roles.DELEGATED[role]
    entry = entry.model_copy(update={"before": _sha256(before or None), "after": _sha256(octets)})
    with writing(path, TrustError):
        if role == tuf_roles.REGISTRY:
            undo_copies.store_copy(workspace.folder, before)
        if before:
            group_shared_files.rewrite(path, octets)
        else:
            group_shared_files.write(path, octets)
        try:
            workspace.record_entry(role, entry)
        except TrustError:
            if before:
                group_shared_files.rewrite(path, before)
            else:
                path.unlink()
            raise
    return entry


def _text(octets: bytes, name: object) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrustError("{name}: is not UTF-8; save it as UTF-8 text", name=name) from error


def _sha256(octets: bytes | None) -> str | None:
    return None if octets is None else hashlib.sha256(octets).hexdigest()
