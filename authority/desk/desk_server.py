"""The desk as an HTTP endpoint: `POST /documents` takes a signed document and answers with JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.correspondence.desk_client import PATH
from idtone.errors import IdtoneError, TrustError
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_acts

from .desk import Desk
from .reports.report_routes import add_report_routes
from .reports.retention import forget_in_time

DOCUMENT_LIMIT: Final = 256 * 1024
"""Bytes."""

_log = logging.getLogger(__name__)


async def attend(desk: Desk, host: str, port: int, ready: Callable[[int], object], over: asyncio.Event) -> None:
    """Serve until `over`; `ready` gets the port. Raises OSError if the address cannot be used, and LedgerError."""
    with desk.ledger.open() as (url, writer):
        runner = web.AppRunner(application(desk), access_log=None)
        await runner.setup()
        # Commands that run meanwhile leave their acts in a folder.
        background = [
            asyncio.create_task(record_acts(url, writer, DisclosureRules())), asyncio.create_task(forget_in_time(desk)),
        ]  # fmt: skip
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            ready(runner.addresses[0][1])
            await over.wait()
        finally:
            for task in background:
                task.cancel()
            await runner.cleanup()


def application(desk: Desk) -> web.Application:
    """The endpoints of the desk."""

    async def documents(request: web.Request) -> web.Response:
        octets = await request.read()
        try:
            answer = await asyncio.to_thread(desk.accept, octets, datetime.now(UTC))
        except TrustError as error:
            _log.warning("refused: %s", error)
            return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except IdtoneError as error:
            _log.error("not accepted: %s", error)
            return _json({"error": "the desk cannot accept documents now"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json(answer, HTTPStatus.OK)

    made = web.Application(client_max_size=DOCUMENT_LIMIT)
    made.router.add_post(PATH, documents)
    add_report_routes(made, desk)
    return made


def _json(content: Mapping[str, Any], status: HTTPStatus) -> web.Response:
    return web.json_response(dict(content), status=status)
