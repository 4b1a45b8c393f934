"""The commands `idtone backup …`; what they need is imported when one is used."""

from __future__ import annotations

from typing import Annotated

import typer

from idtone import command_line

app = command_line.group(
    "Make an encrypted archive of this node: ledger, keys, registry, settings, forms, desk, console users.", lone=True
)


@app.callback(invoke_without_command=True)
def _backup(
    context: typer.Context,
    due: Annotated[
        bool, typer.Option("--due", help="Only if the last backup is older than backup.every; the timer runs this.")
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    if context.invoked_subcommand is None:
        from .commands import run

        run(due, config, as_json)


command_line.add_commands(
    app,
    {
        "drill": (
            "idtone.operations.backup.commands:drill",
            "Restore the newest archives into a scratch folder, verify them, and say how old the newest call in them "
            "is.",
        ),
        "key": (
            "idtone.operations.backup.commands:key",
            "Make a key pair: the secret key in a file, and the public key for backup.recipients on the terminal.",
        ),
    },
)
