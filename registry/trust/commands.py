"""`idtone registry init | publish | rotate`: what the association's desk does, with the keys of those who are there."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from securesystemslib.signer import CryptoSigner

from idtone import console
from idtone.errors import TrustError, UsageError

from . import layout
from .desk import Desk, load_key, make_key
from .layout import Keys

VARIABLE: Final = "IDTONE_PASSPHRASE"
"""The environment variable that stands in for being asked; a passphrase has no place on a command line."""

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The desk's folder: registry.yaml, suspensions.yaml, repository.")
]
KeyOption = Annotated[list[Path], typer.Option("--key", metavar="FILE", help="A key to sign with; several times.")]


def init(
    folder: FolderArgument,
    keys: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the new keys go: not the desk's folder.")],
    as_json: console.JsonOption = False,
) -> None:
    """Begin a repository: new keys, and registry.yaml and suspensions.yaml of the folder signed with them.

    Three root keys, three of the registry and two of the duty desk, each in a file of its own; two of a kind sign.
    Give them to their holders, and the root metadata that is named at the end to the members.
    """
    if keys.resolve() == folder.resolve() or folder.resolve() in keys.resolve().parents:
        raise UsageError(f"{keys}: the keys would lie in what is published; name another folder")
    desk = Desk(folder)
    desk.check_new()
    desk.check()
    passphrase = _passphrase("for the new keys", twice=True)
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{keys}: cannot be made: {error.strerror}") from error
    made = {
        kind: [make_key(keys / f"{kind}-{number}.pem", passphrase) for number in range(1, count + 1)]
        for kind, count in layout.KEYS.items()
    }
    public = {kind: [signer.public_key for signer in signers] for kind, signers in made.items()}
    desk.begin(public, [signer for signers in made.values() for signer in signers], datetime.now(UTC))
    root = desk.repository / layout.METADATA / "1.root.json"
    report = {**_state(desk), "root": str(root), "root_sha256": hashlib.sha256(root.read_bytes()).hexdigest()}
    _print(report, as_json)


def publish(folder: FolderArgument, key: KeyOption, as_json: console.JsonOption = False) -> None:
    """Sign what has changed in registry.yaml and suspensions.yaml, and say that it is the latest.

    For suspensions the two keys of the duty desk are enough; a changed registry takes two of its own besides. Without
    a change the signatures are renewed: at least once a week, or members have nothing that is still good. Whatever has
    passed half of its term is renewed too, where its keys are given. Exit 2: a file has faults, or a role has not
    enough of the keys; then nothing was published.
    """
    desk = Desk(folder)
    signed = desk.publish(_signers(key), datetime.now(UTC))
    _print({"signed": signed, **_state(desk)}, as_json)


def rotate(
    folder: FolderArgument,
    keys: Annotated[Keys, typer.Argument(metavar="SET", help="Whose keys are replaced: root, registry or duty.")],
    key: KeyOption,
    new: Annotated[list[Path], typer.Option(metavar="FILE", help="A key of the new set; made where it is not there.")],
    as_json: console.JsonOption = False,
) -> None:
    """Replace a set of keys, since one was lost or stolen: every key of it, by those that --new names.

    It takes two root keys, and two of every other set whose signatures depend on them.
    """
    if len(new) < layout.KEYS[keys]:
        raise UsageError(f"the set {keys} has {layout.KEYS[keys]} keys; name as many with --new")
    signers = _signers(key)
    made = [load_key(path, _passphrase(f"of {path}")) if path.exists() else _made(path) for path in new]
    desk = Desk(folder)
    public = {keys: [signer.public_key for signer in made]}
    signed = desk.rotate(public, [*signers, *made], datetime.now(UTC))
    _print({"signed": signed, **_state(desk)}, as_json)


def _made(path: Path) -> CryptoSigner:
    return make_key(path, _passphrase(f"for the new key {path}", twice=True))


def _signers(paths: list[Path]) -> list[CryptoSigner]:
    return [load_key(path, _passphrase(f"of {path}")) for path in paths]


def _passphrase(whose: str, twice: bool = False) -> str:
    given = os.environ.get(VARIABLE)
    if given is not None:
        return given
    try:
        return str(typer.prompt(f"Passphrase {whose}", hide_input=True, confirmation_prompt=twice, err=True))
    except typer.Abort as error:
        raise TrustError(f"there is no passphrase {whose}; set {VARIABLE} where nobody can be asked") from error


def _state(desk: Desk) -> dict[str, Any]:
    now = datetime.now(UTC)
    roles = {
        name: {"version": version, "until": until.isoformat(), "due": layout.ROLES[name].due(until, now)}
        for name, version, until in desk.expiries()
    }
    return {"repository": str(desk.repository), "roles": roles}


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(report)
        return
    if "signed" in report:
        print(f"signed: {', '.join(report['signed'])}")
    for name, role in report["roles"].items():
        due = f"; sign it with two {layout.ROLES[name].keys} keys soon" if role["due"] else ""
        print(f"{name:<12} version {role['version']}, good until {role['until']}{due}")
    if "root" in report:
        print(f"the members need {report['root']}")
        print(f"SHA-256 {report['root_sha256']}, to be told them by another way")
    print(f"publish the folder {report['repository']}")
