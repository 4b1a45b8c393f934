"""Settings under `backup`: recipients of the encrypted archives, their folder and their interval."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ..translation import Message
from ..yaml_documents import Model
from .values import COMMA_LIST


def _public_key(value: str) -> str:
    value = " ".join(value.split()[:2]) if value.startswith("ssh-") else value.strip()
    if not re.fullmatch(r"age1[02-9ac-hj-np-z]{58}|ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*", value):
        raise ValueError(
            Message("is no public key of age or SSH"),
            Message("Make one on another machine, and write what it prints: idtone backup --new-key FILE"),
        )
    return value


PublicKey = Annotated[str, AfterValidator(_public_key)]


class BackupSettings(Model):
    """Settings for `idtone backup`. Without recipients, idtone makes no backups."""

    recipients: Annotated[tuple[PublicKey, ...], COMMA_LIST] = ()
    """The public keys to which the archives are encrypted. The secret keys stay on other machines."""
    directory: Path = Path("/var/lib/idtone/backups")
    every: Annotated[timedelta, Field(ge=timedelta(minutes=5), le=timedelta(days=31))] = timedelta(hours=6)
    whole_every: Annotated[timedelta, Field(ge=timedelta(hours=1), le=timedelta(days=366))] = timedelta(days=7)
    """Interval between archives of the whole ledger. The others contain only what is new since the previous one."""
    keep: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3660))] = timedelta(days=30)
    """How long an archive is kept if no later one needs it."""
    result: Path = Path("/var/lib/idtone/backup.json")
    """The file with the latest result."""

    @property
    def is_on(self) -> bool:
        """True if this node makes backups."""
        return bool(self.recipients)
