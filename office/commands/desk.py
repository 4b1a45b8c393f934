"""The command `idtone-office desk`, which runs the server for members' documents."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from idtone.core import log_output
from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_passphrase
from idtone.member.customers.refused.refusal_check import KIND as REFUSAL_CHECK

from ..desk.desk_server import attend
from ..desk.document_desk import DocumentDesk
from ..desk.document_kinds import RULES
from ..refused.blind_evaluation import BlindEvaluation
from ..refused.change_refusals import Refusals
from ..refused.refusal_key import RefusalKey
from .options import FolderOption


def run_desk(
    folder: FolderOption,
    listen: command_line.ListenOption = "127.0.0.1:8710",
    refusal_key: Annotated[
        Path | None,
        typer.Option("--refusal-key", metavar="KEY", help="The key of the refusals: members may check customers."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="A name under which a proxy asks for the desk, with its port unless that is 443 or 80."
        ),
    ] = None,
    config: command_line.ConfigOption = None,
) -> None:
    """Run the association's desk until SIGTERM. The desk accepts the documents that members sign.

    It prints its address for the setting association.desk. It speaks HTTP; put a proxy with TLS in front of it. The
    folder stores each document, and the ledger in this folder gets a leaf for each act (`idtone ledger verify -c
    FOLDER/ledger/idtone.yaml`).

    A request must name the desk by its address or by a --name. A proxy that passes on the visitor's `Host` needs a
    --name, which may be repeated.

    Of the settings, the desk uses only `log`.
    """
    host, port = command_line.listen_address(listen)
    log = load_settings(config).log
    log_output.begin_logging(log.format, log.level)
    rules = dict(RULES)
    if refusal_key is not None:
        key = RefusalKey.load(refusal_key, ask_passphrase)
        Refusals(folder).check_key(key)
        rules[REFUSAL_CHECK] = BlindEvaluation(key)
    asyncio.run(_run(DocumentDesk(folder, rules), host, port, name or ()))


async def _run(one: DocumentDesk, host: str, port: int, names: Sequence[str]) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    try:
        await attend(one, host, port, lambda bound: print(f"http://{host}:{bound}", flush=True), over, names)
    except OSError as error:
        raise UsageError(
            "--listen {host}:{port}: {reason}", host=host, port=port, reason=error.strerror or error
        ) from error
