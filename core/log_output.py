"""The service's log formats: text, JSON and journald's native protocol.

A thread writes the log, so that no call waits for a slow journald, pipe or terminal. A record about a call has the call
id and, if known, the decision's reason code: `log.info(…, extra=call_extra(call_id, reason))`.
"""

import copy
import json
import logging
import os
import socket
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Protocol

from .errors import IdtoneError

JOURNALD: Final = Path("/run/systemd/journal/socket")
MOST_WAITING: Final = 10_000
"""Maximum number of records that may wait to be written: one minute of records at 150 calls per second, or some
megabytes.
"""
CLOSE_WITHIN_S: Final = 5.0
"""How many seconds the program, before it exits, waits for its records to be written."""
STANDARD_ERROR: Final = 2
BUFFER: Final = 2**20
"""Size of the send buffer for journald, in bytes. The kernel may allow less."""
TEXT: Final = "%(asctime)s %(level)s %(message)s"
CALL_ID: Final = "call_id"
REASON: Final = "reason"

_LEVELS: Final = (
    (logging.CRITICAL, "crit", 2),
    (logging.ERROR, "err", 3),
    (logging.WARNING, "warning", 4),
    (logging.INFO, "info", 6),
    (logging.NOTSET, "debug", 7),
)
"""The lowest Python level for each level of syslog (RFC 5424), with syslog's name and number."""


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    JOURNALD = "journald"


def call_extra(call_id: str, reason: str | None = None) -> dict[str, str]:
    """Build the `extra` argument for a log record about a call."""
    return {CALL_ID: call_id, REASON: reason} if reason else {CALL_ID: call_id}


def unexpected(error: BaseException | None) -> BaseException | None:
    """The error if it is a bug in this program; None if the operator or the machine caused it.

    Only bugs are logged with a traceback.
    """
    return None if isinstance(error, IdtoneError | OSError | None) else error


def in_words(error: BaseException) -> str:
    """Log text of an error."""
    if unexpected(error):
        return f"{type(error).__name__}; report this as a fault of idtone"
    return str(error) or type(error).__name__


def begin_logging(form: LogFormat, level: str) -> None:
    """Set up logging in the given format, with the given minimum level."""
    logging.basicConfig(level=level.upper(), handlers=[QueuedHandler(_FORMS[form]())], force=True)


def level(record: logging.LogRecord) -> tuple[str, int]:
    """Name and number of the syslog severity of a record."""
    return next((name, number) for least, name, number in _LEVELS if record.levelno >= least)


def one_line(text: str) -> str:
    """Escape all characters that would start a new line or control a terminal."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    is_shown = character.isprintable() or unicodedata.category(character) == "Zs"
    return character if is_shown else character.encode("unicode_escape", "surrogatepass").decode()


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, with the local time and its UTC offset."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.level, _ = level(record)
        return one_line(super().formatMessage(record))


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object per line. Only bugs have a `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        name, priority = level(record)
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": name,
            "priority": priority,
            "logger": record.name,
            "message": record.getMessage(),
            **_about(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class LogWriter(Protocol):
    def write(self, record: logging.LogRecord) -> None:
        """Write the record. Returns only when it is written, however long that takes."""

    def close(self) -> None: ...


class QueuedHandler(logging.Handler):
    """Logging handler that writes records in a separate thread.

    While `MOST_WAITING` records are waiting, new records are dropped. Their number is logged once half of the waiting
    records are written.
    """

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self.writer = writer
        self._waiting: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._lost = self._reported = 0
        self._thread = threading.Thread(target=self._run, name="idtone-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._waiting.qsize() >= MOST_WAITING:
            self._lost += 1
            return
        try:
            record = copy.copy(record)
            record.msg, record.args = record.getMessage(), None  # the arguments may change meanwhile
            self._waiting.put(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Wait up to `CLOSE_WITHIN_S` seconds for the queued records to be written."""
        self._waiting.put(None)
        self._thread.join(CLOSE_WITHIN_S)
        super().close()

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            self._write(record)
            if self._waiting.qsize() < MOST_WAITING / 2:
                self._report_lost()
        self._report_lost()
        self.writer.close()

    def _write(self, record: logging.LogRecord) -> None:
        try:
            self.writer.write(record)
        except Exception:
            self.handleError(record)

    def _report_lost(self) -> None:
        lost = self._lost - self._reported
        if lost:
            self._reported += lost
            self._write(_own(f"{lost} records of the log are lost: it was not read for too long"))


class StandardErrorWriter:
    """Writes log lines to file descriptor 2.

    `sys.stderr` is not used, because its lock would delay the program's exit.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        self.formatter = formatter

    def write(self, record: logging.LogRecord) -> None:
        octets = f"{self.formatter.format(record)}\n".encode(errors="backslashreplace")
        while octets:
            octets = octets[os.write(STANDARD_ERROR, octets) :]

    def close(self) -> None:
        pass


class JournaldWriter:
    """Sends records to journald over its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).

    `write` waits until journald accepts the record. Records that journald rejects go to standard error as text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._formatter = logging.Formatter()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._instead = StandardErrorWriter(TextFormatter(TEXT))
        self._is_away = False

    def write(self, record: logging.LogRecord) -> None:
        octets = b"".join(_encoded(name, value) for name, value in self._fields(record))
        try:
            self._socket.sendto(octets, str(self._path))
            self._is_away = False
        except OSError as error:
            if not self._is_away:
                self._is_away = True
                self._instead.write(
                    _own(f"{self._path}: journald does not take the log: {error.strerror}; it goes to standard error")
                )
            self._instead.write(record)

    def close(self) -> None:
        self._socket.close()

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self._formatter.format(record)
        yield "PRIORITY", str(level(record)[1])
        yield "SYSLOG_IDENTIFIER", "idtone"
        yield "LOGGER", record.name
        for name, value in _about(record).items():
            yield f"IDTONE_{name.upper()}", value


_FORMS: Final[Mapping[LogFormat, Callable[[], LogWriter]]] = {
    LogFormat.TEXT: lambda: StandardErrorWriter(TextFormatter(TEXT)),
    LogFormat.JSON: lambda: StandardErrorWriter(JsonFormatter()),
    LogFormat.JOURNALD: lambda: JournaldWriter(JOURNALD),
}


def _about(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(vars(record)[name]) for name in (CALL_ID, REASON) if name in vars(record)}


def _own(message: str) -> logging.LogRecord:
    """Create a log record about the log itself."""
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)


def _encoded(name: str, value: str) -> bytes:
    octets = value.encode(errors="surrogateescape")
    if b"\n" not in octets:
        return b"%s=%s\n" % (name.encode(), octets)
    return b"%s\n%s%s\n" % (name.encode(), len(octets).to_bytes(8, "little"), octets)
