"""Files in `static/`, such as the style sheet and scripts, with a content hash in each address."""

import hashlib
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from aiohttp import web

PATH: Final = "/static/{digest}/{name}"
TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@cache
def _content(name: str) -> bytes:
    return (files("idtone.console") / "static" / name).read_bytes()


@cache
def _names() -> frozenset[str]:
    return frozenset(each.name for each in (files("idtone.console") / "static").iterdir() if each.is_file())


@cache
def address_of(name: str) -> str:
    """A file's address, which changes with its content."""
    digest = hashlib.sha256(_content(name)).hexdigest()[:16]
    return PATH.format(digest=digest, name=name)


async def serve(request: web.Request) -> web.StreamResponse:
    """Send the file. Only files listed in the folder are sent, so no path can lead out of it."""
    name = request.match_info["name"]
    if name not in _names() or request.path != address_of(name):
        return web.Response(status=HTTPStatus.NOT_FOUND)
    kind = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    headers = {"Cache-Control": _FOR_EVER, "Content-Type": f"{kind}; charset=utf-8"}
    return web.Response(body=_content(name), headers=headers)
