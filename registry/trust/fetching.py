"""Where the signed registry is read from: a folder, a mounted share, or HTTPS. It is believed only when verified."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from tuf.api.exceptions import DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

SILENCE_S: Final = 10
"""How long a server may say nothing."""
WITHIN_S: Final = 60.0
"""How long one file may take, however steadily its octets trickle."""
CHUNK: Final = 400_000
_NOT_FOUND: Final = 404


class FolderFetcher(FetcherInterface):
    """Reads `file:` addresses below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not path.is_relative_to(self._folder):
            raise DownloadHTTPError(f"{path} is not in {self._folder}", _NOT_FOUND)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{path} is not there", _NOT_FOUND) from error
        return _chunks(file)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


class Bounded(FetcherInterface):
    """Another one, which may not take longer than `within_s` for a file."""

    def __init__(self, fetcher: FetcherInterface, within_s: float = WITHIN_S) -> None:
        self._fetcher = fetcher
        self._within_s = within_s

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._in_time(url, time.monotonic() + self._within_s)

    def _in_time(self, url: str, deadline_s: float) -> Iterator[bytes]:
        for chunk in self._fetcher.fetch(url):
            if time.monotonic() > deadline_s:
                raise SlowRetrievalError(f"{url} takes longer than {self._within_s:g} s")
            yield chunk


def base_url(source: str) -> str:
    """The address of a source, which is one already or a folder's path."""
    return source.rstrip("/") if source.startswith("https://") else Path(source).resolve().as_uri()


def fetcher(source: str) -> FetcherInterface:
    """For a source: a path, or an `https:` address."""
    if source.startswith("https://"):
        return Bounded(Urllib3Fetcher(socket_timeout=SILENCE_S))
    return Bounded(FolderFetcher(Path(source)))
