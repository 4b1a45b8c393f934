"""Keys that sign a node's successive logs, in files or hardware tokens.

A key's place is given as text. `sign` is the extension of a file next to the ledger's key, and `sign-2` is the
extension of the second tree's key file. `hsm:…` is a key in a token.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from idtone.core.errors import LedgerError, ProofError, TokenAwayError
from idtone.core.hardware_tokens import PREFIX
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import KEY_BYTES, Algorithm, NoteSigner, Signer, VerifierKey
from idtone.core.translation import Message

from .hardware_token_signer import TokenProcess, TokenSigner
from .key_file import load_key, read_key
from .private_files import replace_private
from .successor_trees import SuccessorTrees

FILE: Final = "sign"


class LogKey(NamedTuple):
    """The place and public half of a log's signing key.

    `public` is None if the public half is not recorded.
    """

    place: str
    public: bytes | None = None


class LogKeys:
    """Signing keys for a node's logs.

    Each token has one process, which all logs share.
    """

    def __init__(self, settings: LedgerSettings, successor_trees: SuccessorTrees) -> None:
        self._settings = settings
        self.successor_trees = successor_trees
        self._tokens: dict[str, TokenProcess] = {}

    def of(self, origin: str | None) -> LogKey:
        """The key of the log `origin`, or of the current log if the name is unknown."""
        trees = self.successor_trees.trees
        names = self.successor_trees.origins
        reached = names.index(origin) if origin in names else len(trees)
        for each in reversed(trees[:reached]):
            if each.key_at:
                return LogKey(each.key_at, VerifierKey.parse(each.key).public)
        # The settings for the first key may have changed since it was replaced.
        before = next((str(each.told["key"]) for each in trees[reached:] if each.key), None)
        return LogKey(self._settings.token.key or FILE, VerifierKey.parse(before).public if before else None)

    def is_here(self, origin: str) -> bool:
        """True if this machine has what it needs to verify the log `origin`."""
        key = self.of(origin)
        if key.public is not None:
            return True
        return (self._settings.token_public() if is_in_token(key.place) else self.file(key.place)).exists()

    def check(self, origin: str) -> None:
        """Raise TokenAwayError if the log's key cannot be reached.

        This happens only if the key is in a token that is unavailable.
        """
        if (place := self.of(origin).place).startswith(PREFIX):
            self.read_token(place)

    def file(self, place: str) -> Path:
        """Path of the file for a key that is not in a token."""
        own = self._settings.key_file
        return own.with_name(f"{own.name}.{place}")

    def require(self) -> None:
        """Raise LedgerError if the key file of the current log is missing.

        Unlike `signer`, this method creates no key.
        """
        if not (place := self.of(None).place).startswith(PREFIX):
            read_key(self.file(place))

    def files(self) -> Iterable[Path]:
        """Key files of all logs whose keys are not in tokens."""
        places = [self.of(origin).place for origin in self.successor_trees.origins]
        return [self.file(place) for place in dict.fromkeys(places) if not is_in_token(place)]

    def signer(self, origin: str, key: LogKey | None = None) -> NoteSigner:
        """Signer for the log `origin`, using the given `key` or otherwise the log's own key.

        A missing key file is created unless its public half is already recorded. Raises LedgerError.
        """
        key = key or self.of(origin)
        if not is_in_token(key.place):
            read = load_key if key.public is None else read_key
            return _checked(Signer(origin, read(self.file(key.place))), key)
        return TokenSigner(origin, key.public or self._public(key.place), self._token(key.place))

    def verifier(self, origin: str) -> VerifierKey:
        """The public key that verifies the log `origin`.

        Raises LedgerError if this machine does not have the key.
        """
        key = self.of(origin)
        if key.public is None and not is_in_token(key.place):
            return Signer(origin, read_key(self.file(key.place))).key
        return VerifierKey(origin, Algorithm.ED25519, key.public or self._public(key.place))

    def read_token(self, place: str) -> bytes:
        """Read a key's public half from a token.

        Raises TokenAwayError if the token is not available.
        """
        return self._token(place).public()

    def read_token_without_pin(self, place: str) -> bytes:
        """Read a key's public half from a token without using the PIN.

        A wrong PIN would count as a failed attempt. Raises TokenAwayError if the token is not available.
        """
        process = TokenProcess(self._library(place), place, lambda: "")
        try:
            return process.public()
        finally:
            process.close()

    def with_new_attempts(self) -> LogKeys:
        """Return a copy that tries again to reach tokens that were unavailable.

        Close the copy after use.
        """
        return LogKeys(self._settings, self.successor_trees)

    def close(self) -> None:
        for process in self._tokens.values():
            process.close()

    def _public(self, place: str) -> bytes:
        """Public half of the token's key, which is read from the token once and then kept in a file."""
        path = self._settings.token_public()
        try:
            name, _, digits = path.read_text("ascii").strip().partition(" ")
            if name == place and len(public := bytes.fromhex(digits)) == KEY_BYTES:
                return public
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise _unusable(path, error) from error
        public = self.read_token(place)
        try:
            replace_private(path, f"{place} {public.hex()}\n".encode())
        except OSError as error:
            raise _unusable(path, error) from error
        return public

    def _token(self, place: str) -> TokenProcess:
        if place not in self._tokens:
            self._tokens[place] = TokenProcess(self._library(place), place, self._settings.token.pin)
        return self._tokens[place]

    def _library(self, place: str) -> Path:
        if self._settings.token.library is None:
            raise TokenAwayError(
                Message("{place}: name the token's PKCS#11 library in ledger.token.library", place=place)
            )
        return self._settings.token.library


def is_in_token(place: str) -> bool:
    return place.startswith(PREFIX)


def _checked(signer: Signer, key: LogKey) -> Signer:
    if key.public is not None and signer.key.public != key.public:
        raise LedgerError(
            "{place}: this is another key than that of the log {log}; restore it from a backup",
            place=key.place,
            log=signer.key.name,
        )
    return signer


def _unusable(path: Path, error: Exception) -> LedgerError:
    reason = error.strerror if isinstance(error, OSError) else Message("it is not what idtone wrote")
    return LedgerError("{path}: cannot be used: {reason}; check the path and its permissions", path=path, reason=reason)


def same_key(text: str, key: VerifierKey) -> bool:
    try:
        return VerifierKey.parse(text) == key
    except ProofError:
        return False
