"""Stores duty officers' encrypted private keys at the office, so that they can sign from home at night.

The file `night-keys/DIGEST.pem` holds one console user's key, encrypted with the officer's passphrase. DIGEST is the
SHA-256 of the user's name, so any name can have a key.

The association decides whether to use such a folder. A key is decrypted in memory for one signature only. Anyone who
steals the folder still needs two officers' passphrases. An attacker who controls the console's process while both
officers sign gets both keys.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import reading, writing
from idtone.core.signing_keys import load_key, signer_in
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message
from idtone.registry.trust import tuf_roles

from ..desk.office_ledger import OfficeLedger
from . import draft_metadata, group_shared_files
from .edition import Edition
from .prepared_package import PreparedPackage
from .workspace import Workspace

FOLDER: Final = "night-keys"
KEPT: Final = "night-key-kept"


class WrongPassphraseError(TrustError):
    """The passphrase does not decrypt the key."""


def keep_night_key(workspace: Workspace, user: str, key: Path, passphrase: str) -> str:
    """Store a user's encrypted duty key, replacing any older one, and return the key id.

    Raises IdtoneError, including when the key is not encrypted or is not a duty key in force.
    """
    user = checked_line(user, Message("User"))
    key_id = str(load_key(key, passphrase).public_key.keyid)
    _check_duty(workspace, key_id)
    pem = key.read_bytes()
    if b"ENCRYPTED" not in pem:
        raise TrustError("{path}: is not encrypted; give the key a passphrase first", path=key)
    OfficeLedger(workspace.folder).record(KEPT, user, key=key_id)
    path = night_key_path(workspace.folder, user)
    with writing(path, TrustError):
        group_shared_files.write(path, pem)  # the console is another account of the office's group
    return key_id


def has_night_key(folder: Path, user: str) -> bool:
    """True if the user's duty key is stored in the folder. Raises TrustError if the folder cannot be read."""
    with reading(folder / FOLDER, TrustError):
        return night_key_path(folder, user).is_file()


def night_key_path(folder: Path, user: str) -> Path:
    """Path where the user's duty key is or would be stored."""
    return folder / FOLDER / f"{hashlib.sha256(user.encode()).hexdigest()}.pem"


def edition_digest(edition: Edition) -> str:
    """SHA-256 of everything that a signature on the edition covers."""
    whole = hashlib.sha256()
    for name in sorted(edition.metadata):
        whole.update(name.encode() + b"\n" + hashlib.sha256(edition.metadata[name].signed_bytes).digest())
    return whole.hexdigest()


def sign_at_night(workspace: Workspace, user: str, shown: str, passphrase: str, now: datetime) -> list[str]:
    """Sign the duty keys' package with the user's stored key. The last missing signature publishes the package.

    `shown` is the `edition_digest` of the content the user has read. Returns the published roles. Raises IdtoneError.
    """
    if not has_night_key(workspace.folder, user):
        raise UsageError("no key of yours is kept here; sign at your own computer")
    path = night_key_path(workspace.folder, user)
    with workspace.locked():
        package = PreparedPackage(workspace, by_duty_keys_alone=True)
        edition = package.edition()
        if edition is None:
            raise UsageError("no package waits for signatures; prepare one")
        if edition_digest(edition) != shown:
            raise UsageError("what waits has changed since you read it; read it again")
        with reading(path, TrustError):
            pem = path.read_bytes()
        try:
            signer = signer_in(pem, user, passphrase)
        except TrustError as error:
            raise WrongPassphraseError("{error}", error=error) from error
        _check_duty(workspace, str(signer.public_key.keyid))
        edition.sign(signer)
        return package.add_signatures(edition, now)


def _check_duty(workspace: Workspace, key_id: str) -> None:
    role = draft_metadata.delegated_role(tuf_roles.SUSPENSIONS, workspace.repository.all_current_metadata())
    if key_id not in role.keyids:
        raise TrustError("this is not a duty key in force")
