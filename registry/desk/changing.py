"""A change in the desk's folder: made in the text, held against every rule, written, and entered into the history."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.documents import read_text
from idtone.errors import TrustError, UsageError
from idtone.files import replace_durably, rewrite_durably

from ..model import JAPAN, RegistryDocument, SuspensionsDocument
from ..signed import parse_registry
from ..trust import layout
from . import changes
from .applications import Application, parse_application
from .desk import APPLICATIONS, Desk
from .editing import Text
from .history import Entry, Result, Standing, Verb, standing
from .kinds import KINDS

_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Word:
    """Who does something, and why. `account` is the one that does it, as the machine knows it."""

    by: str
    why: str
    at: datetime
    confirmed_by: str | None = None
    account: str | None = None

    def entry(self, verb: Verb, subject: str, **more: Any) -> Entry:
        return Entry(
            at=self.at, verb=verb, by=self.by, account=self.account, confirmed_by=self.confirmed_by, subject=subject,
            why=self.why, **more,
        )  # fmt: skip


def change_registry(
    desk: Desk, verb: Verb, subject: str, word: Word, edit: Callable[[Text, RegistryDocument], None], **more: Any
) -> Entry:
    """Change registry.yaml, to a later edition than is published. Raises IdtoneError; then nothing has changed."""

    def edited(text: Text, old: RegistryDocument) -> None:
        edit(text, old)
        file, published = layout.REGISTRY_FILE, desk.published_octets(layout.REGISTRY)
        version = 0 if published is None else parse_registry(published.decode("utf-8-sig"), file).registry.version
        changes.stamped(text, max(old.registry.version, version + 1), _in_japan(word.at))

    return _change(desk, layout.REGISTRY, edited, lambda what: word.entry(verb, subject, what=what, **more))


def change_suspensions(
    desk: Desk, verb: Verb, subject: str, word: Word, edit: Callable[[Text, SuspensionsDocument], None], **more: Any
) -> Entry:
    """Change suspensions.yaml; as `change_registry`."""
    return _change(desk, layout.SUSPENSIONS, edit, lambda what: word.entry(verb, subject, what=what, **more))


def _change(
    desk: Desk, role: str, edit: Callable[[Text, Any], None], entry: Callable[[tuple[str, ...]], Entry]
) -> Entry:
    kind, path = KINDS[role], desk.folder / layout.DELEGATED[role]
    with desk.locked():
        octets, text = _before(desk, role)
        old = kind.parse(text, str(path))
        draft = Text(text)
        edit(draft, old)
        changed = draft.done()
        new = kind.parse(changed, f"{path} as it would be")
        return _written(desk, role, octets, changed, entry(tuple(kind.differences(old, new))))


def enter_edits(desk: Desk, word: Word, roles: Iterable[str]) -> list[Entry]:
    """Enter into the history what was changed by hand. Raises IdtoneError; then nothing was entered."""
    with desk.locked():
        entries = {role: _edited(desk, role, word) for role in roles}
        for role, entry in entries.items():
            desk.enter(role, entry)
        return list(entries.values())


def _edited(desk: Desk, role: str, word: Word) -> Entry:
    file, octets, left = layout.DELEGATED[role], desk.octets(layout.DELEGATED[role]), desk.before(role)
    name, kind = str(desk.folder / file), KINDS[role]
    new = kind.parse(_text(octets, name), name)
    old = None if left is None else kind.parse(_text(left, file), file)
    what = () if old is None else tuple(kind.differences(old, new))
    if role == layout.REGISTRY:
        published = desk.published_octets(role)
        version = None if published is None else parse_registry(_text(published, file), file).registry.version
        if version is not None and new.registry.version <= version:
            raise TrustError(f"{name}: registry.version is {version} or less, and that was published; raise it")
    elif old is not None:
        if new.issued <= old.issued:
            raise TrustError(f"{name}: issued is not later than it was; set it to now")
        if what and word.confirmed_by is None:
            raise TrustError(f"{name}: a number is stopped and lifted by two; say with --confirmed-by who confirms it")
    return word.entry(Verb.EDIT, file, what=what, before=_sha256(left), after=_sha256(octets))


# -- applications -----------------------------------------------------------------------------------------------------


def apply(desk: Desk, path: Path, word: Word) -> tuple[Application, Entry]:
    """Take in a member's application, whole and without a fault, and such that it could be granted."""
    text = read_text(path)
    application = parse_application(text, str(path))
    with desk.locked():
        history = desk.history(layout.REGISTRY)
        if any(entry.verb is Verb.GRANT for entry in history.of(application.id)):
            raise UsageError(f"{path}: application {application.id} was granted already; give this one another id")
        kept = desk.folder / APPLICATIONS / f"{application.id}.yaml"
        if kept.exists() and parse_application(read_text(kept), str(kept)).member != application.member:
            raise UsageError(f"{path}: application {application.id} is another member's; give this one another id")
        octets = text.encode()
        if kept.exists() and kept.read_bytes() == octets:
            raise UsageError(f"{path}: application {application.id} is taken in already, just as it is")
        _, registry = _before(desk, layout.REGISTRY)
        document = parse_registry(registry, str(desk.folder / layout.REGISTRY_FILE))
        trial = Text(registry)
        changes.granted(trial, document, application, word.at, word.at + timedelta(days=1))
        parse_registry(trial.done(), f"{layout.REGISTRY_FILE}, if {application.id} was granted")
        entry = word.entry(Verb.APPLY, application.id, application=_sha256(octets))
        try:
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            replace_durably(kept, octets, _PRIVATE)
        except OSError as error:
            raise TrustError(f"{error.filename or desk.folder}: cannot be written: {error.strerror}") from error
        desk.enter(layout.REGISTRY, entry)
    return application, entry


def review(desk: Desk, application: str, result: Result, word: Word) -> Entry:
    """Say what an examination of an application has given."""
    with desk.locked():
        _, sha256 = _application(desk, application)
        entry = word.entry(Verb.REVIEW, application, result=result, application=sha256)
        desk.enter(layout.REGISTRY, entry)
    return entry


def grant(desk: Desk, application: str, start: datetime, until: datetime, word: Word) -> Entry:
    """What an application asks for that has passed its review. Raises UsageError where it has not."""
    _, sha256 = _application(desk, application)

    def edit(text: Text, document: RegistryDocument) -> None:
        asked, now = _application(desk, application)
        stands = standing(desk.history(layout.REGISTRY).of(application), now if now == sha256 else None)
        if stands is not Standing.PASSED:
            raise UsageError(f"application {application} {_NOT_GRANTED[stands]}")
        changes.granted(text, document, asked, start, until)

    return change_registry(desk, Verb.GRANT, application, word, edit, application=sha256)


_NOT_GRANTED: Final = {
    Standing.RECEIVED: "has not passed its review; `idtone registry review` comes first",
    Standing.REFUSED: "has not passed its review; `idtone registry review` comes first",
    Standing.CHANGED: "was changed after its review; have it reviewed again",
    Standing.GRANTED: "was granted already",
}


def applications(desk: Desk) -> list[tuple[Application, Standing]]:
    """All that were taken in, and how each stands, in the order of their days."""
    history = desk.history(layout.REGISTRY)
    found = [_application(desk, path.stem) for path in (desk.folder / APPLICATIONS).glob("*.yaml")]
    found.sort(key=lambda each: (each[0].received, each[0].id))
    return [(asked, standing(history.of(asked.id), sha256)) for asked, sha256 in found]


def _application(desk: Desk, name: str) -> tuple[Application, str]:
    path = desk.folder / APPLICATIONS / f"{name}.yaml"
    if Path(name).name != name or not path.exists():
        raise UsageError(f"there is no application {name!r}; `idtone registry apply` takes one in")
    text = read_text(path)
    return parse_application(text, str(path)), _sha256(text.encode()) or ""


# -- how --------------------------------------------------------------------------------------------------------------


def _before(desk: Desk, role: str) -> tuple[bytes, str]:
    """The file as it stands. Raises TrustError where somebody changed it by hand and has not said so."""
    file = layout.DELEGATED[role]
    if desk.unexplained([role]):
        raise TrustError(
            f"{desk.folder / file}: was changed by hand; `idtone registry publish` with --by and --why enters that"
            " into the history, and `idtone registry note` does so without publishing"
        )
    octets = desk.octets(file)
    return octets, _text(octets, desk.folder / file)


def _written(desk: Desk, role: str, before: bytes, text: str, entry: Entry) -> Entry:
    octets = text.encode()
    if not entry.what:
        raise UsageError("that would change nothing")
    path = desk.folder / layout.DELEGATED[role]
    entry = entry.model_copy(update={"before": _sha256(before), "after": _sha256(octets)})
    try:
        rewrite_durably(path, octets)
        try:
            desk.enter(role, entry)
        except TrustError:
            rewrite_durably(path, before)
            raise
    except OSError as error:
        raise TrustError(f"{path}: cannot be written: {error.strerror}") from error
    return entry


def _text(octets: bytes, name: object) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrustError(f"{name}: is not UTF-8; save it as UTF-8 text") from error


def _sha256(octets: bytes | None) -> str | None:
    return None if octets is None else hashlib.sha256(octets).hexdigest()


def _in_japan(moment: datetime) -> datetime:
    return moment.astimezone(JAPAN).replace(microsecond=0)
