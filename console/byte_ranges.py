"""Responses with part of a file, which browsers request to seek in audio."""

from http import HTTPStatus

from aiohttp import web


def range_response(request: web.Request, octets: bytes, content_type: str) -> web.Response:
    """A response with the requested range, or with all bytes if none is requested (RFC 9110, section 14).

    An invalid or empty range gets status 416.
    """
    size, headers = len(octets), {"Accept-Ranges": "bytes"}
    try:
        wanted = request.http_range
    except ValueError:
        return _unsatisfiable(size)
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=octets, content_type=content_type, headers=headers)
    first, end, _ = wanted.indices(size)
    if first >= end:
        return _unsatisfiable(size)
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    status = HTTPStatus.PARTIAL_CONTENT
    return web.Response(body=octets[first:end], status=status, content_type=content_type, headers=headers)


def _unsatisfiable(size: int) -> web.Response:
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    return web.Response(status=status, headers={"Content-Range": f"bytes */{size}"})
