"""What the commands share that sign: the keys they are given, the package they write, and their report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from securesystemslib.signer import Signer

from idtone.core.japan import end_words
from idtone.core.signing_keys import signer
from idtone.core.terminal import command_line
from idtone.core.terminal.asking import passphrase
from idtone.core.translation import Message, translated
from idtone.registry.commands.checking import checking
from idtone.registry.trust import tuf_roles

from ..authority.edition import Edition
from ..authority.edition_rules import describe, examine, examine_issued
from ..authority.workspace import Workspace

KeyOption = Annotated[
    list[str], typer.Option("--key", metavar="KEY", help="A key to sign with: its file, or hsm:… Several times.")
]


def signers(keys: list[str]) -> list[Signer]:
    """Opens keys, and asks for their passphrases. Raises TrustError."""
    return [signer(key, passphrase) for key in keys]


def write_package(edition: Edition, package: Path, now: datetime, as_json: bool) -> None:
    """Writes an edition for its holders, and shows what it changes."""
    with checking():
        examine(edition, now)
        examine_issued(edition, now)
        shown, missing = list(describe(edition)), list(edition.missing())
        edition.write(package)
    if as_json:
        command_line.print_json({"package": str(package), "words": shown, "missing": missing})
        return
    print(*shown, sep="\n")
    print(
        translated(Message("{package} needs these signatures:", package=package)), *map(translated, missing), sep="\n  "
    )


def state(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """What is published, for `print_report`."""
    roles = {
        name: {"version": version, "until": until.isoformat(), "due": due}
        for name, version, until, due in workspace.state(now)
    }
    return {"repository": str(workspace.repository.folder), "roles": roles}


def print_report(report: dict[str, Any], as_json: bool) -> None:
    """What was signed and what is published."""
    if as_json:
        command_line.print_json(report)
        return
    if "signed" in report:
        print(*(line for line in report["words"] if line.partition(":")[0] not in tuf_roles.ROLES), sep="\n")
        print(translated(Message("signed: {roles}", roles=", ".join(report["signed"]))))
    for name in report.get("left", ()):
        print(
            translated(
                Message(
                    "not published: the changes of {file}; sign them with the {keys} keys",
                    file=tuf_roles.DELEGATED[name],
                    keys=tuf_roles.ROLES[name].keys,
                )
            )
        )
    for name, role in report["roles"].items():
        facts = {"role": f"{name:<12}", "version": role["version"], "until": end_words(role["until"])}
        if role["due"]:
            keys = tuf_roles.ROLES[name].keys
            state = Message(
                "{role} version {version}, valid until {until}; sign it with the {keys} keys soon", keys=keys, **facts
            )
        else:
            state = Message("{role} version {version}, valid until {until}", **facts)
        print(translated(state))
    if "root" in report:
        print(translated(Message("give the members {file}", file=report["root"])))
        told = Message("SHA-256 {sha256}: tell it to them by another channel", sha256=report["root_sha256"])
        print(translated(told))
    print(translated(Message("publish the folder {folder}", folder=report["repository"])))
