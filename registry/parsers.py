"""Parsers of the files that the association signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from idtone.core.errors import DocumentError
from idtone.core.yaml_documents import parse, read_compact_tree, read_text

from .compiled_registry import MemberLines
from .member_numbers import MemberNumbers
from .model import Member, NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .validation_rules import member_faults, never_originates_faults, signed_faults, suspension_faults


def parse_registry(text: str, name: str) -> RegistryDocument:
    """Parse a registry. Raises DocumentError with every fault, in the file `name`."""
    return parse(text, name, RegistryDocument, signed_faults)


@dataclass(frozen=True, slots=True)
class LargeRegistry:
    """A registry read without keeping its members, for look-ups and validation.

    `members` and `held` contain the parts of the members that are needed.
    """

    document: RegistryDocument
    members: MemberLines
    held: MemberNumbers


def read_large_registry(path: Path, name: str) -> LargeRegistry:
    """Parse a large registry with a tenth of the memory. Raises DocumentError with every fault."""
    members = _Members()

    def compact(keys: Sequence[str]) -> list[Any] | None:
        if keys == ["members", "numbers"]:
            return _Numbers(members.held, next(members.numbered))
        return members if keys == ["members"] else None

    try:
        tree = read_compact_tree(path, name, compact)
        document = RegistryDocument.model_validate(tree | {"members": members.end(tree["members"])})
        tones = {tone.id for tone in document.tones}
        if members.tones <= tones and not any(signed_faults(document, members.held)):
            return LargeRegistry(document, members.lines, members.held)
    except (DocumentError, ValidationError, LookupError, TypeError, AttributeError):
        pass  # it has faults, or a form that is rare; the other reader says which
    document = parse_registry(read_text(path), name)
    bare = document.model_copy(update={"members": ()})
    return LargeRegistry(bare, MemberLines(document.members), MemberNumbers.of(document))


_AT_ONCE: Final = 1000
"""Maximum number of members in memory at once. As read from the file, each takes 7 KB."""
_member_list: Final = TypeAdapter(list[Member])


class _Members(list[Any]):
    """A list that holds only the latest members. The needed parts of earlier ones are stored elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.lines, self.held = MemberLines(), MemberNumbers()
        self.numbered = count()
        """Gives each member an index when its numbers move to `held`."""
        self.tones = set[str]()
        self._ids: dict[str, None] = {}
        self._licences = set[str]()
        self._places: list[int] = []
        self._logged: list[Member] = []

    def append(self, member: Any) -> None:
        if len(self) == _AT_ONCE:  # all of these were read to their ends
            self._take()
        super().append(member)

    def _take(self) -> None:
        """Move the needed parts of the listed members elsewhere. Raises ValidationError or LookupError."""
        first = len(self._ids)
        self._places += [at for at, each in enumerate(self, first) if isinstance(each.get("numbers"), _Numbers)]
        members = _member_list.validate_python(self)
        self._ids |= dict.fromkeys(member.id for member in members)
        for member in members:
            self._licences |= {licence.id for licence in member.licences}
            self.tones |= {licence.tone for licence in member.licences}
        self.lines.extend(members)
        if len(self._ids) < first + len(members) or len(self._licences) < self.lines.licences:
            raise LookupError("an id is there twice")
        if any(member_faults(members)):
            raise LookupError("a member has a fault")
        self._logged += [member.model_copy(update={"numbers": ()}) for member in members if member.logs]
        self.clear()

    def end(self, read: object) -> list[Member]:
        """Finish reading. Returns the members that have logs. Raises ValidationError or LookupError.

        `read` is the value of `members` in the file, which must be this list.
        """
        if read is not self:
            raise LookupError("it is no list")
        self._take()
        self.held.ids = [*self._ids]
        self.held.set_positions(self._places)
        if self.held.unreadable:
            raise LookupError("a number cannot be read")
        return self._logged


class _Numbers(list[str]):
    """A member's numbers, which are stored in `held` instead of this list."""

    def __init__(self, held: MemberNumbers, member: int) -> None:
        super().__init__()
        self._held, self._member, self._entries = held, member, count()

    def append(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("a number is a text")
        self._held.add(self._member, next(self._entries), text)


def parse_suspensions(text: str, name: str) -> SuspensionsDocument:
    """Parse a list of suspensions. Raises DocumentError with every fault, in the file `name`."""
    return parse(text, name, SuspensionsDocument, suspension_faults)


def parse_never_originates(text: str, name: str) -> NeverOriginatesDocument:
    """Parse a list of numbers that never originate calls. Raises DocumentError with every fault."""
    return parse(text, name, NeverOriginatesDocument, never_originates_faults)
