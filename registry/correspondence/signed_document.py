"""Documents that a member signs, as signed notes (C2SP signed-note v1).

    idtone-document/1
    {"at":"2026-11-27T09:00:00+00:00","content":{…},"id":"…","kind":"report-answer","member":"m-0001"}

    — m-0001/pbx-1 BASE64

The second line is canonical JSON (RFC 8785). A node signs with the key of its ledger, which also signs checkpoints; the
first line tells a document from a checkpoint. The registry names the keys of each member (`members[].keys`).
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785

from idtone.core.errors import ProofError, TrustError
from idtone.core.signed_notes import Note, NoteSigner, VerifierKey
from idtone.core.translation import Message

HEADER: Final = "idtone-document/1"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_FIELDS: Final = {"at", "content", "id", "kind", "member"}
_STRANGE: Final = Message("this is not a signed document of a member")


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document whose signature was verified.

    `octets` is the whole note. `key` is the key that signed it. `id` consists of 32 hexadecimal digits and is unique,
    because the desk accepts each id once. `content` is JSON.
    """

    kind: str
    id: str
    member: str
    at: datetime
    content: Mapping[str, Any]
    key: VerifierKey
    octets: bytes


def sign_document(kind: str, member: str, content: Mapping[str, Any], signer: NoteSigner, at: datetime) -> bytes:
    """Create and sign a document. Raises TrustError if the content has no canonical JSON."""
    fields: Any = {
        "at": at.astimezone(UTC).isoformat(),
        "content": dict(content),
        "id": secrets.token_hex(16),
        "kind": kind,
        "member": member,
    }
    try:
        line = rfc8785.dumps(fields).decode()
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise TrustError("the content of the document has no canonical JSON (RFC 8785)") from error
    text = f"{HEADER}\n{line}\n"
    return str(Note(text, (signer.sign(text),))).encode()


def verified_document(octets: bytes, keys_of: Callable[[str], Iterable[VerifierKey]]) -> SignedDocument:
    """Parse a document and verify that one of its member's keys has signed it. Raises TrustError.

    `keys_of` returns a member's keys by its id.
    """
    try:
        note = Note.parse(octets)
        fields = _fields(note.text)
        keys = note.signed_by(keys_of(fields["member"]))
    except ProofError as error:
        raise TrustError("{what}: {error}", what=_STRANGE, error=error) from error
    if not keys:
        raise TrustError(
            "the document is not signed by a key that the registry names for member {member!r}", member=fields["member"]
        )
    return SignedDocument(
        fields["kind"],
        fields["id"],
        fields["member"],
        datetime.fromisoformat(fields["at"]),
        fields["content"],
        keys[0],
        octets,
    )


def _fields(text: str) -> dict[str, Any]:
    """A document's fields. Raises TrustError unless the text has exactly the form written by `sign_document`."""
    header, _, rest = text.partition("\n")
    line = rest.removesuffix("\n")
    try:
        fields = json.loads(line) if header == HEADER else None
        canonical = isinstance(fields, dict) and rfc8785.dumps(fields).decode() == line
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise TrustError(_STRANGE) from error
    if not canonical or fields is None or fields.keys() != _FIELDS or not isinstance(fields["content"], dict):
        raise TrustError(_STRANGE)
    if not all(isinstance(fields[name], str) for name in _FIELDS - {"content"}) or not _ID.fullmatch(fields["id"]):
        raise TrustError(_STRANGE)
    try:
        moment = datetime.fromisoformat(fields["at"])
    except ValueError as error:
        raise TrustError(_STRANGE) from error
    if moment.utcoffset() is None:
        raise TrustError(_STRANGE)
    return dict(fields)
