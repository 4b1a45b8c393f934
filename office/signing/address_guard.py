"""Decides which requests `idtone-sign` answers, because other pages and users of the computer can send requests too.

Another page in the browser can send a form to any port on 127.0.0.1 and can make its own host name resolve to 127.0.0.1
(DNS rebinding). Another user can connect to the port. Only the key holder, however, receives the address with its
secret.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

HOST: Final = "127.0.0.1"
_SECRET_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Address of the signing page: `http://127.0.0.1:PORT/SECRET/`."""

    port: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(_SECRET_BYTES))

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def path(self, page: str = "") -> str:
        return f"/{self.secret}/{page}"

    def url(self) -> str:
        return self.origin + self.path()

    def refusal_status(self, method: str, path: str, headers: Mapping[str, str]) -> HTTPStatus | None:
        """HTTP status for rejecting a request; None if it should be answered."""
        if headers.get("Host", "") != f"{HOST}:{self.port}":
            return HTTPStatus.MISDIRECTED_REQUEST
        if not hmac.compare_digest(path.split("/")[1].encode(), self.secret.encode()):
            return HTTPStatus.NOT_FOUND
        if method == "GET":
            return None
        if method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        # Each browser of today names the origin of a form.
        is_own = headers.get("Origin") == self.origin and headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
        return None if is_own else HTTPStatus.FORBIDDEN
