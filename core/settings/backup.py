"""The settings under `backup`: to whom archives are encrypted, where they are, and how often one is made."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ..documents import Model
from ..translation import Message
from .values import COMMA_LIST


def _public_key(value: str) -> str:
    """A public key of age, or of SSH."""
    value = " ".join(value.split()[:2]) if value.startswith("ssh-") else value.strip()
    if not re.fullmatch(r"age1[02-9ac-hj-np-z]{58}|ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*", value):
        raise ValueError(
            Message("is no public key of age or SSH"),
            Message("Make one on another machine, and write what it prints: idtone backup --new-key FILE"),
        )
    return value


PublicKey = Annotated[str, AfterValidator(_public_key)]


class BackupSettings(Model):
    """What `idtone backup` makes. Without recipients this node makes no backups."""

    recipients: Annotated[tuple[PublicKey, ...], COMMA_LIST] = ()
    """Who can open the archives. The secret keys stay on other machines."""
    directory: Path = Path("/var/lib/idtone/backups")
    every: Annotated[timedelta, Field(ge=timedelta(minutes=5), le=timedelta(days=31))] = timedelta(hours=6)
    whole_every: Annotated[timedelta, Field(ge=timedelta(hours=1), le=timedelta(days=366))] = timedelta(days=7)
    """How often an archive holds the whole ledger; the others hold what is new since the one before."""
    keep: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3660))] = timedelta(days=30)
    """How long archives stay that no later one needs."""
    result: Path = Path("/var/lib/idtone/backup.json")
    """The file with the last result."""

    @property
    def wanted(self) -> bool:
        """True if this node is to make backups."""
        return bool(self.recipients)
