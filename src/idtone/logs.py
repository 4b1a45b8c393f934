"""The forms of the service's log: text and JSON on standard error, and journald's native protocol.

Each record has a time, a level, a message and the name of its logger. A record about a call has its id and, where there
is one, the reason code of its decision: `log.info(…, extra=about(call_id, reason))`.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from .errors import IdtoneError

JOURNALD: Final = Path("/run/systemd/journal/socket")
PATIENCE_S: Final = 0.1
"""How long a record waits for a journald that does not read. The whole service waits with it, so the records after it
do not wait.
"""
BUFFER: Final = 2**20
"""Bytes that may wait for journald; the kernel may allow less."""
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
"""For each name and number of syslog (RFC 5424), the lowest of Python's levels."""


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    JOURNALD = "journald"


def about(call_id: str, reason: str | None = None) -> dict[str, str]:
    """The `extra` of a record about a call."""
    return {CALL_ID: call_id, REASON: reason} if reason else {CALL_ID: call_id}


def unexpected(error: BaseException | None) -> BaseException | None:
    """The error if it is a fault of this program, for a traceback; None if the operator or the machine caused it."""
    return None if isinstance(error, IdtoneError | OSError | None) else error


def in_words(error: BaseException) -> str:
    """What the log says of an error."""
    if unexpected(error):
        return f"{type(error).__name__}; report this as a fault of idtone"
    return str(error) or type(error).__name__


def begin(form: LogFormat, level: str) -> None:
    """Log what reaches this level, in this form, from now on."""
    handler = JournaldHandler(JOURNALD) if form is LogFormat.JOURNALD else _on_standard_error(form)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _on_standard_error(form: LogFormat) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter(TEXT))
    return handler


def level(record: logging.LogRecord) -> tuple[str, int]:
    """The name and the number of syslog's level."""
    return next((name, number) for least, name, number in _LEVELS if record.levelno >= least)


class TextFormatter(logging.Formatter):
    """One line for people, with the local time and its offset from UTC."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.level, _ = level(record)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line. `traceback` is only in the report of a fault of this program."""

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


class JournaldHandler(logging.Handler):
    """Sends records to journald (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).

    What journald does not take goes to standard error as text. While journald hangs, records are lost, and the next one
    that it takes says how many: a call waits for the log for `PATIENCE_S` at most.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter())  # basicConfig's own one adds level and logger
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._instead = _on_standard_error(LogFormat.TEXT)
        self._is_away = False
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                self._send(_own(f"{self._lost} records of the log are lost, because journald did not read them"))
                self._lost = 0
            self._send(record)
            self._is_away = False
        except (BlockingIOError, TimeoutError):
            self._lost += 1
        except OSError as error:
            if not self._is_away:
                self._is_away = True
                self._instead.handle(
                    _own(f"{self._path}: journald does not take the log: {error.strerror}; it goes to standard error")
                )
            self._instead.handle(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _send(self, record: logging.LogRecord) -> None:
        octets = b"".join(_encoded(name, value) for name, value in self._fields(record))
        self._socket.settimeout(0 if self._lost else PATIENCE_S)
        self._socket.sendto(octets, str(self._path))

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", str(level(record)[1])
        yield "SYSLOG_IDENTIFIER", "idtone"
        yield "LOGGER", record.name
        for name, value in _about(record).items():
            yield f"IDTONE_{name.upper()}", value


def _about(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(vars(record)[name]) for name in (CALL_ID, REASON) if name in vars(record)}


def _own(message: str) -> logging.LogRecord:
    """A record of the log about itself."""
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)


def _encoded(name: str, value: str) -> bytes:
    octets = value.encode(errors="surrogateescape")
    if b"\n" not in octets:
        return b"%s=%s\n" % (name.encode(), octets)
    return b"%s\n%s%s\n" % (name.encode(), len(octets).to_bytes(8, "little"), octets)
