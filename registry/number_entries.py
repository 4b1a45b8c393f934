"""Merkle tree of a registry file's entries, so that one number's entry can be verified by itself.

A file is a sequence of entries, each for an interval of numbers. Together they cover all numbers, and a number that the
file does not mention has an empty entry. The entry of a number is therefore everything that the file says about it. The
entries are the leaves of a Merkle tree (RFC 6962), and the association signs its root together with the file. A proof
contains hashes of other entries. Each entry has a salt derived from the whole file, so only a person with the file can
guess the content behind these hashes. docs/evidence-format.md defines the form.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.calls import Holding, Licence, Period, Suspension

from .compiled_registry import Porting, compile_registry, text_of, utc
from .model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .never_originating import compiled_never_originating
from .suspended_numbers import SuspendedNumbers
from .trust import tuf_roles

END: Final = 10**15
"""The end of the number space. All E.164 numbers are smaller."""
_SECRET: Final = b"idtone registry entries\n"
_SALT_DIGITS: Final = 32
_json: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_Row = tuple[int, int, str]
"""First number, last number and the file's statement about them as JSON."""


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """A number's entry with its inclusion proof in the tree. `path` lists the siblings from the leaf up."""

    content: str
    index: int
    size: int
    path: tuple[bytes, ...]

    def root(self) -> bytes | None:
        """Root of the tree that contains the entry, or None if no tree of this size can contain it."""
        number, last, reached = self.index, self.size - 1, _leaf(self.content.encode())
        left = iter(self.path)
        if not 0 <= number <= last:
            return None
        while last:
            if number % 2 or number < last:
                sibling = next(left, None)
                if sibling is None:
                    return None
                reached = _node(sibling, reached) if number % 2 else _node(reached, sibling)
            number, last = number // 2, last // 2
        return reached if next(left, None) is None else None


class NumberEntries:
    """A registry file's entries."""

    def __init__(self, octets: bytes, head: Mapping[str, Any], rows: Iterable[_Row]) -> None:
        """Build the tree for a file with the content `octets`. `rows` must be ascending and disjoint."""
        secret = hashlib.sha256(_SECRET + octets).digest()
        about = _json(head)
        self._firsts: list[int] = []
        self._contents: list[str] = []
        for index, (first, last, says) in enumerate(_covering(rows)):
            salt = hashlib.sha256(secret + index.to_bytes(8, "big")).hexdigest()[:_SALT_DIGITS]
            self._firsts.append(first)
            self._contents.append(f'{{"first":{first},"head":{about},"last":{last},"salt":"{salt}","says":{says}}}')
        self._levels: list[list[bytes]] = [[_leaf(content.encode()) for content in self._contents]]
        while len(below := self._levels[-1]) > 1:
            pairs = [_node(left, right) for left, right in zip(below[::2], below[1::2], strict=False)]
            self._levels.append(pairs + below[-1:] * (len(below) % 2))

    @property
    def root(self) -> str:
        """Root of the tree in hexadecimal."""
        return self._levels[-1][0].hex()

    def of(self, number: int) -> ProvenEntry:
        """A number's entry with its proof."""
        index = bisect_right(self._firsts, number) - 1
        path, at = [], index
        for level in self._levels[:-1]:
            if at ^ 1 < len(level):
                path.append(level[at ^ 1])
            at //= 2
        return ProvenEntry(self._contents[index], index, len(self._contents), tuple(path))


def _covering(rows: Iterable[_Row]) -> Iterator[_Row]:
    """The rows, with empty rows for the numbers in between."""
    begin = 0
    for first, last, says in rows:
        if begin < first:
            yield begin, first - 1, "null"
        yield first, last, says
        begin = last + 1
    if begin < END:
        yield begin, END - 1, "null"


def _leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\0" + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


# -- the files as rows ------------------------------------------------------------------------------------------------


def entries_of(
    octets: bytes, document: RegistryDocument | SuspensionsDocument | NeverOriginatesDocument
) -> NumberEntries:
    """Entries of a file with the content `octets`. `document` is that content, parsed and validated."""
    head: dict[str, Any]
    if isinstance(document, RegistryDocument):
        ready = compile_registry(document)
        said, spans = [_json(_held(each)) for each in ready.holdings.all()], ready.spans
        head = {"version": ready.version, "issued": text_of(ready.issued), "expires": text_of(ready.expires)}
    elif isinstance(document, SuspensionsDocument):
        suspended = SuspendedNumbers(document.suspensions)
        head = {
            "issued": text_of(utc(document.issued)),
            "stocks": {member: list(map(_period, each)) for member, each in suspended.stocks.items()},
        }
        rows = ((first, last, _json(list(map(_period, each)))) for first, last, each in suspended.disjoint())
        return NumberEntries(octets, head, rows)
    else:
        listed = compiled_never_originating(document.never_originates, document.issued)
        said, spans = [_json(list(map(_period, some))) for some in listed.periods], listed.spans
        head = {"issued": text_of(listed.issued)}
    return NumberEntries(
        octets, head, zip(spans.firsts, spans.lasts, map(said.__getitem__, spans.holders), strict=True)
    )


def unsigned_entries(octets: bytes, document: RegistryDocument) -> dict[str, NumberEntries]:
    """Entries of an unsigned registry, by the name of the file that the association would publish.

    The roots are not signed.
    """
    issued = document.registry.issued
    suspensions = SuspensionsDocument(issued=issued, suspensions=document.suspensions)
    parts: dict[str, Any] = {tuf_roles.REGISTRY_FILE: document, tuf_roles.SUSPENSIONS_FILE: suspensions}
    if document.never_originates is not None:
        never = NeverOriginatesDocument(issued=issued, never_originates=document.never_originates)
        parts[tuf_roles.NEVER_ORIGINATES_FILE] = never
    return {file: entries_of(octets, part) for file, part in parts.items()}


def _period(period: Period | Suspension) -> list[str | None]:
    return [text_of(period.since), text_of(period.until)]


def _held(holder: Holding | Porting) -> dict[str, Any]:
    if isinstance(holder, Porting):
        return {"before": _held(holder.before), "after": _held(holder.after), "at": text_of(holder.at)}
    chain = holder.chain
    return {
        "member": holder.member,
        "licences": list(map(_licence, holder.licences)),
        "certified_until": text_of(holder.certified_until),
        "chain": None
        if chain is None
        else {
            "members": chain.members,
            "checked": list(map(text_of, chain.checked)),
            "certified_until": text_of(chain.certified_until),
        },
    }


def _licence(licence: Licence) -> dict[str, Any]:
    return {
        "id": licence.id,
        "tone": licence.tone,
        "status": licence.status,
        "from": text_of(licence.valid_from),
        "until": text_of(licence.valid_until),
        "directions": sorted(licence.directions),
        "pledged_from": text_of(licence.pledged_from),
        "pledged_until": text_of(licence.pledged_until),
    }
