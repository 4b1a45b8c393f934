"""`idtone console` without a command, which serves the console."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

from idtone.core import log_output
from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings

from ..server import attend, make_application

SWITCH_S: Final = 0.0005
"""Time after which a computing thread yields to another thread, in seconds.

At Python's default of 5 ms, rendering a page would wait that long at each row.
"""

log = logging.getLogger(__name__)


def serve(config: Path | None) -> None:
    """Serve the console's pages until SIGTERM or SIGINT."""
    settings = load_settings(config)
    log_output.begin_logging(settings.log.format, settings.log.level)
    sys.setswitchinterval(SWITCH_S)
    asyncio.run(_run(make_application(settings)))


async def _run(app: web.Application) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    try:
        await attend(app, lambda address: print(address, flush=True), over)
    except OSError as error:
        raise UsageError("console.listen: {reason}", reason=error.strerror or error) from error
