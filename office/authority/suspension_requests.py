"""Requests for suspensions and for numbers that never originate calls, entered independently by two people.

The first person enters the number. The second person enters it again and approves; only then does the file change. The
first entry is stored as a keyed digest, so the second person cannot copy it. The key exists only in the memory of the
console's process, because anyone who had it could try all numbers in Japan in seconds. After the console restarts,
waiting requests have to be entered again.
"""

import hashlib
import hmac
import json
import logging
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Never

from idtone.core.errors import NumberError, TrustError, UsageError
from idtone.core.files import read_if_there, writing
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import AccountKnownBy, Person, acting_person
from idtone.registry.model import SuspensionKind, SuspensionsDocument
from idtone.registry.number_notation import read_span
from idtone.registry.trust import tuf_roles

from ..desk.office_ledger import OfficeLedger
from . import group_shared_files
from .change_registry import Attribution, change_suspensions, registry_of
from .enter_suspensions import SuspensionTerms, enter_never_originating, remove_never_originating, suspend
from .history import Action, HistoryEntry
from .registry_edits import check_member
from .stopped_number_holders import NumberHolder, check_held, holders_of
from .suspension_edits import delete_suspension
from .typed_dates import in_japan
from .workspace import Workspace
from .yaml_text import YamlText

FILE: Final = "suspension-requests.json"
_KEY: Final = secrets.token_bytes(32)
_KEY_ID: Final = hashlib.sha256(b"idtone suspension requests\n" + _KEY).hexdigest()[:16]
LIMIT: Final = 200
"""Maximum number of requests waiting for a second person."""
REQUESTED: Final = "suspension-requested"
APPROVED: Final = "suspension-approved"
WITHDRAWN: Final = "suspension-withdrawn"
MOST_DIFFERING: Final = 3
"""Number of mismatched second entries after which a request is withdrawn."""
ACTIONS: Final = (
    Action.SUSPEND_NUMBER, Action.SUSPEND_RANGE, Action.SUSPEND_MEMBER, Action.NO_NEW_NUMBERS, Action.LIFT,
    Action.ALLOW_NEW_NUMBERS, Action.ADD_NEVER_ORIGINATING, Action.REMOVE_NEVER_ORIGINATING,
)  # fmt: skip
"""Actions that a person can request."""
STOPS: Final = (Action.SUSPEND_NUMBER, Action.SUSPEND_RANGE)
"""Actions that suspend numbers. For these, the second person also sees who holds the numbers."""
ENDS: Final = (Action.LIFT, Action.ALLOW_NEW_NUMBERS, Action.REMOVE_NEVER_ORIGINATING)
"""Actions that end a suspension or an entry, and therefore have no terms."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SuspensionRequest:
    """A request waiting for a second person.

    `terms` is None for actions that end a suspension or an entry. `digest` is the keyed digest of the first person's
    entry. `holders` tells the second person who holds the numbers; it is None if the holders are unknown or the action
    suspends no numbers.
    """

    id: str
    action: Action
    terms: SuspensionTerms | None
    why: str
    by: Person
    at: datetime
    digest: str
    holders: tuple[NumberHolder, ...] | None = None
    differing: int = 0
    """Number of second entries so far that did not match the first."""

    @property
    def is_outdated(self) -> bool:
        """True if another process stored the request, which means that its digest's key is lost."""
        return self.digest.partition(":")[0] != _KEY_ID


class SuspensionRequests:
    """Waiting requests in the authority's folder. All threads and processes may use the same folder."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._path = workspace.folder / FILE

    def waiting_requests(self) -> list[SuspensionRequest]:
        """Read the waiting requests, oldest first. Raises TrustError if the file is damaged."""
        octets = read_if_there(self._path, TrustError)
        if octets is None:
            return []
        try:
            return [_read(each) for each in json.loads(octets)]
        except (ValueError, KeyError, TypeError) as error:
            raise TrustError("{path}: is damaged; restore it from a backup", path=self._path) from error

    def enter(
        self,
        action: Action,
        entered: str,
        terms: SuspensionTerms | None,
        attribution: Attribution,
        is_unheld: bool = False,
    ) -> str:
        """Store a request after the first person's entry and return its id.

        `is_unheld` confirms that the person knows that no member holds the number. Raises IdtoneError.
        """
        scope = self._scope(action, entered)
        holders = None
        if action in STOPS:
            holders = holders_of(self._workspace, scope, attribution.at)
            if action is Action.SUSPEND_NUMBER and not is_unheld:
                check_held(holders)
        if action is Action.ADD_NEVER_ORIGINATING and (terms is None or terms.authority is None):
            raise UsageError("name the holder of the numbers")
        made = SuspensionRequest(
            f"S-{secrets.token_hex(8)}",
            action,
            terms,
            attribution.why,
            acting_person(),
            attribution.at,
            self._digest(action, scope),
            None if holders is None else tuple(holders),
        )
        with self._workspace.locked():
            waiting = self.waiting_requests()
            if len(waiting) >= LIMIT:
                raise UsageError("too many requests wait; approve or withdraw some first")
            self._record(REQUESTED, made)
            self._write([*waiting, made])
        return made.id

    def approve(self, request_id: str, entered: str, attribution: Attribution) -> HistoryEntry:
        """Compare the second person's entry with the request and carry out the action.

        The person must not be the one who made the request. Raises IdtoneError without changing anything.
        """
        with self._workspace.locked():
            request = self._named(request_id)
            if not acting_person().is_another_than(request.by):
                raise UsageError("you have entered this request; another person has to approve it")
            if request.is_outdated:
                raise UsageError("the console has been restarted since; withdraw this request, and both enter it again")
            scope = self._scope(request.action, entered)
            if not hmac.compare_digest(self._digest(request.action, scope), request.digest):
                self._differs(request)
            entry = self._done(request, scope, attribution)
            self._remove(request)
        return entry

    def _differs(self, request: SuspensionRequest) -> Never:
        """Reject a second entry that differs. The error does not say how, so nobody can guess the first entry.

        Raises UsageError.
        """
        differing = request.differing + 1
        _log.warning(
            "%s: the second entry differs, by %s (%d of %d)", request.id, acting_person(), differing, MOST_DIFFERING
        )
        if differing >= MOST_DIFFERING:
            self._record(WITHDRAWN, request)
            self._remove(request)
            raise UsageError("the two entries differ, for the last time; the request is withdrawn, so enter it anew")
        waiting = [
            each if each.id != request.id else replace(each, differing=differing) for each in self.waiting_requests()
        ]
        self._write(waiting)
        raise UsageError(
            "the two entries differ; look at the request again. After {left} more the request is withdrawn",
            left=MOST_DIFFERING - differing,
        )

    def withdraw(self, request_id: str) -> None:
        """Remove a waiting request. Raises IdtoneError, including when the request is no longer waiting."""
        with self._workspace.locked():
            request = self._named(request_id)
            self._record(WITHDRAWN, request)
            self._remove(request)

    def _done(self, request: SuspensionRequest, scope: NumberSpan | str, attribution: Attribution) -> HistoryEntry:
        entered_by = str(request.by)

        def record() -> None:
            self._record(APPROVED, request)

        if isinstance(scope, NumberSpan) and request.action is Action.REMOVE_NEVER_ORIGINATING:
            return remove_never_originating(self._workspace, scope, attribution, entered_by, record)
        if isinstance(scope, NumberSpan) and request.terms and request.action is Action.ADD_NEVER_ORIGINATING:
            return enter_never_originating(self._workspace, scope, request.terms, attribution, entered_by, record)
        is_of_new_numbers = request.action is Action.ALLOW_NEW_NUMBERS
        kind = SuspensionKind.NO_NEW_NUMBERS if is_of_new_numbers else SuspensionKind.STOP

        def lift(text: YamlText, document: SuspensionsDocument) -> None:
            delete_suspension(text, document, scope, in_japan(attribution.at), kind)
            record()

        if request.terms is None:
            subject = str(scope) if is_of_new_numbers else tuf_roles.SUSPENSIONS_FILE
            return change_suspensions(
                self._workspace, request.action, subject, attribution, lift, entered_by=entered_by
            )
        return suspend(self._workspace, request.action, scope, request.terms, attribution, entered_by, record)

    def _scope(self, action: Action, entered: str) -> NumberSpan | str:
        entered = entered.strip()
        if action in (Action.SUSPEND_MEMBER, Action.NO_NEW_NUMBERS, Action.ALLOW_NEW_NUMBERS):
            return check_member(registry_of(self._workspace), entered)
        try:
            span = read_span(entered)
        except NumberError as error:
            if action is Action.LIFT:
                return entered
            raise UsageError("that number cannot be used: {error}", error=error) from error
        if action is Action.SUSPEND_NUMBER and len(span) > 1:
            raise UsageError("that is a range; enter one number, or request the suspension of a range")
        return span

    def _digest(self, action: Action, scope: NumberSpan | str) -> str:
        said = scope if isinstance(scope, str) else f"{scope.first}-{scope.last}"
        digest = hmac.digest(_KEY, f"{action}\n{said}".encode(), hashlib.sha256).hex()
        return f"{_KEY_ID}:{digest}"

    def _named(self, request_id: str) -> SuspensionRequest:
        found = next((each for each in self.waiting_requests() if each.id == request_id), None)
        if found is None:
            raise UsageError("this request does not wait any more: it was approved or withdrawn")
        return found

    def _remove(self, request: SuspensionRequest) -> None:
        self._write([each for each in self.waiting_requests() if each.id != request.id])

    def _write(self, requests: list[SuspensionRequest]) -> None:
        octets = json.dumps([_plain(each) for each in requests], ensure_ascii=False, indent=1).encode() + b"\n"
        with writing(self._path, TrustError):
            group_shared_files.write(self._path, octets)

    def _record(self, act: str, request: SuspensionRequest) -> None:
        reference = request.terms.reference if request.terms else ""
        OfficeLedger(self._workspace.folder).record(act, request.id, action=request.action, reference=reference)


def _plain(request: SuspensionRequest) -> dict[str, Any]:
    terms = request.terms
    return {
        "id": request.id, "action": request.action, "why": request.why, "at": request.at.isoformat(),
        "digest": request.digest, "differing": request.differing,
        "holders": None if request.holders is None else [asdict(each) for each in request.holders],
        "by": {"uid": request.by.uid, "name": request.by.name, "known_by": request.by.known_by},
        "terms": None if terms is None else {
            "reference": terms.reference, "requested": terms.requested.isoformat(),
            "since": terms.since.isoformat(), "until": _text(terms.until), "authority": terms.authority,
        },
    }  # fmt: skip


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _read(content: Any) -> SuspensionRequest:
    by, terms, at = content["by"], content["terms"], datetime.fromisoformat
    return SuspensionRequest(
        content["id"],
        Action(content["action"]),
        None
        if terms is None
        else SuspensionTerms(
            terms["reference"],
            at(terms["requested"]),
            at(terms["since"]),
            None if terms["until"] is None else at(terms["until"]),
            terms["authority"],
        ),
        content["why"],
        Person(by["uid"], by["name"], AccountKnownBy(by["known_by"])),
        at(content["at"]),
        content["digest"],
        None if content["holders"] is None else tuple(NumberHolder(**each) for each in content["holders"]),
        content["differing"],
    )
