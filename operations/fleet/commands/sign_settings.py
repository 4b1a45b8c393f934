"""`idtone-fleet new-signing-key` and `idtone-fleet sign`: sign a fleet's settings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.files import replace_durably, writing
from idtone.core.settings.settings import SharedSettings
from idtone.core.settings.shared_settings import (
    SIGNED_BY,
    check_shared,
    differing_settings,
    read_shared,
    signed_settings,
)
from idtone.core.signed_notes import NOTE_LIMIT, Note, Signer
from idtone.core.signing_keys import make_private, private
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_passphrase
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text
from idtone.ledger.store.postgresql import Server

from ..settings_difference import difference_rows

_KEYS = (
    "The signing key (idtone-fleet new-signing-key). Repeat the option while you replace a key: nodes "
    "need one of the keys."
)


def signing_key(
    file: Annotated[Path, typer.Argument(metavar="KEY", help="The key file. It is created if it does not exist.")],
    as_json: command_line.JsonOption = False,
) -> None:
    """Create the key that signs the settings of all nodes, and print the line for fleet.trust.

    The file is encrypted with a passphrase. Keep it where you sign, never on a node.
    """
    if file.exists():
        signer = _signer(file)
    else:
        made = make_private(file, ask_passphrase(Message("for the new key {file}", file=file), twice=True))
        signer = Signer(SIGNED_BY, made.private_bytes_raw())
    if as_json:
        command_line.print_json({"key": str(file), "trust": str(signer.key)})
    else:
        print(signer.key)


def sign(
    settings: Annotated[
        Path, typer.Argument(metavar="SETTINGS", help="A file with the settings that all nodes share.")
    ],
    key: Annotated[list[Path], typer.Option("--key", metavar="FILE", help=_KEYS)],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The signed file; an older edition in it is replaced."),
    ],
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="The version (default: that of the older edition plus one, else 1)."),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Sign the settings that all nodes share. Each edition gets a new version.

    The command rejects secrets, and keys for a single node such as `node`. A node rejects an edition that is older than
    the last one it used; to go back, sign the old settings with a new version. idtone does not fetch the signed file:
    copy it to each node with a tool of your own, then reload. `idtone-fleet diff` shows which node uses which edition.
    """
    yaml = read_text(settings, size_limit=NOTE_LIMIT)
    ledger = check_shared(yaml, str(settings))[0].ledger
    if ledger.is_shared():
        Server.named(ledger.url)  # it refuses a password in the address
    signers = [_signer(file) for file in key]
    before = _before(output, signers)
    if before and version is not None and version <= before.version:
        raise UsageError(
            "{output} has version {before}, and nodes refuse an older one; choose a larger --version",
            output=output,
            before=before.version,
        )
    version = version or (before.version + 1 if before else 1)
    note = signed_settings(yaml, str(settings), version, datetime.now(UTC), signers)
    _check_size(note, settings)
    with writing(output, UsageError):
        replace_durably(output, str(note).encode())
    made = read_shared(output, signers[0].key)
    changed = differing_settings(before.settings, made.settings) if before else {}
    if as_json:
        command_line.print_json(
            {
                "file": str(output), "version": made.version, "sha256": made.sha256, "signed": made.signed.isoformat(),
                "trust": [str(signer.key) for signer in signers], "changed": sorted(changed),
            }
        )  # fmt: skip
        return
    command_line.say("{output}: version {version} of the fleet's settings", output=output, version=version)
    for signer in signers:
        command_line.say("fleet.trust on the nodes: {key}", key=signer.key)
    if before and changed:
        columns = (Message("key"), *(Message("version {version}", version=each.version) for each in (before, made)))
        command_line.Rows(columns).print(difference_rows(changed))


def _signer(file: Path) -> Signer:
    return Signer(SIGNED_BY, private(file, ask_passphrase).private_bytes_raw())


def _before(output: Path, signers: list[Signer]) -> SharedSettings | None:
    """The edition that the new one replaces; None if the file is missing.

    Raises DocumentError if it is not signed by any of the keys.
    """
    if not output.exists():
        return None
    return read_shared(output, *[signer.key for signer in signers])


def _check_size(note: Note, settings: Path) -> None:
    if len(str(note).encode()) > NOTE_LIMIT:
        raise UsageError(
            "{settings}: is larger than {limit} bytes; remove comments", settings=settings, limit=NOTE_LIMIT
        )
