"""`idtone authority desk`: accept what members send."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from idtone import command_line
from idtone.customers.refused.refusal_check import KIND as REFUSAL_CHECK
from idtone.errors import UsageError
from idtone.translation import Message

from ..desk.desk import Desk
from ..desk.desk_server import attend
from ..desk.document_rules import RULES
from ..refused.change_refusals import Refusals
from ..refused.evaluation import Evaluation
from ..refused.refusal_key import RefusalKey
from .options import FolderArgument, passphrase


def desk(
    folder: FolderArgument,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS:PORT", help="The address and port to listen on.")
    ] = "127.0.0.1:8710",
    refusal_key: Annotated[
        Path | None,
        typer.Option("--refusal-key", metavar="KEY", help="The key of the refusals: members may check customers."),
    ] = None,
) -> None:
    """Run the association's desk until SIGTERM: it accepts the documents that members sign.

    It prints its address for the setting association.desk. It speaks HTTP; put a proxy with TLS before it. Each
    document is kept in the folder, and the ledger in this folder gets a leaf for each act (`idtone ledger verify -c
    FOLDER/ledger/idtone.yaml`).
    """
    host, port = command_line.listen_address(listen)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", force=True)
    rules = dict(RULES)
    if refusal_key is not None:
        key = RefusalKey.load(refusal_key, passphrase)
        Refusals(folder).check_key(key)
        rules[REFUSAL_CHECK] = Evaluation(key)
    asyncio.run(_run(Desk(folder, rules), host, port))


async def _run(one: Desk, host: str, port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    try:
        await attend(one, host, port, lambda bound: print(f"http://{host}:{bound}", flush=True), over)
    except OSError as error:
        raise UsageError(
            Message("--listen {host}:{port}: {reason}", host=host, port=port, reason=error.strerror or error)
        ) from error
