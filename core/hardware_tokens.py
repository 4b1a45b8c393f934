"""Ed25519 signatures with keys in hardware tokens (PKCS#11).

    hsm:1?label=ledger     the key with the id 1, in the token with this label

`python -m idtone.core.hardware_tokens` signs in a separate process, because the library of a token's maker may hang or
crash. It reads a line of JSON (`library`, `key`, `pin`) and then lines of hexadecimal digits to sign. It writes `key
HEX`, then `signed HEX` for each, or `error JSON` and ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl

from .errors import TokenError
from .terminal.extras import install_command
from .translation import Message

if TYPE_CHECKING:
    import pkcs11

PREFIX: Final = "hsm:"
_PUBLIC_BYTES: Final = 32


class TokenKeyName(NamedTuple):
    """Name of a key in a token: the key's id and the token's label.

    None stands for the only key, or for the only token.
    """

    number: int | None
    label: str | None

    @classmethod
    def parse(cls, name: str) -> TokenKeyName:
        """Parse a name such as `hsm:1?label=ledger`. Raises TokenError."""
        number, _, query = name.removeprefix(PREFIX).partition("?")
        if not name.startswith(PREFIX) or (number and not (number.isascii() and number.isdecimal())):
            raise TokenError(Message("{name}: is not a key in a token; write its number: hsm:2?label=LABEL", name=name))
        return cls(int(number) if number else None, dict(parse_qsl(query)).get("label"))


def no_library(name: str) -> Message:
    """Error message that says how to install the PKCS#11 library."""
    return Message(
        "{name}: tokens need the library python-pkcs11: {command}", name=name, command=install_command("token")
    )


def fault_of(name: str, error: Exception) -> Message:
    """Error message for an exception of python-pkcs11."""
    return Message("{name}: {error}", name=name, error=str(error) or type(error).__name__)


class TokenKey:
    """An Ed25519 key in a token (PKCS#11 3.0: CKK_EC_EDWARDS, CKM_EDDSA), with an open session."""

    def __init__(self, library: Path, name: str, pin: str) -> None:
        """Open a session for the key. Without a PIN, only its public half is accessible.

        Raises TokenError. If the PIN was rejected, `is_final` is set, because another attempt could lock the token.
        """
        wanted = TokenKeyName.parse(name)
        self._name = name
        try:
            import pkcs11
            from pkcs11.exceptions import (
                NoSuchKey,
                NoSuchToken,
                PinIncorrect,
                PinLenRange,
                PinLocked,
                UserPinNotInitialized,
            )
            from pkcs11.util import biginteger
        except ImportError as error:
            raise TokenError(no_library(name)) from error
        which: dict[str, Any] = {} if wanted.number is None else {"id": biginteger(wanted.number)}
        try:
            token = pkcs11.lib(str(library)).get_token(
                token_label=wanted.label, token_flags=pkcs11.TokenFlag.TOKEN_INITIALIZED
            )
            if pin and token.flags & (pkcs11.TokenFlag.USER_PIN_FINAL_TRY | pkcs11.TokenFlag.USER_PIN_LOCKED):
                last = Message("{name}: a wrong PIN was given too often; the last try is left to a person", name=name)
                raise TokenError(last, is_final=True)
            self._session: pkcs11.Session = token.open(user_pin=pin or None)
            kind = pkcs11.KeyType.EC_EDWARDS
            if pin:
                self._private: Any = self._session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, kind, **which)
            public = self._session.get_key(pkcs11.ObjectClass.PUBLIC_KEY, kind, **which)
            point = bytes(public[pkcs11.Attribute.EC_POINT])
        except (PinIncorrect, PinLenRange, PinLocked, UserPinNotInitialized) as error:
            raise TokenError(fault_of(name, error), is_final=True) from error
        except NoSuchToken as error:
            raise TokenError(
                Message("{name}: there is no such token in {library}", name=name, library=library), is_absent=True
            ) from error
        except NoSuchKey as error:
            missing = Message("{name}: the token has no such Ed25519 key", name=name)
            raise TokenError(missing, is_absent=True) from error
        except (ValueError, RuntimeError) as error:  # python-pkcs11 raises subclasses
            raise TokenError(fault_of(name, error)) from error
        # By PKCS#11 3.1 these are the key's bytes, by many makers an OCTET STRING around them.
        self.public = point[-_PUBLIC_BYTES:]
        if len(point) not in (_PUBLIC_BYTES, _PUBLIC_BYTES + 2):
            raise TokenError(Message("{name}: is not an Ed25519 key", name=name))
        self._mechanism = pkcs11.Mechanism.EDDSA

    def sign(self, octets: bytes) -> bytes:
        """Sign `octets` with Ed25519 (RFC 8032). Returns the signature of 64 bytes. Raises TokenError."""
        try:
            return bytes(self._private.sign(octets, mechanism=self._mechanism))
        except (ValueError, RuntimeError) as error:
            raise TokenError(fault_of(self._name, error)) from error


def main() -> None:
    """Sign each line of standard input until the input ends."""
    try:
        asked = json.loads(sys.stdin.readline())
        key = TokenKey(Path(asked["library"]), asked["key"], asked["pin"])
        _say("key", key.public.hex())
        while line := sys.stdin.readline():
            _say("signed", key.sign(bytes.fromhex(line)).hex())
    except TokenError as error:
        _say("error", json.dumps([str(error), error.is_final, error.is_absent]))


def _say(word: str, value: str) -> None:
    sys.stdout.write(f"{word} {value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
