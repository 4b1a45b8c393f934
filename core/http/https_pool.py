"""HTTPS connections with an overall deadline. They use the proxy settings from the environment."""

import ssl
from collections.abc import Callable
from typing import Any
from urllib.request import getproxies, proxy_bypass

import urllib3


def https_pool(host: str, silence_s: float, left_s: Callable[[], float]) -> urllib3.PoolManager:
    """Create a connection pool for requests to `host`. A connection fails after `silence_s` seconds without data.

    `left_s` returns the seconds left until the deadline and raises the caller's error after it. The deadline does not
    cover host name resolution.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = _punctual(silence_s, left_s)
    proxies = getproxies()
    proxy = None if proxy_bypass(host) else proxies.get("https") or proxies.get("all")
    return urllib3.ProxyManager(proxy, ssl_context=context) if proxy else urllib3.PoolManager(ssl_context=context)


def _punctual(silence_s: float, left_s: Callable[[], float]) -> type[ssl.SSLSocket]:
    """Create a socket class that stops at the deadline.

    urllib3's timeout restarts with each byte, so a server could hold the connection open by sending single bytes.
    """

    class Punctual(ssl.SSLSocket):
        def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
            self.settimeout(min(silence_s, left_s()))
            return super().recv_into(buffer, nbytes, flags)

    return Punctual
