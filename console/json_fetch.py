"""Fetches JSON from an address in the settings, within size and time limits and without following redirects."""

import json
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from idtone.core.errors import IdtoneError

SIZE_LIMIT: Final = 1_000_000
"""Maximum response size in bytes."""


class FetchError(IdtoneError):
    """The server did not respond or sent an invalid response. The error never reveals the request."""


async def fetch(method: str, url: str, within_s: float, limit: int = SIZE_LIMIT, **more: Any) -> tuple[int, Any]:
    """Send a request and return the status and the JSON of the response.

    If a response with a status other than 200 is not JSON, None is returned in its place. `more` is passed to aiohttp.
    Raises FetchError.
    """
    where = urlsplit(url).netloc
    octets = b""
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=within_s), cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.request(method, url, allow_redirects=False, **more) as answer,
        ):
            status = answer.status
            while chunk := await answer.content.read(limit + 1 - len(octets)):
                octets += chunk
                if len(octets) > limit:
                    raise FetchError("{where}: the answer is larger than {limit} bytes", where=where, limit=limit)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise FetchError(
            "{where} does not answer: {reason}", where=where, reason=str(error) or type(error).__name__
        ) from error
    try:
        return status, json.loads(octets)
    except (ValueError, RecursionError) as error:
        if status == HTTPStatus.OK:
            raise FetchError("{where}: the answer is not JSON", where=where) from error
        return status, None
