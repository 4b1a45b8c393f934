"""Settings from `idtone.yaml` and from the files in `idtone.d` next to it.

Files in `idtone.d` override `idtone.yaml`, and environment variables override all files (`IDTONE_ARI_URL` sets
`ari.url`). The shared settings of a fleet have the lowest priority (`shared_settings`). Secrets have no default; they
come from a file or the environment.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import os
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, PrivateAttr

from ..errors import DocumentError, Fault
from ..log_output import LogFormat
from ..translation import Message
from ..yaml_documents import Model, read_text, read_tree, validate
from .backup import BackupSettings
from .brake import BrakeSettings
from .canary import CanarySettings
from .console import ConsoleSettings
from .customer_lines import LinesSettings
from .fleet import FleetSettings
from .policy import PolicySettings
from .values import (
    COMMA_LIST,
    AgiAddress,
    DeskUrl,
    HttpUrl,
    LogName,
    MetricsAddress,
    Octets,
    PostgreSQLUrl,
    RegistrySource,
    TimestampUrl,
    TokenKeyText,
    WitnessLine,
    split_port,
)

DEFAULT_FILE = Path("/etc/idtone/idtone.yaml")
PREFIX = "IDTONE_"
PASSPHRASE: Final = "IDTONE_PASSPHRASE"  # noqa: S105  the name of a variable
"""The environment variable with a passphrase, so that a command does not ask for it. On a command line, other users
could see it.
"""
CONFIG: Final = "IDTONE_CONFIG"
"""The environment variable for the option --config."""
MAIL_TO: Final = "IDTONE_MAIL_TO"
"""The environment variable with the recipient of emails about failures."""
_NO_SETTINGS: Final = (CONFIG, PASSPHRASE, MAIL_TO)


class AriSettings(Model):
    """Address and account of Asterisk's REST interface (ARI)."""

    url: HttpUrl = "http://127.0.0.1:8088/ari"
    user: str = "idtone"
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    transport: Literal["auto", "websocket", "http"] = "auto"

    def secret(self) -> str:
        """The ARI password. Raises DocumentError if no password is set or its file cannot be read."""
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


class AgiSettings(Model):
    """Address on which the service accepts FastAGI connections."""

    listen: AgiAddress = "127.0.0.1:4573"

    def address(self) -> Path | tuple[str, int]:
        """Path of the Unix socket, or IP address and port."""
        if self.listen.startswith("unix:"):
            return Path(self.listen.removeprefix("unix:"))
        return split_port(self.listen)


class Interface(StrEnum):
    """Interface that the hook uses to reach the service."""

    ARI = "ari"
    AGI = "agi"


class SoundsSettings(Model):
    """Folders of the sound files and of the operator's own tone profiles."""

    directory: Path = Path("/var/lib/asterisk/sounds/idtone")
    profiles: Path | None = None


UNSIGNED: Final = "unsigned"
"""The value of `trust` for an unsigned registry, which anyone who can write its file can change."""


class JournalSettings(Model):
    """Folder in which Asterisk writes the journal."""

    directory: Path | None = None


class RegistrySettings(Model):
    """Source of the registry and the key that verifies it."""

    source: RegistrySource = "/etc/idtone/registry"
    trust: str | None = None
    cache: Path = Path("/var/lib/idtone/registry")
    poll: Annotated[timedelta, Field(ge=timedelta(milliseconds=100), le=timedelta(days=1))] = timedelta(seconds=1)

    def root_file(self) -> Path | None:
        """File of the association's root metadata, or None for an unsigned registry.

        Raises DocumentError if `trust` is not set. An unsigned registry requires the value `unsigned`.
        """
        if self.trust is None:
            raise DocumentError(
                [
                    Fault(
                        "settings",
                        0,
                        0,
                        "registry.trust",
                        Message("is not set"),
                        Message("Name the file with the association's root, or write unsigned for a lab of your own"),
                    )
                ]
            )
        return None if self.trust == UNSIGNED else Path(self.trust)

    def file(self) -> Path:
        """Path of an unsigned registry file."""
        return Path(self.source)


class Exports(StrEnum):
    """Number of people needed to export evidence."""

    ONE_PERSON = "one-person"
    TWO_PERSONS = "two-persons"
    """One person requests it, and another approves it."""


class TimestampSettings(Model):
    """Settings for a time-stamping authority (RFC 3161) that stamps the log's checkpoints."""

    url: TimestampUrl | None = None
    every: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=31))] = timedelta(hours=1)
    root: Path | None = None
    """The authority's root certificates (PEM). They verify each reply before it is stored."""
    user: str | None = None
    password_file: Path | None = None

    def secret(self) -> str:
        """Password for `user`; empty without a password file. Raises DocumentError if the file cannot be read."""
        return read_text(self.password_file, size_limit=4096).strip() if self.password_file else ""


class TokenSettings(Model):
    """Settings for a PKCS#11 token that holds the log's key instead of a key file."""

    library: Path | None = None
    """The token's PKCS#11 library."""
    key: TokenKeyText | None = None
    """The key in the token; None if the key is in a file."""
    pin_file: Path | None = None

    def pin(self) -> str:
        """PIN of the token; empty without a PIN file. Raises DocumentError if the file cannot be read."""
        return read_text(self.pin_file, size_limit=4096).strip() if self.pin_file else ""


class LedgerSettings(Model):
    url: str = "sqlite:////var/lib/idtone/ledger.sqlite3"
    """The address of this node's file or of the PostgreSQL that several nodes share."""
    others: Annotated[tuple[PostgreSQLUrl, ...], COMMA_LIST] = ()
    """Other PostgreSQL servers with replicas of this fleet, which are only read. They may include `url`."""
    spool: Path = Path("/var/lib/idtone/ledger.sqlite3")
    """The address of this node's file if `url` names PostgreSQL."""
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    key_file: Path = Path("/var/lib/idtone/ledger.key")
    reserve: Annotated[Octets, Field(ge=0, le=2**40)] = 64 * 10**6
    """Bytes to keep free on the ledger's disk for evidence."""

    retention: Annotated[timedelta, Field(ge=timedelta(days=1))] | None = None
    """How long numbers can be opened; None means forever."""
    exports: Exports = Exports.ONE_PERSON
    approval: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=365))] = timedelta(days=7)
    """How long a request waits for an approval, and how long an approval remains valid."""
    legal_bases: Path | None = None
    """The file with the requirements for each legal basis of an export; None means `config/legal_bases.yaml`."""
    origin: LogName | None = None
    seen_file: Path | None = None
    witnesses: Annotated[tuple[WitnessLine, ...], COMMA_LIST] = ()
    witness_every: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=1)
    timestamp: TimestampSettings = TimestampSettings()
    token: TokenSettings = TokenSettings()

    def is_shared(self) -> bool:
        """True if the ledger is replicated to PostgreSQL."""
        return self.url.partition(":")[0].partition("+")[0] == "postgresql"

    def own_url(self) -> str:
        """URL of the SQLite file that this node writes. PostgreSQL contains only a replica."""
        return f"sqlite:///{self.spool}" if self.is_shared() else self.url

    def secret(self) -> str | None:
        """Password for PostgreSQL; None leaves the choice to libpq. Raises DocumentError if the file cannot be read."""
        if self.password is not None or self.password_file is None:
            return self.password
        return read_text(self.password_file, size_limit=4096).strip()

    def log_origin(self, node: str) -> str:
        """Origin line of this node's checkpoints (C2SP), which is its log's unique name."""
        return self.origin or re.sub(r"[\s+]+", "-", f"{node}/idtone")

    def token_public(self) -> Path:
        """File with the public half of the key in the token."""
        return self.key_file.with_name(f"{self.key_file.name}.token")

    def checkpoint_file(self) -> Path:
        """File with the last signed checkpoint."""
        return self.seen_file or self.key_file.with_name(f"{self.key_file.name}.seen")

    def cosigned_file(self) -> Path:
        """File with the last checkpoint that witnesses have cosigned."""
        return self.key_file.with_name(f"{self.key_file.name}.cosigned")

    def stamps(self) -> Path:
        """Folder of the checkpoints that a time-stamping authority has stamped."""
        return self.key_file.with_name(f"{self.key_file.name}.stamps")

    def successors_file(self) -> Path:
        """File with the names of the logs that replaced a damaged one."""
        return self.key_file.with_name(f"{self.key_file.name}.continued")

    def day_keys(self) -> Path:
        """File with the encrypted day keys. The key in `key_file` decrypts them."""
        return self.key_file.with_name(f"{self.key_file.name}.days")


class MetricsSettings(Model):
    """Address on which the service serves metrics to Prometheus."""

    listen: MetricsAddress | None = None

    def address(self) -> tuple[str, int] | None:
        """IP address and port for Prometheus; None if metrics are off."""
        return split_port(self.listen) if self.listen else None


class AssociationSettings(Model):
    """The operator's membership in the association."""

    member: str | None = None
    """The member's id in the registry."""
    desk: DeskUrl | None = None
    """The address of the association's desk."""


class CustomersSettings(Model):
    """Folder of the sealed customer forms and the rules that they are checked against."""

    directory: Path = Path("/var/lib/idtone/customers")
    rules: Path | None = None
    """The file with the rules; None means the shipped rules."""

    def key_file(self) -> Path:
        """File with the key that seals the customer forms."""
        return self.directory / "root.key"


class LogSettings(Model):
    format: LogFormat = LogFormat.TEXT
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Model):
    node: str = Field(default_factory=platform.node)
    """The name of this PBX in the evidence. By default, it is the name in the ledger; without one, the host name."""
    interface: Interface = Interface.ARI
    ari: AriSettings = AriSettings()
    agi: AgiSettings = AgiSettings()
    sounds: SoundsSettings = SoundsSettings()
    journal: JournalSettings = JournalSettings()
    registry: RegistrySettings = RegistrySettings()
    ledger: LedgerSettings = LedgerSettings()
    policy: PolicySettings = PolicySettings()
    brake: BrakeSettings = BrakeSettings()
    association: AssociationSettings = AssociationSettings()
    fleet: FleetSettings = FleetSettings()
    customers: CustomersSettings = CustomersSettings()
    lines: LinesSettings = LinesSettings()
    canary: CanarySettings = CanarySettings()
    backup: BackupSettings = BackupSettings()
    metrics: MetricsSettings = MetricsSettings()
    console: ConsoleSettings = ConsoleSettings()
    log: LogSettings = LogSettings()
    _shared: SharedSettings | None = PrivateAttr(None)

    @property
    def shared(self) -> SharedSettings | None:
        """Shared settings of the fleet, or None if this node has only its own settings."""
        return self._shared

    def overriding(self, shared: SharedSettings) -> Settings:
        """Copy of the settings, linked to the shared settings that they override."""
        over = self.model_copy()
        over._shared = shared
        return over

    def named(self, node: str) -> Settings:
        """Copy of the settings with another node name."""
        return self.model_copy(update={"node": node})

    def journal_directory(self) -> Path:
        """Folder of the journal. Asterisk and the service use the same path."""
        return self.journal.directory or self.sounds.directory / "journal"

    def canary_directory(self) -> Path:
        """Folder of the canary's recordings. Asterisk and the service use the same path."""
        return self.sounds.directory / "canary"

    def agi_secret(self) -> str:
        """Secret that the hook sends with each AGI request over TCP.

        The secret is derived from the ARI password. It is empty for ARI and for a Unix socket, where the kernel
        identifies the peer. Raises DocumentError if the password cannot be read.
        """
        if self.interface is not Interface.AGI or isinstance(self.agi.address(), Path):
            return ""
        return hmac.new(self.ari.secret().encode(), b"idtone AGI", hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """Verified settings of a fleet. `settings` combines the defaults with the values in the file."""

    file: Path
    version: int
    signed: datetime
    sha256: str
    """The digest of the text, in hexadecimal digits."""
    settings: Settings = field(repr=False)
    tree: Mapping[str, Any] = field(repr=False)


def load_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Load the settings. If `path` is None, reads the default file if it exists.

    Raises DocumentError with all faults of the first source that has any: a file, the environment, or the shared
    settings.
    """
    settings, tree = _own_settings(path, environment)
    if settings.fleet.settings is not None:
        # It imports cryptography, which a node with only settings of its own does not need.
        from .shared_settings import merged_with_shared

        settings = merged_with_shared(settings, tree)
    if settings.ledger.others and not settings.ledger.is_shared():
        from .unused_setting import refuse_unused

        refuse_unused(("ledger", "others"), settings, path, environment)
    if "node" not in settings.model_fields_set and (node := node_of_ledger(settings.ledger)):
        return settings.named(node)
    return settings


def node_of_ledger(ledger: LedgerSettings) -> str | None:
    """Name of the node in its signed ledger, or None if no signed ledger can be read.

    A machine with a new host name therefore continues its evidence under the old name.
    """
    path = ledger.own_url().partition("sqlite:///")[2]
    if not path or not os.path.exists(path):
        return None
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            row = connection.execute(
                "SELECT node, (SELECT value FROM meta WHERE key = 'checkpoint') FROM steps ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except sqlite3.Error:
        return None  # the code that uses the ledger reports its fault
    if row is None or not all(isinstance(each, str) for each in row):
        return None
    node, checkpoint = row
    signed = re.fullmatch(rf"{re.escape(ledger.log_origin(node))}(\.[0-9]+)?", checkpoint.partition("\n")[0])
    return str(node) if signed else None


def _own_settings(path: Path | None, environment: Mapping[str, str]) -> tuple[Settings, dict[str, Any]]:
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    files = [(read_text(each), str(each)) for each in settings_files(path)] if path else []
    text, name = files[0] if files else ("", "settings")
    tree = read_tree(text, name)
    settings = validate(tree, text, name, Settings)
    tree = dict(tree or {})
    for above, its_name in files[1:]:
        laid = read_tree(above, its_name)
        validate(laid, above, its_name, Settings)
        tree = merge_trees(tree, laid or {})
    if files[1:]:
        settings = validate(tree, text, name, Settings)
    overrides = _overrides(environment)
    if not overrides:
        return settings, tree
    for location, value in overrides.items():
        _put(tree, location, value)
    try:
        return validate(tree, text, name, Settings), tree
    except DocumentError as error:
        # The file was valid without the variables, so these faults come from the environment.
        raise DocumentError(
            Fault("environment", 0, 0, variable_name(tuple(f.field.split("."))), f.problem, f.remedy)
            for f in error.faults
        ) from error


def settings_folder(path: Path) -> Path:
    """Folder of the files that override the settings file: `idtone.d` next to `idtone.yaml`."""
    return path.with_suffix(".d")


def settings_files(path: Path) -> list[Path]:
    """The settings file and the files that override it, lowest priority first.

    Hidden files are left out, because editors and tools put temporary files there. Raises DocumentError if this user
    cannot read the folder, or if a file's name ends with `.yml`: the service must not run without the node's own
    settings.
    """
    folder = settings_folder(path)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        problem = Message("cannot be read: {reason}", reason=error.strerror or type(error).__name__)
        raise DocumentError(
            [Fault(str(folder), 0, 0, "", problem, Message("Check the path and its permissions"))]
        ) from error
    shown = sorted(name for name in names if name[0] != ".")
    if unread := [folder / name for name in shown if name.endswith(".yml")]:
        problem = Message("is not read, because its name does not end with .yaml")
        raise DocumentError(
            Fault(str(file), 0, 0, "", problem, Message("Rename it to {name}", name=file.with_suffix(".yaml").name))
            for file in unread
        )
    return [path, *(folder / name for name in shown if name.endswith(".yaml"))]


def merge_trees(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two settings trees. Values in `above` take precedence, and lists are not merged."""
    laid = dict(below)
    for key, value in above.items():
        under = laid.get(key)
        laid[key] = merge_trees(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return laid


def variable_name(location: tuple[str, ...]) -> str:
    """Environment variable for a key: `IDTONE_ARI_URL` for `("ari", "url")`."""
    return PREFIX + "_".join(location).upper()


def locations(model: type[BaseModel] = Settings, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all keys of the settings, such as `("ari", "url")`."""
    found: list[tuple[str, ...]] = []
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += locations(inner, (*prefix, name))
        else:
            found.append((*prefix, name))
    return found


def _overrides(environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Read settings from the environment. Raises DocumentError for unknown variables with idtone's prefix."""
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
