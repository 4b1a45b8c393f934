"""Runs `idtone serve` as a process of the lab, with its own settings."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from idtone.call_control.journal_reader import JournalFolder
from idtone.core.settings.settings import load_settings
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.leaves import ACT_ID
from idtone.ledger.evidence.steps import Step
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.ledger.writing.ledger_writer import LINGER_S
from idtone.service.hook_from_settings import fallback_parameters

from .asterisk import IDTONE, Asterisk
from .become_user import Identity
from .forked_idtone import Forked
from .publication import LAB_REGISTRY, MEMBER, publication
from .site import make_reachable


@dataclass
class Service:
    """One service for one Asterisk. `policy` is the section `policy` of its settings (YAML)."""

    asterisk: Asterisk
    registry: Path
    policy: str = ""
    transport: str = "auto"
    trust: str = ""
    """File with the association's root, if `registry` is a signed publication, or `unsigned` for a plain file.

    If this is empty, the lab's own registry is signed if the site requires that, and any other registry is a plain
    file.
    """
    address: str = ""
    """URL of `registry`, if the service must read it from a server."""
    listen: str = ""
    """Its address for AGI, or an empty string for the PBX's own."""
    shared: Server | None = None
    """PostgreSQL with the replica of its ledger, or None without a replica."""
    metrics: str = ""
    """Its address for metrics, or an empty string for no metrics."""
    logging: str = ""
    """Its section `log` (YAML)."""
    association: str = f"member: {MEMBER}"
    """Its section `association` (YAML)."""
    node: str = "lab"
    """Name of its node."""
    fleet: str = ""
    """Its section `fleet` (YAML)."""
    lines: str = ""
    """Its section `lines` (YAML)."""
    brake: str = ""
    """Its section `brake` (YAML)."""
    canary: str = ""
    """Its section `canary` (YAML)."""
    witnessing: str = ""
    """Further keys of its section `ledger` (YAML), for its witnesses."""
    process: subprocess.Popen[bytes] | Forked | None = field(default=None, init=False, compare=False)
    forks: ClassVar[bool] = False
    """True if the service is forked for a quick start. Otherwise the installed command is run."""

    def __post_init__(self) -> None:
        scratch = self.asterisk.scratch
        self.settings = scratch / "idtone.yaml"
        self.log_file = scratch / "idtone.log"
        self.ledger = scratch / "ledger" / "ledger.sqlite3"

    def start(self, *options: str, timeout_s: float = 120) -> None:
        """Start the service and wait until it logs that it is ready. Raises RuntimeError."""
        self._write_settings()
        self.asterisk.set_fallback_policy(fallback_parameters(load_settings(self.settings, {}).policy))
        already = len(self.log())
        self._launch(*options)
        deadline_s = time.monotonic() + timeout_s
        while "ready: Asterisk" not in self.log()[already:]:
            if self._died() or time.monotonic() > deadline_s:
                said = self.log()[already:]
                self.stop()
                raise RuntimeError(f"idtone serve did not get ready:\n{said}")
            time.sleep(0.02)

    def _launch(self, *options: str) -> None:
        words, environment = ["serve", "-c", str(self.settings), *options], self._environment()
        with self._output() as log:
            if self.forks:
                self.process = Forked(words, log.name, environment, identity=self._identity())
            else:
                self.process = subprocess.Popen(
                    self.as_itself([IDTONE, *words]), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
                )

    def _environment(self) -> dict[str, str]:
        return self.asterisk.site.environment(self.asterisk.scratch)

    def _identity(self) -> Identity | None:
        return self.asterisk.site.identity("idtone", self.asterisk.scratch, self.registry.parent)

    def as_itself(self, command: Sequence[object]) -> list[str]:
        """The command that runs `command` as the service's user."""
        identity = self._identity()
        return identity.command(command) if identity else [str(each) for each in command]

    def _output(self) -> BinaryIO:
        """Open the log file of the next process for appending."""
        return self.log_file.open("ab")

    def _died(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _write_settings(self) -> None:
        site, scratch = self.asterisk.site, self.asterisk.scratch
        if site.own_users:  # otherwise the service creates them
            for folder in (self.ledger.parent, scratch / "registry"):
                site.give(folder, "idtone", 0o700)
        make_reachable(scratch)
        make_reachable(self.registry.parent)
        password = self.asterisk.scratch / "ari.password"
        password.write_text(self.asterisk.ari_password)
        password.chmod(0o600)
        site.own(password, "idtone")
        self.settings.write_text(
            f"node: {self.node}\n"
            f"ari: {{url: '{self.asterisk.ari_url}', user: idtone, password_file: {password},"
            f" transport: {self.transport}}}\n"
            f"interface: agi\n"
            f"agi: {{listen: '{self.listen or f'127.0.0.1:{self.asterisk.agi_port}'}'}}\n"
            f"sounds: {{directory: {self.asterisk.sounds}}}\n"
            f"registry: {{{self._trusted()}, cache: {scratch / 'registry' / self._association()}}}\n"
            f"ledger: {{{self._where()}, key_file: {self.ledger.with_name('ledger.key')}, {self.witnessing}}}\n"
            f"policy: {{{self.policy}}}\n"
            f"metrics: {{listen: {self.metrics or 'null'}}}\n"
            f"log: {{{self.logging}}}\n"
            f"association: {{{self.association}}}\n"
            f"fleet: {{{self.fleet}}}\n"
            f"lines: {{{self.lines}{', ' * bool(self.lines)}cache: {self.ledger.with_name('lines')}}}\n"
            f"brake: {{{self.brake}}}\n"
            f"canary: {{{self.canary}}}\n"
        )

    def _association(self) -> str:
        """A unique name for the publisher of this registry.

        A machine has only one association, but the lab uses several in turn.
        """
        return hashlib.sha256(self._trusted().encode()).hexdigest()[:16]

    def _trusted(self) -> str:
        """The registry and its signatures, as settings."""
        if not self.trust and self.registry == LAB_REGISTRY and self.asterisk.site.registry == "signed":
            published = publication(self.registry)
            return f"source: {published.source}, trust: {published.root}"
        return f"source: {self.address or self.registry}, trust: {self.trust or 'unsigned'}"

    def _where(self) -> str:
        """The location of the ledger, as settings."""
        if self.shared is None:
            return f"url: 'sqlite:///{self.ledger}'"
        password = self.asterisk.scratch / "postgresql.password"
        password.write_text(str(self.shared.password))
        self.asterisk.site.own(password, "idtone")
        return f"url: '{self.shared.url}', spool: {self.ledger}, password_file: {password}"

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60) -> int | None:
        """Stop the service with a signal and return its exit code, or None if it is not running.

        Kills the service and raises TimeoutExpired if it does not end in time.
        """
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def entered(self, within_s: float = 60) -> None:
        """Wait until the service has entered or rejected the end of each call in the journal. Raises RuntimeError."""
        asked_s, deadline_s = time.time(), time.monotonic() + within_s
        ended = {line.split(",")[1] for line in self.journal() if line.startswith("ended,")}
        read = JournalFolder(self.asterisk.sounds / "journal", self.asterisk.sounds).read_until
        while ended and not self._died() and read() < asked_s:
            with self._reader() as reader:
                ended = {each for each in ended if not ((record := reader.record(each)) and record.complete)}
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the service has not entered what the hook wrote:\n{self.log()[-3000:]}")
            time.sleep(LINGER_S / 3)

    def journal(self) -> list[str]:
        """The present lines of the journal's files."""
        while True:
            before = self._journal_files()
            lines: list[str] = []
            for path in before:
                with contextlib.suppress(FileNotFoundError):
                    lines += path.read_text().splitlines()
            if before == self._journal_files():  # otherwise the service has replaced a file meanwhile
                return lines

    def _journal_files(self) -> dict[Path, int]:
        """The files of the journal, each with its inode."""
        found = {}
        for path in sorted((self.asterisk.sounds / "journal").iterdir(), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                if path.name.startswith(("calls", "taken-")):
                    found[path] = path.stat().st_ino
        return found

    def records(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Call id → evidence of each call that began since `since`, as in `idtone ledger list --json`.

        Waits for the last step of calls that have just ended, because the service writes this step later. Acts are left
        out. Calls that began before `since` are left out even if a starting service has closed them afterwards.
        """

        def kept(record: Record) -> bool:
            began = min(step.at for step in record.steps)
            return not record.call_id.startswith(ACT_ID) and (since is None or began >= since)

        time.sleep(2 * LINGER_S)
        self.entered()
        with self._reader() as reader:
            found = reader.records(since=since, keep=kept)
        return {record.call_id: record.to_json() for record in found}

    def record(self, call_id: str) -> dict[str, Any]:
        """The evidence of one call, as in `records`, or an empty dict if the ledger does not have it."""
        self.entered()
        with self._reader() as reader:
            record = reader.record(call_id)
        return record.to_json() if record else {}

    def steps(self, call_id: str) -> list[Step]:
        """The steps of one call, or an empty list if the ledger does not have its evidence."""
        self.entered()
        with self._reader() as reader:
            record = reader.record(call_id)
        return list(record.steps) if record else []

    def _reader(self) -> LedgerReader:
        return reader_of(self.ledger)


def reader_of(ledger: Path) -> LedgerReader:
    """A reader for the ledger of a service. Uses the keys beside the ledger."""
    days = DayKeys(ledger.with_name("ledger.key.days"), LedgerKey(ledger.with_name("ledger.key").read_bytes()))
    return LedgerReader.open(f"sqlite:///{ledger}", days)


def wait_until_channels_are_younger() -> None:
    """Wait until new channels are certainly younger than the service that has just started.

    Only the ledger knows whether an earlier service has decided an older one, so its verdict waits for the ledger.
    """
    time.sleep(1.1)
