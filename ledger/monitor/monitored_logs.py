"""The file that lists the logs to monitor (`config/monitor.yaml`)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from idtone.core.errors import ProofError
from idtone.core.settings.values import RegistrySource, WitnessLine
from idtone.core.signed_notes import Algorithm, VerifierKey
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, load

SIZE_LIMIT: Final = 2**20


def _log_key(value: str) -> str:
    return _key(value, Algorithm.ED25519, Message("Write what `idtone-evidence log key` prints there"))


def _witness_line(value: str) -> str:
    url, _, key = value.partition(" ")
    _key(key, Algorithm.COSIGNATURE, Message("Write the line that the witness prints when it starts"))
    return f"{_over_tls(url)} {key}"


def _over_tls(url: str) -> str:
    """Validate a witness's address, and return it.

    Raises ValueError unless the witness is on this machine or uses HTTPS, because only HTTPS requests have a deadline
    that ends an answer sent octet by octet.
    """
    parts = url.partition("://")
    if parts[0] != "https" and parts[2].rpartition(":")[0] not in ("127.0.0.1", "[::1]", "localhost"):
        raise ValueError(Message("is not an address that begins with https://"))
    return url


def _key(value: str, algorithm: Algorithm, remedy: Message) -> str:
    try:
        key = VerifierKey.parse(value)
    except ProofError as error:
        raise ValueError(str(error), remedy) from error
    if key.algorithm is not algorithm:
        raise ValueError(Message("is a key of another kind"), remedy)
    return str(key)


Limit = Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=366))]


class MonitoredLog(Model):
    """A log to monitor, with its witnesses, copies, and permitted delays."""

    place: RegistrySource
    """The folder that contains the file `checkpoint`, or its address."""
    key: Annotated[str, AfterValidator(_log_key)]
    witnesses: tuple[Annotated[WitnessLine, AfterValidator(_witness_line)], ...] = ()
    copies: tuple[RegistrySource, ...] = ()
    """Other places of the same log, and copies kept by other monitors. Only their file `checkpoint` is compared."""
    silent_for: Limit = timedelta(hours=3)
    cosigned_within: Limit = timedelta(hours=1)

    @property
    def log_key(self) -> VerifierKey:
        return VerifierKey.parse(self.key)

    @property
    def origin(self) -> str:
        return self.log_key.name

    def witness_keys(self) -> list[tuple[str, VerifierKey]]:
        lines = (line.partition(" ") for line in self.witnesses)
        return [(url, VerifierKey.parse(key)) for url, _, key in lines]


class MonitoredLogs(Model):
    """The logs to monitor, with the folder and page for the findings."""

    state: Path
    page: Path | None = None
    every: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=5)
    logs: tuple[MonitoredLog, ...]


def read_monitored(path: Path) -> MonitoredLogs:
    """Load the list of logs to monitor.

    Raises DocumentError with all faults in the file.
    """
    return load(path, MonitoredLogs, _faults, size_limit=SIZE_LIMIT)


def _faults(read: MonitoredLogs) -> Iterator[ValidationFault]:
    if not read.logs:
        yield ValidationFault(("logs",), Message("names no log"), Message("Write one log at least, as in monitor.yaml"))
    known: set[str] = set()
    for number, log in enumerate(read.logs):
        if log.origin in known:
            problem = Message("{origin} is there twice", origin=log.origin)
            yield ValidationFault(
                ("logs", number, "key"), problem, Message("Name further places of a log under `copies`")
            )
        known.add(log.origin)
        names = [key.name for _, key in log.witness_keys()]
        for place, name in enumerate(names):
            if name in names[:place]:
                problem = Message("{origin} is there twice", origin=name)
                yield ValidationFault(("logs", number, "witnesses", place), problem, Message("Keep one of the two"))
