"""Client for an OpenID Connect provider: fetches its metadata and keys, and exchanges codes for tokens.

Needs the extra `openid`: authlib and joserfc.
"""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from idtone.core.errors import IdtoneError

from ..json_fetch import FetchError, fetch

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Accepted signature algorithms. All of them use private keys, so `none` and HMAC are rejected."""
LEEWAY_S: Final = 60
"""Maximum tolerated clock difference from the provider, in seconds."""
WITHIN_S: Final = 10.0
FRESH_S: Final = 3600.0
"""Maximum age of the provider's cached metadata and keys, in seconds."""
KEYS_EVERY_S: Final = 10.0
"""Minimum interval between key fetches, in seconds. A token signed with an unknown key triggers a fetch."""


class OpenIdError(IdtoneError):
    """The provider is unreachable, or its response and the browser's do not prove the user's identity."""


@dataclass(slots=True)
class Provider:
    """Client for one provider.

    `client_secret` returns the secret, or None for a public client. It may raise DocumentError.
    """

    issuer: str
    client_id: str
    client_secret: Callable[[], str | None]
    acr: str | None = None
    """Authentication context that ID tokens must name, or None to accept any context."""
    _metadata: tuple[float, Mapping[str, Any]] | None = field(default=None, init=False)
    _keys: tuple[float, KeySet] | None = field(default=None, init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def metadata(self) -> Mapping[str, Any]:
        """The provider's metadata document. Raises OpenIdError."""
        async with self._asking:
            if self._metadata is None or time.monotonic() - self._metadata[0] > FRESH_S:
                found = await self._fetch("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self.issuer:
                    raise OpenIdError("the provider calls itself {issuer!r}", issuer=str(found.get("issuer")))
                for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    if not _is_safe(found.get(key)):
                        raise OpenIdError("the provider's {key} is no https address", key=key)
                self._metadata = time.monotonic(), found
            return self._metadata[1]

    async def claims(self, code: str, verifier: str, redirect: str, nonce: str) -> Mapping[str, Any]:
        """The verified claims of the ID token for this code. Raises OpenIdError."""
        metadata = await self.metadata()
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        secret, headers = self.client_secret(), {}
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is None:
            fields["client_id"] = self.client_id
        elif "client_secret_basic" in methods:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(secret)}"  # RFC 6749, section 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": self.client_id, "client_secret": secret}
        answer = await self._fetch("POST", metadata["token_endpoint"], data=fields, headers=headers)
        return await self._verified(str(answer.get("id_token", "")), nonce, answer.get("access_token"))

    async def _verified(self, token: str, nonce: str, access_token: object) -> Mapping[str, Any]:
        try:
            try:
                found = jwt.decode(token, await self._key_set(FRESH_S), algorithms=ALGORITHMS)
            except InvalidKeyIdError:  # the provider may have a new key
                found = jwt.decode(token, await self._key_set(KEYS_EVERY_S), algorithms=ALGORITHMS)
            options = {
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "value": self.client_id},
                "sub": {"essential": True},
                "exp": {"essential": True},
                "nonce": {"essential": True, "value": nonce},
            }
            given = {"nonce": nonce, "client_id": self.client_id, "access_token": access_token}
            claims = CodeIDToken(found.claims, found.header, options, given)
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OpenIdError("the ID token is refused: {reason}", reason=str(error) or type(error).__name__) from error
        if self.acr is not None and claims.get("acr") != self.acr:
            raise OpenIdError("the ID token does not confirm the authentication context {acr}", acr=self.acr)
        return dict(claims)

    async def _key_set(self, not_older_s: float) -> KeySet:
        metadata = await self.metadata()
        async with self._asking:
            if self._keys is None or time.monotonic() - self._keys[0] > not_older_s:
                found = await self._fetch("GET", metadata["jwks_uri"])
                self._keys = time.monotonic(), KeySet.import_key_set({"keys": _public(found)})
            return self._keys[1]

    async def _fetch(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        """The JSON object in the provider's response. Raises OpenIdError, which never reveals the request."""
        try:
            status, found = await fetch(method, url, WITHIN_S, **more)
        except FetchError as error:
            raise OpenIdError(str(error)) from error
        if status != HTTPStatus.OK or not isinstance(found, dict):
            where, said = urlsplit(url).netloc, found.get("error", "") if isinstance(found, dict) else ""
            raise OpenIdError("{where} answers {status} {reason}", where=where, status=status, reason=str(said)[:100])
        return found


def _public(found: Mapping[str, Any]) -> list[Any]:
    """The public keys in a key set. Symmetric keys are omitted."""
    return [
        each for each in found.get("keys", ()) if isinstance(each, dict) and each.get("kty") in ("RSA", "EC", "OKP")
    ]


def _is_safe(url: object) -> bool:
    parts = urlsplit(str(url))
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"))
