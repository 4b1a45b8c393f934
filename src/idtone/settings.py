"""The settings in `idtone.yaml`.

Environment variables named after a key override the file (`IDTONE_ARI_URL` is `ari.url`).
Secrets come from a file or the environment, and have no default.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import ipaddress
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from .calls import Direction, Party
from .decision import CALL_REJECTED, Chain, LedgerFull, Policy, Unlicensed
from .documents import Model, read_text, read_tree, validate
from .errors import DocumentError, Fault, NumberError
from .logs import LogFormat
from .numbers import parse_pattern
from .translation import Message

DEFAULT_FILE = Path("/etc/idtone/idtone.yaml")
PREFIX = "IDTONE_"
PASSPHRASE: Final = "IDTONE_PASSPHRASE"  # noqa: S105  the name of a variable
"""The environment variable with a passphrase, so that a command does not ask for it. A command line would show it."""
CONFIG: Final = "IDTONE_CONFIG"
"""The environment variable for the option --config."""
_NO_SETTINGS: Final = (CONFIG, PASSPHRASE)


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError(Message("is not an HTTP address"), Message("Write it like http://127.0.0.1:8088/ari"))
    return value.rstrip("/")


class AriSettings(Model):
    """The address and the user of Asterisk's REST interface."""

    url: Annotated[str, AfterValidator(_http_url)] = "http://127.0.0.1:8088/ari"
    user: str = "idtone"
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    transport: Literal["auto", "websocket", "http"] = "auto"

    def secret(self) -> str:
        """The password. Raises DocumentError if none is set, or if its file cannot be read."""
        if self.password is not None:
            return self.password
        if self.password_file is None:
            raise DocumentError(
                [
                    Fault(
                        "settings",
                        0,
                        0,
                        "ari.password_file",
                        Message("is not set"),
                        Message("Name a file with the ARI user's password, or set IDTONE_ARI_PASSWORD"),
                    )
                ]
            )
        return read_text(self.password_file, size_limit=4096).strip()


_PORT = re.compile(r"(?P<host>[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def _listen_address(value: str) -> str:
    """Allow only addresses that other machines cannot reach: a request carries its secret in clear."""
    remedy = Message("Write it like 127.0.0.1:4573, or unix:/run/idtone/agi.sock")
    if value.startswith("unix:"):
        # The kernel allows 107 bytes. The socket has a longer, temporary name until it is ready.
        if not value.startswith("unix:/") or len(os.fsencode(value)) > 90 or "\0" in value:
            raise ValueError(Message("is not the absolute path of a socket, or is too long"), remedy)
        return value
    if not _ip_address(value, remedy).is_loopback:
        raise ValueError(Message("is not a loopback address, and AGI is not encrypted; use ARI over https"), remedy)
    return value


def _ip_address(value: str, remedy: Message) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of an IP address and a port. Raises ValueError."""
    found = _PORT.fullmatch(value)
    try:
        address = ipaddress.ip_address(found["host"].strip("[]")) if found else None
    except ValueError:
        address = None
    if found is None or address is None or not 0 < int(found["port"]) < 65536:
        raise ValueError(Message("is not an IP address and a port"), remedy)
    return address


def _split_port(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


class AgiSettings(Model):
    """Where the service listens for requests over FastAGI."""

    listen: Annotated[str, AfterValidator(_listen_address)] = "127.0.0.1:4573"

    def address(self) -> Path | tuple[str, int]:
        """The path of a Unix socket, or an IP address and a port."""
        if self.listen.startswith("unix:"):
            return Path(self.listen.removeprefix("unix:"))
        return _split_port(self.listen)


class Interface(StrEnum):
    """The interface by which the hook reaches the service: ARI or AGI."""

    ARI = "ari"
    AGI = "agi"


class SoundsSettings(Model):
    """The folder of the sound files, and the folder of the operator's own profiles."""

    directory: Path = Path("/var/lib/asterisk/sounds/idtone")
    profiles: Path | None = None


def _source(value: str) -> str:
    if "://" in value and not value.startswith("https://"):
        raise ValueError(Message("is neither a path nor an address that begins with https://"))
    return value.rstrip("/") or "/"


UNSIGNED: Final = "unsigned"
"""The value of `trust` for an unsigned registry: anyone who can write the file can change it."""


class JournalSettings(Model):
    """The folder in which Asterisk writes the journal."""

    directory: Path | None = None


class RegistrySettings(Model):
    """Where the registry is, and how it is verified."""

    source: Annotated[str, AfterValidator(_source)] = "/etc/idtone/registry"
    trust: str | None = None
    cache: Path = Path("/var/lib/idtone/registry")
    poll: Annotated[timedelta, Field(ge=timedelta(milliseconds=100), le=timedelta(days=1))] = timedelta(seconds=1)

    def root(self) -> Path | None:
        """The file with the association's root; None if the registry is unsigned.

        Raises DocumentError if `trust` is not set: an unsigned registry needs the word `unsigned`.
        """
        if self.trust is None:
            raise DocumentError(
                [
                    Fault(
                        "settings", 0, 0, "registry.trust", Message("is not set"),
                        Message("Name the file with the association's root, or write unsigned for a lab of your own"),
                    )
                ]
            )  # fmt: skip
        return None if self.trust == UNSIGNED else Path(self.trust)

    def file(self) -> Path:
        """The unsigned file."""
        return Path(self.source)


def _patterns(value: object) -> object:
    """A list, or a text with commas between its entries, as in an environment variable."""
    return [entry.strip() for entry in value.split(",") if entry.strip()] if isinstance(value, str) else value


def _witness(value: str) -> str:
    url, _, key = value.partition(" ")
    if not url.startswith(("https://", "http://")) or key.strip().count("+") < 2 or " " in key.strip():
        raise ValueError(
            Message("is not an address with a verifier key"),
            Message("Write it like https://witness.example NAME+ID+BASE64"),
        )
    return f"{url.rstrip('/')} {key.strip()}"


def _log_name(value: str) -> str:
    if re.search(r"[\s+]", value):
        raise ValueError(Message("has a space or a '+' in it"), Message("Write it like pbx-1.example/idtone"))
    return value


class Exports(StrEnum):
    """How many persons an export of evidence takes."""

    ONE_PERSON = "one-person"
    TWO_PERSONS = "two-persons"
    """One person requests it, another approves it."""


_UNITS: Final = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(|[kMG]B|[KMG]iB)")


def _octets(value: object) -> object:
    found = _SIZE.fullmatch(str(value))
    if not found:
        raise ValueError(Message("is not a size"), Message("Write it like 64MB, or 0 for none"))
    return int(found[1]) * _UNITS[found[2]]


class LedgerSettings(Model):
    url: str = "sqlite:////var/lib/idtone/ledger.sqlite3"
    """This node's file, or the PostgreSQL that several nodes share."""
    spool: Path = Path("/var/lib/idtone/ledger.sqlite3")
    """This node's file if `url` names PostgreSQL."""
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    key_file: Path = Path("/var/lib/idtone/ledger.key")
    reserve: Annotated[int, BeforeValidator(_octets), Field(ge=0, le=2**40)] = 64 * 10**6
    """Bytes that are kept free for evidence on the ledger's disk."""

    retention: Annotated[timedelta, Field(ge=timedelta(days=1))] | None = None
    """How long numbers can be opened; None means for ever."""
    exports: Exports = Exports.ONE_PERSON
    approval: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=365))] = timedelta(days=7)
    """How long a request waits for an approval, and how long an approval counts."""
    legal_bases: Path | None = None
    """What each legal basis of an export needs; None means `config/legal_bases.yaml`."""
    origin: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_log_name)] | None = None
    seen_file: Path | None = None
    witnesses: Annotated[tuple[Annotated[str, AfterValidator(_witness)], ...], BeforeValidator(_patterns)] = ()
    """Each entry: address, space, verifier key of the witness."""
    witness_every: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=1)

    def is_shared(self) -> bool:
        """Whether the ledgers of several nodes are replicated into PostgreSQL."""
        return self.url.partition(":")[0].partition("+")[0] == "postgresql"

    def own(self) -> str:
        """The address of the file that this node writes. PostgreSQL has its replica."""
        return f"sqlite:///{self.spool}" if self.is_shared() else self.url

    def secret(self) -> str | None:
        """PostgreSQL's password; None leaves it to libpq. Raises DocumentError if its file cannot be read."""
        if self.password is not None or self.password_file is None:
            return self.password
        return read_text(self.password_file, size_limit=4096).strip()

    def log_origin(self, node: str) -> str:
        """The origin in the checkpoints (C2SP): the unique name of this node's tree."""
        return self.origin or re.sub(r"[\s+]+", "-", f"{node}/idtone")

    def signing_key(self) -> Path:
        """The file of the key that signs the checkpoints."""
        return self.key_file.with_name(f"{self.key_file.name}.sign")

    def seen(self) -> Path:
        """The file with the last signed checkpoint."""
        return self.seen_file or self.key_file.with_name(f"{self.key_file.name}.seen")

    def cosigned(self) -> Path:
        """The file with the last checkpoint that witnesses cosigned."""
        return self.key_file.with_name(f"{self.key_file.name}.cosigned")

    def continued(self) -> Path:
        """The file with the names of the trees that followed the first one after its database was damaged."""
        return self.key_file.with_name(f"{self.key_file.name}.continued")

    def day_keys(self) -> Path:
        """The file of the day keys, which the key in `key_file` encrypts."""
        return self.key_file.with_name(f"{self.key_file.name}.days")


class HeardBy(StrEnum):
    """Who hears the sound."""

    CALLED = "called"
    CALLER = "caller"
    BOTH = "both"

    @property
    def parties(self) -> frozenset[Party]:
        return frozenset(Party) if self is HeardBy.BOTH else frozenset({Party(self.value)})


class CallerHears(StrEnum):
    """How the caller hears a sound before the parties are connected."""

    EARLY_MEDIA = "early-media"
    """Like the ring-back tone: the caller's call is answered when the parties are connected."""
    ANSWERED = "answered"
    """The caller's call is answered first, for networks that block early media."""


class NotifySettings(Model):
    """Who hears the sound, for each direction."""

    incoming: HeardBy = HeardBy.CALLED
    outgoing: HeardBy = HeardBy.CALLED


class PartyTones(Model):
    """Which licensed sound each party hears; None means the sound of the member's best licence."""

    called: str | None = None
    caller: str | None = None


class ToneSettings(Model):
    incoming: PartyTones = PartyTones()
    outgoing: PartyTones = PartyTones()


def _pattern(value: str) -> str:
    try:
        parse_pattern(value)
    except NumberError as error:
        raise ValueError(str(error)) from error
    return value


class Overload(StrEnum):
    """What happens to a call while `policy.waiting` calls wait for a verdict."""

    SHED = "shed"
    """The hook turns it away at once, so that the network can try another route, or again later."""
    FALLBACK = "fallback"
    """The hook falls back, as if the service were down."""


class SuspendedCalls(StrEnum):
    """What happens to calls in progress when their number is suspended."""

    HANG_UP = "hang-up"
    LET_END = "let-end"


class PolicySettings(Model):
    unlicensed: Unlicensed = Unlicensed.NOTICE
    fallback: Unlicensed = Unlicensed.NOTICE
    """The fallback: what a call without a verdict gets while the service is down."""
    ledger_full: LedgerFull = LedgerFull.NOTICE_AND_CONNECT
    waiting: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many calls may wait for a verdict at once."""
    overload: Overload = Overload.SHED
    suspended_calls: SuspendedCalls = SuspendedCalls.HANG_UP
    refuse_cause: Annotated[int, Field(ge=1, le=127)] = CALL_REJECTED
    registry_stale: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(0)
    notify: NotifySettings = NotifySettings()
    tones: ToneSettings = ToneSettings()
    caller_hears: CallerHears = CallerHears.EARLY_MEDIA
    chain: Chain = Chain.ONCE
    unchecked_chain: Unlicensed = Unlicensed.NOTICE
    chain_check: Annotated[timedelta, Field(gt=timedelta(0))] | None = None
    silent: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(_patterns)] = Field(
        default=(), repr=False
    )

    def policy(self) -> Policy:
        hearing = {direction: HeardBy(getattr(self.notify, direction)) for direction in Direction}
        tones = {
            (direction, party): getattr(getattr(self.tones, direction), party)
            for direction in Direction
            for party in Party
        }
        return Policy(
            unlicensed=self.unlicensed,
            ledger_full=self.ledger_full,
            refuse_cause=self.refuse_cause,
            registry_stale=self.registry_stale,
            notify={direction: one.parties for direction, one in hearing.items()},
            tones={place: tone for place, tone in tones.items() if tone},
            chain=self.chain,
            unchecked_chain=self.unchecked_chain,
            chain_check=self.chain_check,
            silent=tuple(map(parse_pattern, self.silent)),
        )


def _metrics_address(value: str) -> str:
    _ip_address(value, Message("Write it like 127.0.0.1:9573, or null for no metrics"))
    return value


class MetricsSettings(Model):
    """Where the service listens for requests of Prometheus."""

    listen: Annotated[str, AfterValidator(_metrics_address)] | None = None

    def address(self) -> tuple[str, int] | None:
        """An IP address and a port; None if there are no metrics."""
        return _split_port(self.listen) if self.listen else None


def _desk_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise ValueError(
            Message("is not an address that begins with https://"), Message("Write it like https://desk.example")
        )
    return value.rstrip("/")


class AssociationSettings(Model):
    """This operator as a member of the association."""

    member: str | None = None
    """Its id in the registry."""
    desk: Annotated[str, AfterValidator(_desk_url)] | None = None
    """The address of the association's desk."""


class CustomersSettings(Model):
    """Where the customers' forms are kept, sealed, and by which rules they are checked."""

    directory: Path = Path("/var/lib/idtone/customers")
    rules: Path | None = None
    """None: the rules that are shipped."""

    def key_file(self) -> Path:
        """The key that seals the records."""
        return self.directory / "root.key"


class SignInBy(StrEnum):
    """How persons sign in to the console."""

    PASSWORD = "password"  # noqa: S105 — the name of a way
    PROXY = "proxy"
    OPENID = "openid"


def _console_address(value: str) -> str:
    remedy = Message("Write it like 127.0.0.1:8720, or unix:/run/idtone/console.sock")
    if value.startswith("unix:"):
        return _listen_address(value)
    if not _ip_address(value, remedy).is_loopback:
        raise ValueError(Message("is not a loopback address; put a proxy with TLS before the console"), remedy)
    return value


class ConsoleSettings(Model):
    """Where the console listens, and who may use it."""

    listen: Annotated[str, AfterValidator(_console_address)] = "127.0.0.1:8720"
    address: Annotated[str, AfterValidator(_http_url)] | None = None
    """The address in the browser, if a proxy is before the console."""
    users: Path = Path("/var/lib/idtone/console-users.yaml")
    sign_in: SignInBy = SignInBy.PASSWORD
    proxy_header: str = "X-Remote-User"
    """The header in which the proxy names the user."""
    office: Path | None = None
    """The association's folder."""

    def socket(self) -> Path | tuple[str, int]:
        """The path of a Unix socket, or an IP address and a port."""
        if self.listen.startswith("unix:"):
            return Path(self.listen.removeprefix("unix:"))
        return _split_port(self.listen)


class LogSettings(Model):
    format: LogFormat = LogFormat.TEXT
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Model):
    node: str = Field(default_factory=platform.node)
    """This PBX's name in the evidence."""
    interface: Interface = Interface.ARI
    ari: AriSettings = AriSettings()
    agi: AgiSettings = AgiSettings()
    sounds: SoundsSettings = SoundsSettings()
    journal: JournalSettings = JournalSettings()
    registry: RegistrySettings = RegistrySettings()
    ledger: LedgerSettings = LedgerSettings()
    policy: PolicySettings = PolicySettings()
    association: AssociationSettings = AssociationSettings()
    customers: CustomersSettings = CustomersSettings()
    metrics: MetricsSettings = MetricsSettings()
    console: ConsoleSettings = ConsoleSettings()
    log: LogSettings = LogSettings()

    def journal_directory(self) -> Path:
        """The folder of the journal; Asterisk and the service use the same path."""
        return self.journal.directory or self.sounds.directory / "journal"

    def agi_secret(self) -> str:
        """The secret in each of the hook's requests over AGI on TCP. Empty for ARI, and for a Unix socket: there the
        kernel names the peer.

        It is derived from the ARI password, so that the operator has only one secret. Raises DocumentError if the
        password cannot be read.
        """
        if self.interface is not Interface.AGI or isinstance(self.agi.address(), Path):
            return ""
        return hmac.new(self.ari.secret().encode(), b"idtone AGI", hashlib.sha256).hexdigest()[:32]


def load_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. `path` None means the default file if it exists, else the defaults.

    Raises DocumentError with all faults, also those of environment variables and of unknown ones.
    """
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    text, name = (read_text(path), str(path)) if path else ("", "settings")
    tree = read_tree(text, name)
    settings = validate(tree, text, name, Settings)
    overrides = _overrides(environment)
    if not overrides:
        return settings
    tree = dict(tree or {})
    for location, value in overrides.items():
        _put(tree, location, value)
    try:
        return validate(tree, text, name, Settings)
    except DocumentError as error:
        # The file was valid without the variables, so these faults come from the environment.
        raise DocumentError(
            Fault("environment", 0, 0, variable_name(tuple(f.field.split("."))), f.problem, f.remedy)
            for f in error.faults
        ) from error


def variable_name(location: tuple[str, ...]) -> str:
    """`("ari", "url")` → `IDTONE_ARI_URL`."""
    return PREFIX + "_".join(location).upper()


def locations(model: type[BaseModel] = Settings, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All keys of the settings, each as its path."""
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += locations(inner, (*prefix, name))
        else:
            found.append((*prefix, name))
    return found


def _overrides(environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """The values from the environment. Raises DocumentError for unknown variables with our prefix."""
    names = {variable_name(location): location for location in locations()}
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX) and name not in _NO_SETTINGS}
    if unknown := ours.keys() - names.keys():
        raise DocumentError(_unknown(name, [*names, *_NO_SETTINGS]) for name in unknown)
    return {names[name]: value for name, value in ours.items()}


def _unknown(name: str, known: Sequence[str]) -> Fault:
    near = difflib.get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], 1)
    if near:
        remedy = Message("Did you mean {name}", name=f"{PREFIX}{near[0]}")
    else:
        remedy = Message("Remove it; IDTONE_ARI_URL is the setting ari.url")
    return Fault("environment", 0, 0, name, Message("is not a variable that idtone knows"), remedy)


def _put(tree: dict[str, Any], location: tuple[str, ...], value: str) -> None:
    for step in location[:-1]:
        tree[step] = dict(tree.get(step) or {})
        tree = tree[step]
    tree[location[-1]] = value
