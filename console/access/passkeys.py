"""Passkeys (WebAuthn): creates requests for the browser and verifies its responses.

Passkeys also require a fingerprint, a face or a PIN, so they count as two factors.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from idtone.core.errors import UsageError
from idtone.core.translation import Message

from ..own_address import OwnAddress
from ..page import Visit
from .users import Passkey, User

CHALLENGE_S: Final = 300.0
MOST: Final = 10
"""Maximum number of passkeys per user."""
ANSWER_LIMIT: Final = 20_000
_NONCE: Final = 16
_TIME: Final = 8
WRONG: Final = (
    WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, RecursionError
)  # fmt: skip
"""Exceptions that the library raises for maliciously malformed responses."""
REFUSED: Final = Message("The passkey was not accepted. Try again, or sign in with password and code.")


class Challenges:
    """Issues and checks challenges.

    Unused challenges are not stored, because each one contains its time and a message authentication code. Use only
    from the event loop.
    """

    def __init__(self, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._key = secrets.token_bytes(32)
        self._used: dict[bytes, float] = {}

    def new(self) -> bytes:
        body = secrets.token_bytes(_NONCE) + int(self._clock_s()).to_bytes(_TIME, "big")
        return body + self._code(body)

    def takes(self, challenge: bytes) -> bool:
        """True if the challenge was issued here, is recent and has not been used. This call uses it up."""
        body, code = challenge[: _NONCE + _TIME], challenge[_NONCE + _TIME :]
        now_s = self._clock_s()
        made_s = int.from_bytes(body[_NONCE:], "big")
        self._used = {each: until_s for each, until_s in self._used.items() if until_s > now_s}
        is_ours = hmac.compare_digest(code, self._code(body))
        if not is_ours or now_s - made_s > CHALLENGE_S or challenge in self._used:
            return False
        self._used[challenge] = now_s + CHALLENGE_S
        return True

    def _code(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")


def relying_party(visit: Visit) -> str:
    """The host name that the visitor's browser shows and that passkeys are tied to.

    Empty for an IP address, which cannot have passkeys. Requests for a foreign host never get this far.
    """
    host = urlsplit(f"//{visit.request.host.lower()}").hostname or ""
    return "" if ":" in host or host.replace(".", "").isdigit() else host


def _origins(own: OwnAddress, host: str) -> list[str]:
    return [each for each in own.origins if urlsplit(each).hostname == host]


def request_options(visit: Visit, challenge: bytes) -> str:
    """The options for `navigator.credentials.get`, as JSON. They accept any passkey for this host."""
    return options_to_json(
        generate_authentication_options(
            rp_id=relying_party(visit), challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
    )


def creation_options(visit: Visit, user: User, challenge: bytes) -> str:
    """The options for `navigator.credentials.create`, as JSON."""
    selection = AuthenticatorSelectionCriteria(
        resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
    )
    return options_to_json(
        generate_registration_options(
            rp_id=relying_party(visit),
            rp_name=f"idtone {visit.console.settings.node}",
            user_name=user.name,
            user_id=hashlib.sha256(f"passkey\0{user.name}".encode()).digest(),
            challenge=challenge,
            authenticator_selection=selection,
            exclude_credentials=[PublicKeyCredentialDescriptor(base64url_to_bytes(each.id)) for each in user.passkeys],
        )
    )


def registered_passkey(visit: Visit, answer: str, challenge: bytes, name: str) -> Passkey:
    """The passkey that the browser created. Raises UsageError if its response is invalid."""
    host = relying_party(visit)
    try:
        made = verify_registration_response(
            credential=answer[:ANSWER_LIMIT],
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=_origins(visit.console.own_address, host),
            require_user_verification=True,
        )
    except WRONG as error:
        raise UsageError(REFUSED) from error
    return Passkey(
        id=bytes_to_base64url(made.credential_id),
        key=bytes_to_base64url(made.credential_public_key),
        count=made.sign_count,
        name=name,
    )


def passkey_and_challenge(answer: str) -> tuple[str, bytes]:
    """The passkey id and the challenge from the browser's response, both still unverified.

    Raises UsageError.
    """
    try:
        parsed = parse_authentication_credential_json(answer[:ANSWER_LIMIT])
        return parsed.id, parse_client_data_json(parsed.response.client_data_json).challenge
    except WRONG as error:
        raise UsageError(REFUSED) from error


def passkey_after_use(visit: Visit, answer: str, challenge: bytes, passkey: Passkey) -> Passkey:
    """The passkey with its updated counter. Raises UsageError if the passkey did not sign the challenge."""
    host = relying_party(visit)
    try:
        verified = verify_authentication_response(
            credential=answer[:ANSWER_LIMIT],
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=_origins(visit.console.own_address, host),
            require_user_verification=True,
            credential_public_key=base64url_to_bytes(passkey.key),
            credential_current_sign_count=passkey.count,
        )
    except WRONG as error:
        raise UsageError(REFUSED) from error
    return passkey.model_copy(update={"count": verified.new_sign_count})
