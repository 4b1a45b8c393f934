"""An association with real keys and a real repository, and a member's machine that reads the repository."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from securesystemslib.signer import CryptoSigner

from idtone.office.authority.workspace import Workspace
from idtone.registry.file_kinds import KINDS
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.publication_client import PublicationClient, Published
from idtone.registry.trust.tuf_roles import Keys

from ..examples import GOOD

if TYPE_CHECKING:
    import pytest

SUSPENSIONS = "issued: 2026-11-01T00:00:00+09:00\nsuspensions: []\n"
STOPPED = """\
issued: 2026-11-02T00:00:00+09:00
suspensions:
  - {number: "0312345677", since: 2026-11-02T00:00:00+09:00, reference: R-1}
"""
NEVER = """\
issued: 2026-11-02T00:00:00+09:00
never_originates:
  - {number: "0335810110", holder: 見本警察署, reference: N-1, since: 2026-11-02T00:00:00+09:00}
"""


class _OneRoot:
    root = "0" * 64


def sign_without_rules(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """Let the association sign faulty metadata of this role, by disabling the checks before the signature."""
    blind = replace(KINDS[role], rules=lambda _: (), differences=lambda old, new: ())
    monkeypatch.setitem(KINDS, role, blind)
    for module in ("workspace", "edition_rules"):
        monkeypatch.setattr(f"idtone.office.authority.{module}.entries_of", lambda octets, document: _OneRoot)


def new_keys() -> dict[Keys, list[CryptoSigner]]:
    return {keys: [CryptoSigner.generate_ed25519() for _ in range(count)] for keys, count in tuf_roles.KEYS.items()}


@dataclass
class Association:
    folder: Path
    keys: dict[Keys, list[CryptoSigner]] = field(default_factory=new_keys)
    new: bool = True
    """True if its files must be written. False for a copy of a folder."""

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.folder)
        if self.new:
            self.folder.mkdir(exist_ok=True)
            self.write(GOOD.partition("suspensions:")[0], SUSPENSIONS)

    def write(self, registry: str | None = None, suspensions: str | None = None, never: str | None = None) -> None:
        for file, text in zip(tuf_roles.DELEGATED.values(), (registry, suspensions, never), strict=True):
            if text is not None:
                (self.folder / file).write_text(text)

    def signers(self, *sets: Keys) -> list[CryptoSigner]:
        return [signer for keys in sets or tuple(Keys) for signer in self.keys[keys]]

    def begin(self, now: datetime | None = None) -> None:
        public = {keys: [signer.public_key for signer in signers] for keys, signers in self.keys.items()}
        self.workspace.publish_first(public, self.signers(), now or datetime.now(UTC))

    def publish(self, signers: Iterable[CryptoSigner] | None = None, now: datetime | None = None) -> list[str]:
        given = self.signers() if signers is None else list(signers)
        return self.workspace.publish(given, now or datetime.now(UTC))[0]

    @property
    def repository(self) -> Path:
        """Folder of the repository that members read."""
        return self.workspace.repository.folder

    def root(self) -> Path:
        return self.repository / tuf_roles.METADATA / "1.root.json"


@dataclass
class Machine:
    """A member's machine, with its own copy of the publication."""

    association: Association
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.trust = self.folder / "root.json"
        self.trust.write_bytes(self.association.root().read_bytes())
        self.source = str(self.association.repository)
        self.cache = self.folder / "cache"

    def take(self) -> Published:
        """Fetch and store the publication as the service does, and return it."""
        published = self.repository().update()
        self.repository().keep(published)
        return published

    def repository(self) -> PublicationClient:
        return PublicationClient(self.trust, self.source, self.cache)
