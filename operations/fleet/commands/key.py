"""`idtone-fleet new-key`: creates the key that all nodes of a fleet share."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.fleet import FLEET_KEY_BYTES
from idtone.core.terminal import command_line


def key(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file to create, such as /etc/idtone/fleet.key. It must not exist."),
    ],
) -> None:
    """Create the key with which the nodes of a fleet recognise each other's calls. All nodes use the same key."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(
            "{file}: exists already; copy this key to the other nodes, or name another file", file=file
        ) from error
    except OSError as error:
        raise UsageError(
            "{file}: cannot be made: {reason}; name a file in another folder", file=file, reason=error.strerror
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as made:
        made.write(f"{secrets.token_hex(FLEET_KEY_BYTES)}\n")
        made.flush()
        os.fsync(made.fileno())
    print(file)
    command_line.say(
        "On each node: copy this file there, by a way that others cannot read; let the service's user own it "
        "(chown idtone {file}); set fleet.key_file and fleet.trunks; restart the service, and run "
        "`idtone dialplan export`.",
        file=file,
    )
