"""`idtone-evidence witness`: a witness that cosigns the trees of other logs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from idtone.core import log_output
from idtone.core.errors import ProofError, UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.signed_notes import Signer
from idtone.core.terminal import command_line

from ..witness.witness import Witness, WitnessState, attend, read_logs


def witness(
    name: Annotated[str, typer.Option("--name", help="The witness's name in its signatures, like witness.example/1.")],
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="The folder for its key and the heads that it cosigned.")
    ],
    logs_file: Annotated[
        Path,
        typer.Option("--logs", metavar="FILE", help="The keys of the logs, one per line (idtone-evidence log key)."),
    ],
    listen: command_line.ListenOption = "127.0.0.1:8700",
    config: command_line.ConfigOption = None,
) -> None:
    """Run a witness (C2SP tlog-witness) until SIGTERM. It cosigns each head that extends the head it cosigned before.

    It prints its address and verifier key for the setting ledger.witnesses of the logs that use it. It speaks HTTP; put
    a proxy with TLS in front of it.

    It uses only `log` of the settings.
    """
    host, port = command_line.listen_address(listen)
    log = load_settings(config).log
    log_output.begin_logging(log.format, log.level)
    known = read_logs(logs_file)
    with WitnessState.locked(state) as held:
        try:
            signer = held.signer(name)
        except ProofError as error:
            raise UsageError("--name: {error}", error=error) from error
        asyncio.run(_run(Witness(held, signer, known), signer, host, port))


async def _run(one: Witness, signer: Signer, host: str, port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await attend(one, host, port, lambda bound: print(f"http://{host}:{bound} {signer.cosigner}", flush=True), over)
