"""Fetchers for the signed registry: a folder, a mounted share, or HTTPS.

The fetchers verify nothing. `publication_client` does.
"""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from idtone.core.http.https_pool import https_pool

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
"""Time limit for the metadata in seconds, excluding the files themselves."""
FILE_S: Final = 60.0
"""Time limit for each file of up to 64 MB, in seconds."""
SILENCE_S: Final = 4.0
"""How long a server may be silent, in seconds; short enough for two requests within `LOOK_S`."""
PAUSES_S: Final = (0.2, 0.5)
"""Pauses before the second and third attempts, in seconds."""
CHUNK: Final = 400_000
_NOT_FOUND: Final = 404
_ELSEWHERE: Final = 300
_REFUSED: Final = 400
_BROKEN: Final = 500


class Deadline:
    """Deadline of the operation in progress."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._within_s = self._at_s = float("inf")

    def within(self, seconds: float) -> None:
        """Set the deadline to `seconds` from now."""
        self._within_s, self._at_s = seconds, self._clock_s() + seconds

    def left_s(self) -> float:
        """Seconds left. Raises SlowRetrievalError after the deadline."""
        left_s = self._at_s - self._clock_s()
        if left_s <= 0:
            raise SlowRetrievalError(f"it takes longer than {self._within_s:g} s")
        return left_s


class FolderFetcher(FetcherInterface):
    """Reads `file:` URLs inside one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not path.is_relative_to(self._folder):
            raise DownloadHTTPError(f"{path} is not in {self._folder}", _NOT_FOUND)
        try:
            file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{path} does not exist", _NOT_FOUND) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # reading a pipe would block
            file.close()
            raise DownloadError(f"{path} is not a regular file")
        return _chunks(file)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


class HttpsFetcher(FetcherInterface):
    """Reads `https:` URLs through the proxy set in the environment.

    Retries failures that may be temporary and follows no redirects. The deadline does not cover host name resolution.
    """

    def __init__(self, host: str, deadline: Deadline) -> None:
        self._deadline = deadline
        self._pool = https_pool(host, SILENCE_S, deadline.left_s)

    def _fetch(self, url: str) -> Iterator[bytes]:
        response = self._answer(url)
        if response.status >= _ELSEWHERE:
            response.close()
            remedy = "; use the address to which it redirects" if response.status < _REFUSED else ""
            raise DownloadHTTPError(f"{url}: HTTP status {response.status}{remedy}", response.status)
        return _body(url, response)

    def _answer(self, url: str) -> urllib3.BaseHTTPResponse:
        for pause_s in PAUSES_S:
            try:
                response = self._ask(url)
            except urllib3.exceptions.SSLError:
                raise  # a retry gets the same certificate
            except urllib3.exceptions.HTTPError as error:
                log.debug("%s: %s", url, error)
            else:
                if response.status < _BROKEN:
                    return response
                response.close()
            time.sleep(min(pause_s, self._deadline.left_s()))
        return self._ask(url)

    def _ask(self, url: str) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(min(SILENCE_S, self._deadline.left_s()))
        return self._pool.request("GET", url, preload_content=False, redirect=False, retries=False, timeout=timeout)


def _body(url: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from response.stream(CHUNK)
    except urllib3.exceptions.HTTPError as error:
        raise DownloadError(f"{url}: the download stopped early") from error
    finally:
        response.release_conn()


class Bounded(FetcherInterface):
    """Wraps a fetcher and stops it at the deadline."""

    def __init__(self, fetcher: FetcherInterface, deadline: Deadline) -> None:
        self._fetcher = fetcher
        self._deadline = deadline

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._in_time(url)

    def _in_time(self, url: str) -> Iterator[bytes]:
        for chunk in self._fetcher.fetch(url):
            self._deadline.left_s()
            yield chunk


def base_url(source: str) -> str:
    """URL of a source, which is given as an `https:` URL or a folder path."""
    return source.rstrip("/") if source.startswith("https://") else Path(source).resolve().as_uri()


def fetcher(source: str, deadline: Deadline) -> FetcherInterface:
    """Create the fetcher for a source, which is a path or an `https:` URL."""
    if source.startswith("https://"):
        return Bounded(HttpsFetcher(urlsplit(source).hostname or "", deadline), deadline)
    return Bounded(FolderFetcher(Path(source)), deadline)
