"""A node with a ledger and a folder of archives, for tests of backups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyrage
import yaml

from idtone.core.settings.settings import Settings, load_settings
from idtone.ledger.keys.key_ring import KeyRing, own_key, successor_trees_of
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import heard_call, write_each

SECRET = pyrage.x25519.Identity.generate()


@dataclass
class BackedUpNode:
    """A node in a separate folder, with its settings, its ledger and the folder of its archives."""

    folder: Path

    @classmethod
    def made(cls, folder: Path, **others: Any) -> BackedUpNode:
        folder.mkdir()
        content = {
            "node": "pbx-1",
            "ledger": {
                "url": f"sqlite:///{folder}/ledger.sqlite3", "key_file": f"{folder}/ledger.key", "reserve": 0,
            },
            "registry": {"trust": "unsigned", "source": f"{folder}/registry.yaml", "cache": f"{folder}/registry"},
            "customers": {"directory": f"{folder}/customers"},
            "console": {"users": f"{folder}/users.yaml"},
            "backup": {
                "recipients": [str(SECRET.to_public())],
                "directory": f"{folder}/backups",
                "result": f"{folder}/backup.json",
            },
            **others,
        }  # fmt: skip
        (folder / "idtone.yaml").write_text(yaml.safe_dump(content))
        (folder / "users.yaml").write_text("users: {}\n")
        (folder / "registry.yaml").write_text("a registry\n")
        for name in ("registry", "customers", "customers/records"):
            (folder / name).mkdir()
        (folder / "customers" / "records" / "C-1").write_bytes(b"sealed")
        (folder / "secret").write_text(str(SECRET))
        return cls(folder)

    @property
    def config(self) -> Path:
        return self.folder / "idtone.yaml"

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self.config, {})

    @property
    def archives(self) -> list[str]:
        folder = self.folder / "backups"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def writer(self) -> LedgerWriter:
        settings = self.settings
        return LedgerWriter.open(settings.ledger.own_url(), settings.node, KeyRing.of(settings.ledger, settings.node))

    def sign(self, *calls: str) -> tuple[str, int] | None:
        """Write calls, and return the name and the size of the signed tree, or None if nothing is signed."""
        with self.writer() as writer:
            for number, call in enumerate(calls):
                write_each(writer, *heard_call(call, number * 1000))
            note = writer.stored_checkpoint
        return (note.text.split("\n")[0], int(note.text.split("\n")[1])) if note else None

    def next_tree(self) -> str:
        """Name of the tree that a newly started service would sign."""
        settings = self.settings
        return successor_trees_of(settings.ledger, settings.node).origin

    def calls(self, url: str | None = None) -> set[str]:
        with LedgerReader.open(url or self.settings.ledger.own_url()) as reader:
            return {record.call_id for record in reader.records() if not record.call_id.startswith("act-")}

    def faults(self, url: str | None = None, tree: str | None = None) -> list[str]:
        settings = self.settings
        with LedgerReader.open(url or settings.ledger.own_url()) as reader:
            return list(map(str, verify_ledger(reader, own_key(settings.ledger, settings.node, tree)).faults))
