"""The console's own addresses as browsers see them, and the sender addresses of requests."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from idtone.core.settings.console import ConsoleSettings

FORWARDED: Final = "X-Forwarded-For"
"""Header in which a proxy passes on the sender's address."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """The console's address. `public` is how browsers see it, for example http://127.0.0.1:8720."""

    public: str
    origins: frozenset[str]
    """Origins of the console's pages, as browsers write them."""
    hosts: frozenset[str]
    """Accepted values of `Host`. Any other is a foreign name that resolves to this machine (DNS rebinding)."""
    has_proxy: bool

    @classmethod
    def of(cls, settings: ConsoleSettings) -> OwnAddress:
        origins = [settings.address] if settings.address else []
        where = settings.socket()
        if isinstance(where, tuple):
            host = f"[{where[0]}]" if ":" in where[0] else where[0]
            origins += [f"http://{host}:{where[1]}", f"http://localhost:{where[1]}"]
        named = [_origin(each) for each in origins]
        return cls(
            named[0], frozenset(named), frozenset(urlsplit(each).netloc for each in named), settings.address is not None
        )

    def from_where(self, peer: str | None, forwarded: Sequence[str]) -> str:
        """The visitor's IP address, or an empty string if it is unknown.

        `forwarded` contains the values of the `FORWARDED` header. Only the last entry counts, because our own proxy
        wrote it.
        """
        if not self.has_proxy:
            return peer or ""
        try:
            return str(ipaddress.ip_address(",".join(forwarded).rpartition(",")[2].strip()))
        except ValueError:
            return ""


def _origin(address: str) -> str:
    """Scheme, host and port of an address. The scheme's default port is omitted."""
    parts = urlsplit(address.lower())
    host = parts.netloc.removesuffix(f":{_PORTS[parts.scheme]}")
    return f"{parts.scheme}://{host}"


def own_page(address: str) -> str:
    """An address from a cookie or form, or an empty string if it may lead to another site."""
    is_ours = re.fullmatch(r"/[A-Za-z0-9_~!$&'()*+,;=:@%./?-]{1,1000}", address, re.ASCII)
    return address if is_ours and not address.startswith(("//", "/sign-")) else ""
