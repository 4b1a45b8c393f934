"""A key holder's actions on their own computer: opening a package, reading its changes, signing it, or making a key."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from securesystemslib.signer import SSlibKey

from idtone.core.errors import TrustError, UsageError
from idtone.core.hardware_tokens import PREFIX
from idtone.core.new_passphrases import check_passphrase
from idtone.core.signing_keys import new_key, public_pem, signer, signer_in
from idtone.core.translation import Message

from ..authority.edition import Edition
from ..site.site_package import SitePackage, site_words
from .holders_root import StoredRoot
from .package_zip import add_signatures, read_package_zip
from .signing_summary import summarize_package

KEY_LIMIT: Final = 64 * 1024
"""Maximum size of a key file in bytes."""


@dataclass(frozen=True)
class OpenedPackage:
    """A package that the key holder has opened.

    `words` describes all changes. `octets` is the ZIP file as received, and `sha256` is its digest.
    """

    name: str
    octets: bytes
    sha256: str
    package: Edition | SitePackage
    words: Sequence[str]
    is_first: bool


@dataclass(frozen=True)
class SignedPackage:
    """A package that the key holder has signed.

    `roles` are the roles that the key has signed. `missing` describes signatures that are still missing.
    """

    name: str
    octets: bytes
    key_id: str
    roles: Sequence[str]
    missing: Sequence[Message]


@dataclass(frozen=True)
class NewKey:
    """A new key: the encrypted private key (`pem`), the public key and the key id."""

    name: str
    pem: bytes = field(repr=False)
    public: bytes
    key_id: str


class Holder:
    """State of a key holder's signing page. Call one method at a time; the methods block."""

    def __init__(self, root: StoredRoot, key: str = "") -> None:
        """Start without a package. `key` is the key file or token (`hsm:…`) from the command line."""
        self.root, self.key = root, key
        self.opened: OpenedPackage | None = None
        self.signed: SignedPackage | None = None
        self.made: NewKey | None = None

    def open(self, name: str, octets: bytes, is_first: bool, now: datetime) -> None:
        """Verify a package and open it. If IdtoneError is raised, no package is open."""
        self.close()
        package = read_package_zip(octets, Path(name))
        if is_first and (isinstance(package, SitePackage) or package.before):
            raise UsageError("this is not the association's first edition; take the tick away")
        words = self._words(package, is_first, now)
        self.opened = OpenedPackage(name, octets, hashlib.sha256(octets).hexdigest(), package, words, is_first)

    def _words(self, package: Edition | SitePackage, is_first: bool, now: datetime) -> Sequence[str]:
        kept = None if is_first else self.root.read()
        if not isinstance(package, SitePackage):
            return summarize_package(package, kept, now)
        if kept is None:
            raise UsageError("the package changes what is published; give the root that you keep")
        return site_words(package, kept, now)

    def close(self) -> None:
        self.opened = self.signed = None

    def sign(self, shown: str, pem: bytes, name: str, token: str, passphrase: str, now: datetime) -> None:
        """Sign the open package if its SHA-256 is `shown`. Raises IdtoneError.

        The key is in `pem`, from a file called `name`. If `pem` is empty, the key is in `token`. If `token` is also
        empty, the key from the command line is used.
        """
        if self.opened is None:
            raise UsageError("no package is open; open it first")
        if shown != self.opened.sha256:  # another tab has opened it
            raise UsageError("another package is open now than the one that you read; read this one, and sign again")
        # A term may have ended while the page was read.
        self._words(self.opened.package, self.opened.is_first, now)
        if token and not token.startswith(PREFIX):
            raise UsageError("{name}: is not a key in a token; write its number: hsm:2?label=LABEL", name=token)
        if not (pem or token or self.key):
            raise UsageError("choose the file of your key")
        holder = signer_in(pem, name, passphrase) if pem else signer(token or self.key, lambda _: passphrase)
        # This package is a copy of its own: a signature that fails half-way leaves nothing.
        package = read_package_zip(self.opened.octets, Path(self.opened.name))
        roles = package.sign(holder)
        if not roles:
            raise TrustError("nothing in {package} takes the signature of this key", package=self.opened.name)
        octets = add_signatures(self.opened.octets, package)
        key_id = holder.public_key.keyid
        name = f"{Path(self.opened.name).stem or 'package'}-{key_id[:8]}.zip"
        self.signed = SignedPackage(name, octets, key_id, roles, list(package.missing()))

    def forget_key(self) -> None:
        """Discard the new key so that another can be made."""
        self.made = None

    def make_key(self, name: str, passphrase: str, again: str) -> None:
        """Make a key for the key holder to download, keeping it only in memory. Raises TrustError or UsageError."""
        name = name.removesuffix(".pem")
        if not name or not all(each.isascii() and (each.isalnum() or each in "-_") for each in name) or len(name) > 60:
            raise UsageError("give the key a name of letters, digits and hyphens, like registry-1")
        if passphrase != again:
            raise UsageError("the two differ; type both again")
        check_passphrase(passphrase, [name])
        key, pem = new_key(passphrase)
        half = SSlibKey.from_crypto(key.public_key())
        self.made = NewKey(name, pem, public_pem(half), half.keyid)
