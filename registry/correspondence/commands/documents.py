"""The commands `idtone-office document key` and `idtone-office document send`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import TrustError
from idtone.core.files import reading
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line

from .. import desk_client


def key(config: command_line.ConfigOption = None) -> None:
    """Print the key with which this node signs documents, for the registry (`members[].keys`).

    It is the public half of the key in the file named like `ledger.key_file` with `.sign` appended. The service creates
    that file when it first starts.
    """
    print(desk_client.document_signer(load_settings(config)).key)


def send(
    document: Annotated[Path, typer.Argument(metavar="FILE", help="The signed document.")],
    config: command_line.ConfigOption = None,
) -> None:
    """Send a signed document from a file, for example because the desk could not be reached earlier.

    It prints the desk's answer as JSON. A document that was sent before is not recorded twice.
    """
    with reading(document, TrustError):
        octets = document.read_bytes()
    print(json.dumps(desk_client.send(load_settings(config), octets), ensure_ascii=False, indent=1))
