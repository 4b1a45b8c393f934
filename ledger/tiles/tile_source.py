"""Reads a published tree from a folder or, over HTTPS, from a web server.

`tiles_verification` trusts neither source.
"""

import netrc
import os
import stat
import time
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import urllib3

from idtone.core.errors import LedgerError, ProofError, UsageError
from idtone.core.http.https_pool import https_pool
from idtone.core.translation import Message

from ..tree.tiles import BUNDLES, GZIP, expand_bundle

SILENCE_S: Final = 10.0
"""Maximum time in seconds that a server may be silent."""
FILE_S: Final = 60.0
"""Time limit in seconds for each file, including retries."""
RETRIES: Final = 3
CHUNK: Final = 65_536
_SCHEME: Final = "https://"
_AGAIN: Final = (429, 500, 502, 503, 504)
_OK, _ELSEWHERE, _REFUSED = 200, range(300, 400), 401
_MISSING: Final = (404, 410)


class TileSource(Protocol):
    """A source for a published tree's files."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Read a file and expand it if it is a bundle; None if it is missing.

        Raises ProofError if the file exceeds `limit` bytes or cannot be expanded, and LedgerError if it cannot be read.
        """


def tile_source(place: str) -> TileSource:
    """Source for the published tree at a folder path or an `https:` address.

    Raises UsageError.
    """
    if place.startswith(_SCHEME):
        return TileSite(place.rstrip("/"))
    if "://" in place:
        raise UsageError("{place}: name a folder, or an address that begins with https://", place=place)
    return TileFolder(Path(place))


class TileFolder:
    """Reads a published tree's files from a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str, limit: int) -> bytes | None:
        place = self._folder / path
        try:
            with os.fdopen(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # reading a pipe would block
                    raise LedgerError("{place} is not a file", place=place)
                octets = _bounded(file.read(limit + 1), path, limit)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LedgerError("{path}: cannot be read: {reason}", path=place, reason=error.strerror) from error
        return expand_bundle(octets, limit) if path.startswith(BUNDLES) else octets


class TileSite:
    """Reads a published tree's files from a web server.

    Requests that may succeed later are retried, and redirects are not followed. A user and password for the server in
    ~/.netrc are sent, but only over HTTPS.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._until_s = 0.0
        host = urlsplit(address).hostname or ""
        login = _login(host) if address.startswith(_SCHEME) else None
        self._pool = https_pool(host, SILENCE_S, self._left_s)
        self._headers = urllib3.make_headers(accept_encoding="gzip, identity", basic_auth=login)
        self._retries = urllib3.Retry(
            RETRIES,
            redirect=False,
            status_forcelist=_AGAIN,
            raise_on_status=False,
            backoff_factor=0.3,
            respect_retry_after_header=False,
        )

    def read(self, path: str, limit: int) -> bytes | None:
        self._until_s = time.monotonic() + FILE_S
        url = f"{self._address}/{path}"
        try:
            response = self._pool.request(
                "GET",
                url,
                headers=self._headers,
                retries=self._retries,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(SILENCE_S),
            )
            with response:
                if response.status in _MISSING:
                    response.drain_conn()
                    return None
                if response.status != _OK:
                    raise LedgerError(
                        "{url}: HTTP status {status}{remedy}",
                        url=url,
                        status=response.status,
                        remedy=_remedy(response.status),
                    )
                octets = bytearray()
                while len(octets) <= limit and (chunk := response.read(CHUNK, decode_content=True)):
                    octets += chunk
                found = _bounded(bytes(octets), path, limit)
                response.release_conn()
                if path.startswith(BUNDLES) and found.startswith(GZIP):
                    raise LedgerError("{url}: the web server has to send it with `Content-Encoding: gzip`", url=url)
                return found
        except urllib3.exceptions.DecodeError as error:
            raise ProofError("{path} cannot be expanded: {reason}", path=path, reason=_short(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise LedgerError("{path}: cannot be read: {reason}", path=url, reason=_short(error)) from error

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise LedgerError(
                "{address}: a file takes longer than {limit_s:g} s", address=self._address, limit_s=FILE_S
            )
        return left_s


def _bounded(octets: bytes, path: str, limit: int) -> bytes:
    if len(octets) > limit:
        raise ProofError("{path} is larger than {limit} bytes", path=path, limit=limit)
    return octets


def _login(host: str) -> str | None:
    """Read the `USER:PASSWORD` for a host from ~/.netrc; None if there is none.

    Raises UsageError if the file cannot be used.
    """
    try:
        found = netrc.netrc().authenticators(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.msg
        raise UsageError("~/.netrc cannot be read: {reason}", reason=reason) from error
    return f"{found[0]}:{found[2]}" if found else None


def _remedy(status: int) -> str:
    if status in _ELSEWHERE:
        return Message("; use the address to which it redirects")
    return Message("; write your user and password into ~/.netrc") if status == _REFUSED else ""


def _short(error: urllib3.exceptions.HTTPError) -> str:
    """An error's text without the connection's memory address."""
    cause = getattr(error, "reason", None) or error.__cause__ or error
    return str(getattr(cause, "args", ["?"])[-1] if isinstance(cause, urllib3.exceptions.HTTPError) else cause)
