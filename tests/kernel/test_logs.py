"""The forms of the log, and what each does with a record of a call, of a fault and of many lines."""

from __future__ import annotations

import errno
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone import logs
from idtone.errors import LedgerError
from idtone.logs import JournaldHandler, JsonFormatter, LogFormat, TextFormatter, about

from ..lab.journald import Journald

LEVELS = [
    (logging.DEBUG, "debug", 7),
    (logging.INFO, "info", 6),
    (logging.WARNING, "warning", 4),
    (logging.ERROR, "err", 3),
    (logging.CRITICAL, "crit", 2),
]


def record(message: str = "it is %s", *arguments: object, level: int = logging.INFO, **extra: str) -> logging.LogRecord:
    return logging.getLogger("idtone.lab").makeRecord(
        "idtone.lab", level, __file__, 1, message, arguments or ("so",), None, extra=extra
    )


def failed(error: Exception) -> logging.LogRecord:
    made = record(level=logging.ERROR)
    made.exc_info = (type(error), error, None)
    return made


@pytest.mark.parametrize(("level", "name", "number"), LEVELS)
def test_levels_have_syslogs_names_and_numbers(level: int, name: str, number: int) -> None:
    made = record(level=level)
    assert TextFormatter(logs.TEXT).format(made).split(" ", 2)[2] == f"{name} it is so"
    fields = json.loads(JsonFormatter().format(made))
    assert (fields["level"], fields["priority"]) == (name, number)


def test_json_is_one_object_a_line_with_the_call_and_the_reason() -> None:
    made = record("first\nsecond %s", "“x”", **about("1795.1-1", "licence-valid"))
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": datetime.fromtimestamp(made.created, UTC).isoformat(timespec="milliseconds"),
        "level": "info", "priority": 6, "logger": "idtone.lab", "message": "first\nsecond “x”",
        "call_id": "1795.1-1", "reason": "licence-valid",
    }  # fmt: skip
    assert "reason" not in json.loads(JsonFormatter().format(record(**about("1795.1-1"))))
    assert "call_id" not in json.loads(JsonFormatter().format(record()))


def test_json_holds_the_traceback_of_a_fault() -> None:
    fields = json.loads(JsonFormatter().format(failed(RuntimeError("of ours"))))
    assert fields["traceback"].endswith("RuntimeError: of ours")
    assert fields["message"] == "it is so"


@pytest.mark.parametrize(
    ("error", "words", "ours"),
    [
        (LedgerError("the disk is full"), "the disk is full", False),
        (OSError(errno.ENOENT, "No such file", "/x"), "[Errno 2] No such file: '/x'", False),
        (TimeoutError(), "TimeoutError", False),
        (ValueError("0312345678"), "ValueError; report this as a fault of idtone", True),
    ],
)
def test_only_a_fault_of_this_program_has_a_traceback(error: Exception, words: str, ours: bool) -> None:
    assert logs.in_words(error) == words
    assert (logs.unexpected(error) is error) is ours


# -- journald -----------------------------------------------------------------------------------------------------


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    one = Journald(tmp_path / "socket")
    with closing(one.socket):
        yield one


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[JournaldHandler]:
    with closing(JournaldHandler(tmp_path / "socket")) as made:
        yield made


def test_journald_gets_fields(journald: Journald, handler: JournaldHandler) -> None:
    handler.handle(record(level=logging.ERROR, **about("1795.1-1", "licence-valid")))
    assert journald.read() == {
        "MESSAGE": "it is so", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "idtone", "LOGGER": "idtone.lab",
        "IDTONE_CALL_ID": "1795.1-1", "IDTONE_REASON": "licence-valid",
    }  # fmt: skip


def test_journald_gets_many_lines_as_one_record(journald: Journald, handler: JournaldHandler) -> None:
    handler.handle(record("a=b\nPRIORITY=0\n%s", "\udcff"))
    with pytest.raises(UnicodeDecodeError):
        journald.read()  # the octet is what it was in a file name
    handler.handle(failed(RuntimeError("of ours")))
    fields = journald.read()
    assert fields["MESSAGE"] == "it is so\nRuntimeError: of ours"
    assert fields["PRIORITY"] == "3"


def test_without_journald_the_log_is_text_on_standard_error(tmp_path: Path) -> None:
    """In a process of its own, as pytest changes standard error within a test."""
    program = f"""
import logging, socket
from pathlib import Path
from idtone import logs
logs.JOURNALD = Path("{tmp_path}/socket")
logs.begin(logs.LogFormat.JOURNALD, "info")
log = logging.getLogger("lab")
log.info("away")
log.error("still away")
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
    journald.bind(str(logs.JOURNALD))
    log.info("it is back")
    assert b"MESSAGE=it is back\\n" in journald.recv(1000)
log.info("away again")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = f"{tmp_path}/socket: journald does not take the log: {{}}; it goes to standard error"
    assert [line.split(" ", 2)[2] for line in done.stderr.splitlines()] == [
        "warning " + told.format("No such file or directory"), "info away", "err still away",
        "warning " + told.format("Connection refused"), "info away again",
    ]  # fmt: skip


def test_no_call_waits_for_a_journald_that_hangs(journald, handler, monkeypatch):
    waits: list[float | None] = []
    settimeout = socket.socket.settimeout
    monkeypatch.setattr(
        socket.socket, "settimeout", lambda self, value: (waits.append(value), settimeout(self, value))[1]
    )
    sent = 5000
    for number in range(sent):
        handler.handle(record("%s", number))
    assert waits.count(logs.PATIENCE_S) == sent - waits.count(0)
    first_lost = waits.index(0)
    assert set(waits[first_lost:]) == {0}, "only the first one waits"
    for number in range(first_lost - 1):
        assert journald.read()["MESSAGE"] == str(number)
    handler.handle(record("it reads again%s", ""))
    assert journald.read() == {
        "MESSAGE": f"{sent - first_lost + 1} records of the log are lost, because journald did not read them",
        "PRIORITY": "4", "SYSLOG_IDENTIFIER": "idtone", "LOGGER": "idtone.logs",
    }  # fmt: skip
    assert journald.read()["MESSAGE"] == "it reads again"


def test_what_is_too_large_for_journald_is_text(journald, handler, monkeypatch):
    instead: list[logging.LogRecord] = []
    monkeypatch.setattr(handler._instead, "emit", instead.append)
    handler.handle(record("%s", "x" * 2**22))
    assert [len(each.getMessage()) >= 2**22 for each in instead] == [False, True]
    handler.handle(record())
    assert journald.read()["MESSAGE"] == "it is so"


@pytest.mark.parametrize("form", LogFormat)
def test_the_chosen_form_begins(form: LogFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "root", root := logging.RootLogger(logging.WARNING))
    logs.begin(form, "error")
    (made,) = root.handlers
    with closing(made):
        assert root.level == logging.ERROR
        assert isinstance(made, JournaldHandler) is (form is LogFormat.JOURNALD)
        assert isinstance(made.formatter, JsonFormatter) is (form is LogFormat.JSON)
