"""A fleet of real programs on the loopback address of this machine.

It has two Kamailio, several Asterisk (each with its service), a PostgreSQL and its standby, the association's registry
over HTTPS, two witnesses, and the called parties. Each Kamailio has its own address. A node sends a call on through the
Kamailio that brought it. In production, keepalived moves the address of a dead Kamailio. The lab starts another
Kamailio at this address.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from idtone.core.settings.settings import LedgerSettings
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.postgresql import Server
from idtone.registry.trust.tuf_roles import Keys
from lab.ledger.replication.faulty_network import STALL, FaultyNetwork
from lab.registry.trust.association import Association, Machine
from lab.registry.trust.publication_server import serve_https, write_certificate

from .asterisk import EVIDENCE, LOOPBACK, Asterisk, free_ports
from .asterisk_installation import AsteriskInstallation
from .kamailio import Kamailio, KamailioInstallation
from .lab import SUSPENDED
from .postgresql import PostgreSQL, pair
from .sip import Address
from .sipp import Called, called
from .site import BARE
from .supervisor import Supervisor

REGISTRY: Final = Path(__file__).with_name("registry.yaml")
OWN_NUMBERS: Final = "^0312345[67][0-9][0-9]$"
CALLED_NUMBER: Final = "05011112222"
DATABASE: Final = "idtone"
WITNESS_EVERY_S: Final = 5
CLONE: Final = "clone"
TAKEN_OVER_S: Final = 3.6
"""Seconds until keepalived's backup takes the address of a silent master (3 adverts of 1 s, and the skew)."""
DISK: Final = (
    'mkdir -p "$1.disk" && mount -t tmpfs -o size={size}m none "$1.disk" && cp -a "$1/." "$1.disk" && '
    'mount --bind "$1.disk" "$1" && shift && exec "$@"'
)
READY_S: Final = 120.0
"""Maximum time in seconds for the start of a service while all others start."""

_DIALPLAN: Final = """
    #include idtone.conf
    [globals]
    IDTONE_INTERFACE=ari

    ; A carrier calls a number of the member, and the call goes on to another number, by the proxy from which it came.
    [from-lab]
    exten = _[+0-9].,1,Set(LAB_CALL=${{FILTER(0-9A-Za-z,${{PJSIP_HEADER(read,X-Lab-Call)}})}}_{node}_${{UNIQUEID}})
     same = n,Set(LAB_PROXY=${{CHANNEL(pjsip,remote_addr)}})
     same = n,Gosub(idtone-forward,s,1(PJSIP/lab/sip:{called}@${{LAB_PROXY}}\\;lab=${{LAB_CALL}},${{EXTEN}},incoming))
     same = n,Hangup(${{IDTONE_CAUSE}})
"""


@dataclass
class NodeService(Supervisor):
    """The service of one node, run as systemd would run it."""

    certificate: Path = Path()
    """Certificate of the registry's server."""
    disk_mb: int = 0
    """Size of a separate disk for the ledger in MB, or 0 for this machine's disk.

    The separate disk is lost when the process ends.
    """

    def _environment(self) -> dict[str, str]:
        reserve = {"IDTONE_LEDGER_RESERVE": "0"} if self.disk_mb else {}
        return super()._environment() | {"SSL_CERT_FILE": str(self.certificate), **reserve}

    def _command(self) -> list[str]:
        command = super()._command()
        if not self.disk_mb:
            return command
        return ["unshare", "-rm", "sh", "-c", DISK.format(size=self.disk_mb), "sh", str(self.ledger.parent), *command]

    @property
    def seen_ledger(self) -> Path:
        """Path of the ledger as seen from this machine, even if the ledger is on the service's own disk."""
        return Path(f"/proc/{self.pid}/root{self.ledger}") if self.disk_mb else self.ledger


@dataclass
class Node:
    """One PBX with its service. `links` are the networks between the PBX and the two PostgreSQL."""

    name: str
    asterisk: Asterisk
    service: NodeService
    links: tuple[FaultyNetwork, ...]

    def kill_asterisk(self) -> None:
        process = self.asterisk.process
        assert process
        process.kill()
        process.wait()
        self.asterisk.process = None

    def freeze(self) -> None:
        """Stop all processes of the node, as when a virtual machine is paused."""
        self.service.frozen = True
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)
        self.service.frozen = False

    def _pids(self) -> list[int]:
        return [self.service.pid, *([self.asterisk.process.pid] if self.asterisk.process else [])]

    def cut(self) -> None:
        """Drop all data between the node and PostgreSQL. The node gets no error."""
        for link in self.links:
            link.judge = lambda to_server, octets: STALL

    def mend(self) -> None:
        for link in self.links:
            link.judge = lambda to_server, octets: None
            link.cut()

    def metrics(self) -> dict[str, float]:
        """Name of each metric → its sum over all labels, or an empty dict while the service does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.service.metrics}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        found: dict[str, float] = {}
        for name, value in re.findall(r"^(idtone_\w+)(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE):
            found[name] = found.get(name, 0.0) + float(value)
        return found


class EvidenceProgram:
    """A command of `idtone-evidence` that prints a line when it is ready and runs until it is stopped."""

    def __init__(self, log: Path, *arguments: str | Path) -> None:
        self._command = [EVIDENCE, *arguments]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> str:
        """Start the command and return the line that it prints when it is ready.

        Raises RuntimeError with its log if it ends without a line.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        if not line:
            self.stop()
            raise RuntimeError(self._log.read_text())
        return line

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process:
            process.send_signal(number)
            process.wait(60)
            assert process.stdout
            process.stdout.close()


@dataclass
class RegistryServer:
    """The association's publication over HTTPS, which can be stopped and restarted at the same address."""

    association: Association
    certificate: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    _serving: ExitStack | None = None

    @property
    def running(self) -> bool:
        return self._serving is not None

    @property
    def address(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        self._serving = ExitStack()
        self._serving.enter_context(serve_https(self.association.repository, self.certificate, port=self.port))

    def stop(self) -> None:
        serving, self._serving = self._serving, None
        if serving:
            serving.close()

    def suspend(self, *numbers: str) -> None:
        """Publish a list of suspensions with only these numbers, signed by the duty officers."""
        since = "since: 2026-03-01T00:00:00+09:00"
        entries = "".join(
            f"\n  - {{number: '{number}', {since}, reference: R-{place}}}" for place, number in enumerate(numbers, 1)
        )
        issued = datetime.now(UTC).isoformat(timespec="seconds")
        self.association.write(suspensions=f"issued: {issued}\nsuspensions:{entries or ' []'}\n")
        self.association.publish(self.association.signers(Keys.DUTY))


@dataclass(frozen=True)
class SeparateLedger:
    """A ledger that belongs to no node: a clone's, or one that was set aside.

    `name` is part of the ids of its calls.
    """

    name: str
    ledger: Path
    address: Address | None = None
    """Address of its Asterisk, if that is not the Asterisk of a node."""


@dataclass
class Fleet:
    """A running fleet."""

    proxies: list[Kamailio]
    nodes: list[Node]
    primary: PostgreSQL
    standby: PostgreSQL
    registry: RegistryServer
    witnesses: list[EvidenceProgram]
    phones: Called
    apart: list[SeparateLedger] = field(default_factory=list)
    _helpers: list[threading.Timer] = field(default_factory=list)

    def server(self) -> Server:
        """The writable PostgreSQL, as an administrator's machine reaches it."""
        places = ",".join(f"{LOOPBACK}:{each.port}" for each in (self.primary, self.standby))
        return Server.named(_url(places), self.primary.password)

    def take_over(self, proxy: Kamailio) -> None:
        """Start another Kamailio at the address of a dead one, after the delay that keepalived would need."""
        self.later(TAKEN_OVER_S, proxy.start)

    def later(self, after_s: float, action: Callable[[], None]) -> None:
        """Run an action in the background after a delay. `settle` waits for it."""
        timer = threading.Timer(after_s, action)
        self._helpers.append(timer)
        timer.start()

    def settle(self) -> None:
        """Wait until all background actions have ended."""
        while self._helpers:
            self._helpers.pop().join()


def _url(places: str) -> str:
    return f"postgresql://{PostgreSQL.user}@{places}/{DATABASE}?target_session_attrs=read-write"


@contextmanager
def fleet(
    folder: Path,
    asterisk: AsteriskInstallation,
    kamailio: KamailioInstallation,
    postgresql: Path,
    *,
    count: int = 3,
    small_disk: Mapping[str, int] = {},
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Fleet]:
    """Context with a fleet of `count` nodes.

    `small_disk` maps the name of a node to the size in MB of a separate disk for its ledger.
    """
    with ExitStack() as started:
        tell("PostgreSQL and its standby")
        primary, standby = started.enter_context(pair(postgresql))
        primary.execute(f"CREATE DATABASE {DATABASE}")
        registry = _registry(folder / "association")
        registry.start()
        started.callback(registry.stop)
        phones = started.enter_context(called(folder / "called"))
        pbxs = [_pbx(folder, asterisk, f"pbx-{number}") for number in range(1, count + 1)]
        keys = folder / "logs"
        keys.write_text("".join(f"{_log_key(pbx, name)}\n" for name, pbx in pbxs))
        witnesses, lines = [], []
        for number in (1, 2):
            witness = _witness(folder, number, keys)
            lines.append(witness.start())
            started.callback(witness.stop)
            witnesses.append(witness)
        tell(f"{count} × Asterisk {asterisk.version}, idtone")
        nodes = []
        for name, pbx in pbxs:
            started.enter_context(pbx)
            links = tuple(started.enter_context(FaultyNetwork(each.port)) for each in (primary, standby))
            shared = Server.named(_url(",".join(f"{LOOPBACK}:{link.port}" for link in links)), primary.password)
            service = _service(folder, registry, pbx, name, shared, lines, small_disk.get(name, 0))
            nodes.append(Node(name, pbx, service, links))
        for node in nodes:
            started.callback(node.service.stop)
        _all_at_once([partial(node.service.start, timeout_s=READY_S) for node in nodes])
        tell(f"2 × Kamailio {kamailio.version}")
        addresses = [node.asterisk.sip_address for node in nodes]
        proxies = [
            Kamailio(kamailio, folder / f"sip-{number}", addresses, [(LOOPBACK, phones.port)], OWN_NUMBERS)
            for number in (1, 2)
        ]
        for proxy in proxies:
            proxy.start()
            started.callback(proxy.stop)
        running = Fleet(proxies, nodes, primary, standby, registry, witnesses, phones)
        started.callback(running.settle)
        yield running


def _registry(folder: Path) -> RegistryServer:
    association = Association(folder)
    association.write(REGISTRY.read_text().partition("\nsuspensions:")[0])
    association.begin()
    certificate = folder.with_name("registry.pem")
    write_certificate(certificate)
    served = RegistryServer(association, certificate)
    served.suspend(SUSPENDED)
    return served


def clone(fleet: Fleet, of: Node, folder: Path, asterisk: AsteriskInstallation) -> Node:
    """A running node with the name, keys and ledger of the node `of`, like a copied virtual machine."""
    _, pbx = _pbx(folder, asterisk, CLONE)
    there = pbx.scratch / "ledger"
    copy_ledger(of.service.ledger, there)
    for path in of.service.ledger.parent.glob("ledger.key*"):
        shutil.copy(path, there)
    service = dataclasses.replace(of.service, asterisk=pbx, metrics=f"{LOOPBACK}:{free_ports(1)[0]}")
    pbx.start()
    service.start(timeout_s=READY_S)
    return Node(CLONE, pbx, service, ())


def copy_ledger(ledger: Path, folder: Path) -> Path:
    """Copy a ledger that is in use, and return the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / ledger.name
    with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(copy)) as sink:
        source.backup(sink)
    return copy


def _pbx(folder: Path, installation: AsteriskInstallation, name: str) -> tuple[str, Asterisk]:
    dialplan = _DIALPLAN.format(node=name, called=CALLED_NUMBER)
    return name, Asterisk(installation, folder / name, {"extensions.conf": dialplan}, site=BARE)


def _log_key(pbx: Asterisk, name: str) -> str:
    """The verifier key of the node's log, which is created if necessary."""
    ledger = pbx.scratch / "ledger"
    settings = LedgerSettings(spool=ledger / "ledger.sqlite3", key_file=ledger / "ledger.key")
    return str(KeyRing.of(settings, name).signer.key)


def _witness(folder: Path, number: int, logs: Path) -> EvidenceProgram:
    name = f"witness-{number}"
    state = folder / name
    return EvidenceProgram(
        folder / f"{name}.log",
        "witness",
        "--name",
        f"{name}.example/1",
        "--state",
        state,
        "--logs",
        logs,
        "--listen",
        f"{LOOPBACK}:{free_ports(1)[0]}",
    )


def _service(
    folder: Path,
    registry: RegistryServer,
    pbx: Asterisk,
    name: str,
    shared: Server,
    witnesses: Sequence[str],
    disk_mb: int,
) -> NodeService:
    member = Machine(registry.association, folder / f"{name}-member")
    return NodeService(
        pbx,
        Path(member.source),
        trust=str(member.trust),
        address=registry.address,
        shared=shared,
        node=name,
        metrics=f"{LOOPBACK}:{free_ports(1)[0]}",
        witnessing=f"witnesses: {[*witnesses]}, witness_every: PT{WITNESS_EVERY_S}S",
        certificate=registry.certificate,
        disk_mb=disk_mb,
    )


def _all_at_once(actions: Sequence[Callable[[], None]]) -> None:
    """Run all actions in parallel. After all have ended, raises the first error."""
    errors: list[BaseException] = []

    def attempt(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def wait_until(condition: Callable[[], object], what: str, within_s: float) -> float:
    """Wait until a condition is true, and return the number of seconds that it took. Raises TimeoutError."""
    began_s = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return time.monotonic() - began_s
        if time.monotonic() > began_s + within_s:
            raise TimeoutError(f"waited {within_s:g} s for {what}")
        time.sleep(0.05)
