"""The console's cookies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie limited to this host (`__Host-`).

    It is sent only over TLS or on this machine, and scripts cannot read it. Unless it is `Lax`, browsers omit it from
    requests that other sites trigger.
    """

    name: str
    lasts_s: int | None
    """Lifetime in seconds, or None to keep the cookie until the browser is closed."""
    same_site: Literal["Strict", "Lax"] = "Strict"

    def value_in(self, request: web.Request) -> str:
        return request.cookies.get(self.name, "")

    def set_on(self, answer: web.StreamResponse, value: str) -> None:
        answer.set_cookie(
            self.name, value, max_age=self.lasts_s, path="/", secure=True, httponly=True, samesite=self.same_site
        )

    def delete_on(self, answer: web.StreamResponse) -> None:
        answer.del_cookie(self.name, path="/", secure=True, httponly=True, samesite=self.same_site)


SESSION: Final = Cookie("__Host-idtone", None)
KNOWN_BROWSER: Final = Cookie("__Host-known", 90 * 86400)
OPENID: Final = Cookie("__Host-openid", 600, "Lax")
"""Cookie for a pending sign-in. Browsers also send it when they return from the provider's site."""
WANTED: Final = Cookie("__Host-wanted", 600, "Lax")
"""Cookie that stores the page requested before sign-in."""
LANGUAGE: Final = Cookie("__Host-language", 365 * 86400)
