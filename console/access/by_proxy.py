"""Sign-in through a proxy in front of the console, which names the user in a header of each request."""

from collections.abc import Sequence

from aiohttp import web

from ..page import Page


class ByProxy:
    """Reads the user's name from the proxy's header.

    Only the proxy's group can connect to the console's Unix socket, so no other user can send the header.
    """

    proof = None

    def __init__(self, header: str) -> None:
        self._header = header
        self.pages: Sequence[Page] = ()

    def name_in(self, request: web.Request) -> str:
        """The user's name from the header, or an empty string if the header is missing or repeated.

        No user has an empty name.
        """
        names = request.headers.getall(self._header, ())
        return names[0].strip() if len(names) == 1 else ""
