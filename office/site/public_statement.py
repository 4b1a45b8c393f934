"""The public site's signed statement: the valid tables, the licensed members and a month's figures.

    {"signed": {"_type": "idtone-public", …}, "signatures": [{"keyid": …, "sig": …}]}

The duty keys sign it as they sign the repository's timestamp, with the same threshold and canonical form (OLPC). Its
type differs, so no TUF client mistakes it for metadata. The site's host has none of these keys.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from securesystemslib.exceptions import FormatError, UnverifiedSignatureError, VerificationError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Signature, Signer
from tuf.api.metadata import Metadata, Root

from idtone.core.errors import TrustError
from idtone.core.translation import Message

from .number_answers import LicensedHolder
from .number_table import HOLDERS_LIMIT, NumberTable, file_name

TYPE: Final = "idtone-public"
FORMAT: Final = 1
ROLE: Final = "timestamp"
"""Role whose keys sign the statement."""


@dataclass(frozen=True, slots=True)
class Editions:
    """Published versions of the roles' metadata, and the SHA-256 digests of their files."""

    association: str
    versions: Mapping[str, int]
    sha256: Mapping[str, str]


def statement(
    editions: Editions,
    public: bytes,
    numbers: NumberTable,
    holders: Sequence[LicensedHolder],
    names_holders: bool,
    figures: bytes | None,
    issued: datetime,
    expires: datetime,
) -> dict[str, Any]:
    """Build the content of a statement for key holders to sign.

    `public` is the numbers' public key. Raises TrustError if the registry has more members than a table has room for.
    """
    if len(holders) >= HOLDERS_LIMIT:
        raise TrustError("the table has room for {limit} members", limit=HOLDERS_LIMIT - 1)
    return {
        "_type": TYPE,
        "format": FORMAT,
        "association": editions.association,
        "issued": issued.isoformat(timespec="seconds"),
        "expires": expires.isoformat(timespec="seconds"),
        "editions": {
            role: {"version": version, "sha256": editions.sha256[role]} for role, version in editions.versions.items()
        },
        "holders": [holder.to_json() for holder in holders],
        "numbers": {
            "public": base64.b64encode(public).decode(),
            "tells": "holder" if names_holders else "licensed",
            "area_digits": numbers.area_digits,
            "tables": {
                area: {
                    "file": file_name(file.octets),
                    "sha256": hashlib.sha256(file.octets).hexdigest(),
                    "salt": base64.b64encode(file.salt).decode(),
                }
                for area, file in numbers.files.items()
            },
        },
        "figures": None if figures is None else hashlib.sha256(figures).hexdigest(),
    }


@dataclass(frozen=True, slots=True)
class SignedContent:
    """A statement and its signatures so far, by key id."""

    content: dict[str, Any]
    signatures: dict[str, Signature] = field(default_factory=dict)

    def sign(self, signer: Signer, root: Root) -> bool:
        """Sign the statement. Returns False if the signer's key may not sign it."""
        keyid = signer.public_key.keyid
        if keyid not in root.get_delegated_role(ROLE).keyids:
            return False
        self.signatures[keyid] = signer.sign(_canonical(self.content))
        return True

    def holders(self, root: Root) -> list[str]:
        """Ids of the keys that have validly signed the statement."""
        keyids = root.get_delegated_role(ROLE).keyids
        return sorted(each for each in keyids if each in self.signatures and self._verifies(root, each))

    def missing(self, root: Root) -> Message | None:
        """Describe the missing signatures, or return None if the statement has enough."""
        threshold, good = root.get_delegated_role(ROLE).threshold, len(self.holders(root))
        if good >= threshold:
            return None
        return Message(
            "the public site needs the signatures of {threshold} of the duty keys, and has {good}",
            threshold=threshold,
            good=good,
        )

    def to_bytes(self) -> bytes:
        whole = {"signed": self.content, "signatures": [each.to_dict() for each in self.signatures.values()]}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _verifies(self, root: Root, keyid: str) -> bool:
        try:
            root.get_key(keyid).verify_signature(self.signatures[keyid], _canonical(self.content))
        except (UnverifiedSignatureError, VerificationError):
            return False
        return True


def signed_statement(content: Mapping[str, Any], signers: Iterable[Signer], root: Root) -> bytes:
    """Sign a statement and return it as a file. Raises TrustError if too few keys sign."""
    made = SignedContent(dict(content))
    for signer in signers:
        made.sign(signer, root)
    _check(made, root)
    return made.to_bytes()


def verified_statement(octets: bytes, root: Root) -> dict[str, Any]:
    """Verify a signed statement and return its content. The caller must check `expires`.

    Raises TrustError if the association has not signed the statement.
    """
    read = read_statement(octets)
    _check(read, root)
    return read.content


def read_statement(octets: bytes) -> SignedContent:
    """Read a statement even if it has too few signatures. Raises TrustError if it is not a statement."""
    try:
        whole = json.loads(octets)
        content: dict[str, Any] = whole["signed"]
        _canonical(content)
        signatures = {each["keyid"]: Signature.from_dict(dict(each)) for each in whole["signatures"]}
        is_ours = content["_type"] == TYPE and content["format"] == FORMAT
    except (ValueError, LookupError, TypeError, RecursionError, FormatError) as error:
        raise _unfit() from error
    if not is_ours:
        raise _unfit()
    return SignedContent(content, signatures)


def _check(read: SignedContent, root: Root) -> None:
    missing = read.missing(root)
    if missing is not None:
        raise TrustError(missing)


def _canonical(content: Mapping[str, Any]) -> bytes:
    text = encode_canonical(dict(content))
    assert text is not None, "it writes to no function of ours"
    return text.encode()


def _unfit() -> TrustError:
    return TrustError("this is not the statement of a public site")


def editions_of(roles: Mapping[str, Metadata[Any]], files: Mapping[str, str], association: str) -> Editions:
    """Collect the roles' versions and file digests. `files` maps delegated roles to their file names."""
    targets = {role: roles[role].signed.targets.get(file) for role, file in files.items() if role in roles}
    held = {role: target for role, target in targets.items() if target is not None}
    return Editions(
        association,
        {role: roles[role].signed.version for role in held},
        {role: str(target.hashes["sha256"]) for role, target in held.items()},
    )
