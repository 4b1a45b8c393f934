"""The console's cookies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of this host alone (`__Host-`): over TLS or on this machine, for no script and no other site."""

    name: str
    lasts_s: int | None
    """None: until the browser is closed."""

    def of(self, request: web.Request) -> str:
        return request.cookies.get(self.name, "")

    def give(self, answer: web.StreamResponse, value: str) -> None:
        answer.set_cookie(
            self.name, value, max_age=self.lasts_s, path="/", secure=True, httponly=True, samesite="Strict"
        )

    def take(self, answer: web.StreamResponse) -> None:
        answer.del_cookie(self.name, path="/", secure=True, httponly=True, samesite="Strict")


SESSION: Final = Cookie("__Host-idtone", None)
LANGUAGE: Final = Cookie("__Host-language", 365 * 86400)
