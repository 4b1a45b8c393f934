"""A small OpenID Connect provider on this machine. `forge` damages its next tokens."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from idtone.core.settings.console import OpenIdSettings
from idtone.core.settings.settings import Settings
from lab.asterisk import LOOPBACK, free_ports

CLIENT, SECRET = "console", "s3cret: &%"


@dataclass
class OpenIdProvider:
    """A provider that signs in every visitor as `user`."""

    issuer: str
    user: dict[str, Any] = field(default_factory=lambda: {"sub": "viewer"})
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    forge: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    header: dict[str, str] = field(default_factory=lambda: {"alg": "RS256", "kid": "1"})
    signs_with: RSAKey | OctKey | None = None
    """Key that signs the tokens, or None for the provider's own key."""
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    """Code → the console's request for it. A code can be used only once."""
    answers_iss: bool = True

    async def configuration(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def authorize(self, request: web.Request) -> web.Response:
        code, asked = secrets.token_urlsafe(), dict(request.query)
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT, "code", "S256")
        self.asked[code] = asked
        iss = f"&iss={self.issuer}" if self.answers_iss else ""
        location = f"{asked['redirect_uri']}?code={code}&state={asked['state']}{iss}"
        return web.Response(status=302, headers={"Location": location})

    async def token(self, request: web.Request) -> web.Response:
        fields = await request.post()
        assert request.headers["Authorization"] == _basic(CLIENT, "s3cret%3A+%26%25")
        asked = self.asked.pop(str(fields["code"]), None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(str(fields["code_verifier"]).encode()).digest()).rstrip(b"=")
        if (
            asked is None
            or asked["code_challenge"] != proof.decode()
            or asked["redirect_uri"] != fields["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.user,
        }  # fmt: skip
        claims = {name: value for name, value in self.forge(claims).items() if value is not None}
        if self.header["alg"] == "none":
            token = ".".join([_part(self.header), _part(claims), ""])
        else:
            algorithms = [self.header["alg"]]
            token = jwt.encode(self.header, claims, self.signs_with or self.key, algorithms=algorithms)
        return web.json_response({"access_token": "a", "token_type": "Bearer", "id_token": token})


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@asynccontextmanager
async def provider() -> AsyncIterator[OpenIdProvider]:
    (port,) = free_ports(1)
    one = OpenIdProvider(f"http://{LOOPBACK}:{port}")
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", one.configuration)
    app.router.add_get("/keys", one.keys)
    app.router.add_get("/authorize", one.authorize)
    app.router.add_post("/token", one.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        yield one
    finally:
        await runner.cleanup()


def openid(settings: Settings) -> OpenIdSettings:
    """Settings of a console whose users sign in at a provider."""
    return settings.console.openid.model_copy(update={"issuer": "https://login.example", "client_id": "console"})
