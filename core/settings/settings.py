"""The settings in `idtone.yaml`, and in the files of the folder `idtone.d` beside it, which override it.

Environment variables named after a key override the file (`IDTONE_ARI_URL` is `ari.url`). Both override the settings of
the fleet, if there are any (`shared_settings`).
Secrets come from a file or the environment, and have no default.
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
"""The environment variable with a passphrase, so that a command does not ask for it. Other users could see it on a
command line.
"""
CONFIG: Final = "IDTONE_CONFIG"
"""The environment variable for the option --config."""
MAIL_TO: Final = "IDTONE_MAIL_TO"
"""The environment variable with the recipient of mails about failures."""
_NO_SETTINGS: Final = (CONFIG, PASSPHRASE, MAIL_TO)


class AriSettings(Model):
    """The address and the user of Asterisk's REST interface."""

    url: HttpUrl = "http://127.0.0.1:8088/ari"
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


class AgiSettings(Model):
    """The address at which the service listens for requests over FastAGI."""

    listen: AgiAddress = "127.0.0.1:4573"

    def address(self) -> Path | tuple[str, int]:
        """The path of a Unix socket, or an IP address and a port."""
        if self.listen.startswith("unix:"):
            return Path(self.listen.removeprefix("unix:"))
        return split_port(self.listen)


class Interface(StrEnum):
    """The interface by which the hook reaches the service: ARI or AGI."""

    ARI = "ari"
    AGI = "agi"


class SoundsSettings(Model):
    """The folder of the sound files, and the folder of the operator's own profiles."""

    directory: Path = Path("/var/lib/asterisk/sounds/idtone")
    profiles: Path | None = None


UNSIGNED: Final = "unsigned"
"""The value of `trust` for an unsigned registry. Anyone who can write the file can change such a registry."""


class JournalSettings(Model):
    """The folder in which Asterisk writes the journal."""

    directory: Path | None = None


class RegistrySettings(Model):
    """The place of the registry, and the way in which it is verified."""

    source: RegistrySource = "/etc/idtone/registry"
    trust: str | None = None
    cache: Path = Path("/var/lib/idtone/registry")
    poll: Annotated[timedelta, Field(ge=timedelta(milliseconds=100), le=timedelta(days=1))] = timedelta(seconds=1)

    def root_file(self) -> Path | None:
        """The file with the association's root; None if the registry is unsigned.

        Raises DocumentError if `trust` is not set: an unsigned registry needs the word `unsigned`.
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
        """The path of the unsigned registry file."""
        return Path(self.source)


class Exports(StrEnum):
    """The number of persons needed to export evidence."""

    ONE_PERSON = "one-person"
    TWO_PERSONS = "two-persons"
    """One person requests it, and another approves it."""


class TimestampSettings(Model):
    """The time-stamping authority (RFC 3161) that stamps the heads of the tree."""

    url: TimestampUrl | None = None
    every: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=31))] = timedelta(hours=1)
    root: Path | None = None
    """The authority's root certificates (PEM), with which each reply is verified before it is kept."""
    user: str | None = None
    password_file: Path | None = None

    def secret(self) -> str:
        """The password of `user`; empty without one. Raises DocumentError if its file cannot be read."""
        return read_text(self.password_file, size_limit=4096).strip() if self.password_file else ""


class TokenSettings(Model):
    """The PKCS#11 token with the log's key, as an alternative to a key file."""

    library: Path | None = None
    """The token's PKCS#11 library."""
    key: TokenKeyText | None = None
    """The key in the token; None if the key is in a file."""
    pin_file: Path | None = None

    def pin(self) -> str:
        """The PIN of the token; empty without a file. Raises DocumentError if the file cannot be read."""
        return read_text(self.pin_file, size_limit=4096).strip() if self.pin_file else ""


class LedgerSettings(Model):
    url: str = "sqlite:////var/lib/idtone/ledger.sqlite3"
    """The address of this node's file, or of the PostgreSQL that several nodes share."""
    others: Annotated[tuple[PostgreSQLUrl, ...], COMMA_LIST] = ()
    """Other PostgreSQL servers with replicas of this fleet, which are only read; `url` may be among them."""
    spool: Path = Path("/var/lib/idtone/ledger.sqlite3")
    """The address of this node's file if `url` names PostgreSQL."""
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    key_file: Path = Path("/var/lib/idtone/ledger.key")
    reserve: Annotated[Octets, Field(ge=0, le=2**40)] = 64 * 10**6
    """Bytes that are kept free on the ledger's disk for evidence."""

    retention: Annotated[timedelta, Field(ge=timedelta(days=1))] | None = None
    """Time for which numbers can be opened; None means for ever."""
    exports: Exports = Exports.ONE_PERSON
    approval: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=365))] = timedelta(days=7)
    """Time for which a request waits for an approval, and for which an approval counts."""
    legal_bases: Path | None = None
    """The file with the requirements of each legal basis of an export; None means `config/legal_bases.yaml`."""
    origin: LogName | None = None
    seen_file: Path | None = None
    witnesses: Annotated[tuple[WitnessLine, ...], COMMA_LIST] = ()
    witness_every: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=1)
    timestamp: TimestampSettings = TimestampSettings()
    token: TokenSettings = TokenSettings()

    def is_shared(self) -> bool:
        """True if the ledgers of several nodes are replicated into PostgreSQL."""
        return self.url.partition(":")[0].partition("+")[0] == "postgresql"

    def own_url(self) -> str:
        """The address of the file that this node writes. PostgreSQL has a replica of it."""
        return f"sqlite:///{self.spool}" if self.is_shared() else self.url

    def secret(self) -> str | None:
        """PostgreSQL's password; None leaves it to libpq. Raises DocumentError if its file cannot be read."""
        if self.password is not None or self.password_file is None:
            return self.password
        return read_text(self.password_file, size_limit=4096).strip()

    def log_origin(self, node: str) -> str:
        """The origin in the checkpoints (C2SP): the unique name of this node's tree."""
        return self.origin or re.sub(r"[\s+]+", "-", f"{node}/idtone")

    def token_public(self) -> Path:
        """The file with the public half of the key in the token."""
        return self.key_file.with_name(f"{self.key_file.name}.token")

    def checkpoint_file(self) -> Path:
        """The file with the last signed checkpoint."""
        return self.seen_file or self.key_file.with_name(f"{self.key_file.name}.seen")

    def cosigned_file(self) -> Path:
        """The file with the last checkpoint that witnesses cosigned."""
        return self.key_file.with_name(f"{self.key_file.name}.cosigned")

    def stamps(self) -> Path:
        """The folder with the checkpoints that a timestamp authority has stamped."""
        return self.key_file.with_name(f"{self.key_file.name}.stamps")

    def successors_file(self) -> Path:
        """The file with the names of the trees that followed the first one after its database was damaged."""
        return self.key_file.with_name(f"{self.key_file.name}.continued")

    def day_keys(self) -> Path:
        """The file of the day keys, which the key in `key_file` encrypts."""
        return self.key_file.with_name(f"{self.key_file.name}.days")


class MetricsSettings(Model):
    """The address at which the service listens for requests of Prometheus."""

    listen: MetricsAddress | None = None

    def address(self) -> tuple[str, int] | None:
        """The IP address and the port for Prometheus; None without metrics."""
        return split_port(self.listen) if self.listen else None


class AssociationSettings(Model):
    """This operator as a member of the association."""

    member: str | None = None
    """The member's id in the registry."""
    desk: DeskUrl | None = None
    """The address of the association's desk."""


class CustomersSettings(Model):
    """The folder of the customers' forms, which are sealed, and the rules by which they are checked."""

    directory: Path = Path("/var/lib/idtone/customers")
    rules: Path | None = None
    """The file with the rules; None means the shipped rules."""

    def key_file(self) -> Path:
        """The key that seals the records."""
        return self.directory / "root.key"


class LogSettings(Model):
    format: LogFormat = LogFormat.TEXT
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Model):
    node: str = Field(default_factory=platform.node)
    """The name of this PBX in the evidence; by default the name in its ledger, else the host's name."""
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
        """The settings of the fleet that these override; None if there are none."""
        return self._shared

    def overriding(self, shared: SharedSettings) -> Settings:
        """A copy of these settings that overrides the settings of the fleet."""
        over = self.model_copy()
        over._shared = shared
        return over

    def named(self, node: str) -> Settings:
        """A copy of these settings for a node of this name."""
        return self.model_copy(update={"node": node})

    def journal_directory(self) -> Path:
        """The folder of the journal; Asterisk and the service use the same path."""
        return self.journal.directory or self.sounds.directory / "journal"

    def canary_directory(self) -> Path:
        """The folder of the canary's recordings; Asterisk and the service use the same path."""
        return self.sounds.directory / "canary"

    def agi_secret(self) -> str:
        """The secret in each request of the hook over AGI on TCP. It is empty for ARI, and for a Unix socket, where the
        kernel identifies the peer.

        It is derived from the ARI password, so that the operator has only one secret. Raises DocumentError if the
        password cannot be read.
        """
        if self.interface is not Interface.AGI or isinstance(self.agi.address(), Path):
            return ""
        return hmac.new(self.ari.secret().encode(), b"idtone AGI", hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """A fleet's settings from a verified file. `settings` are the defaults, overridden by the values of this file."""

    file: Path
    version: int
    signed: datetime
    sha256: str
    """The digest of the text, in hexadecimal digits."""
    settings: Settings = field(repr=False)
    tree: Mapping[str, Any] = field(repr=False)


def load_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. A `path` of None means the default file if it exists, else the defaults.

    Raises DocumentError with all faults, including those of environment variables, of unknown ones, and of the fleet's
    file.
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
    """The node's name in its ledger, under which its evidence is signed; None if no signed ledger can be read here.

    So a machine with a new host name continues its evidence under the old name.
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
    """This node's settings from its files and the environment: as `Settings`, and as a tree of the keys that are
    set.
    """
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
    """The folder whose files override the settings file: `idtone.d` beside `idtone.yaml`."""
    return path.with_suffix(".d")


def settings_files(path: Path) -> list[Path]:
    """The settings file, followed by the files that override it. Later files take precedence."""
    return [path, *sorted(settings_folder(path).glob("*.yaml"))]


def merge_trees(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The two trees as one. If both have a key, the value of `above` counts. Lists are not merged."""
    laid = dict(below)
    for key, value in above.items():
        under = laid.get(key)
        laid[key] = merge_trees(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return laid


def variable_name(location: tuple[str, ...]) -> str:
    """The environment variable of a key: `IDTONE_ARI_URL` for `("ari", "url")`."""
    return PREFIX + "_".join(location).upper()


def locations(model: type[BaseModel] = Settings, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all keys of the settings, for example `("ari", "url")`."""
    found: list[tuple[str, ...]] = []
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += locations(inner, (*prefix, name))
        else:
            found.append((*prefix, name))
    return found


def _overrides(environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """The values from the environment. Raises DocumentError for unknown variables with idtone's prefix."""
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
