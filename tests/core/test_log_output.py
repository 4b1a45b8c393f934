"""The forms of the log. Each writes a record of a call, of a fault and of many lines."""

import errno
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core import log_output
from idtone.core.errors import LedgerError
from idtone.core.log_output import JournaldWriter, JsonFormatter, LogFormat, QueuedHandler, TextFormatter, call_extra
from lab.journald import Journald

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
    assert TextFormatter(log_output.TEXT).format(made).split(" ", 2)[2] == f"{name} it is so"
    fields = json.loads(JsonFormatter().format(made))
    assert (fields["level"], fields["priority"]) == (name, number)


def test_a_text_in_the_message_is_no_line_of_its_own() -> None:
    forged = record("%s", "x\n2026-12-01 info administrator signed in\x1b[2J\u2028山田\u3000")
    line = TextFormatter(log_output.TEXT).format(forged).split(" ", 3)[3]
    assert line == "x\\n2026-12-01 info administrator signed in\\x1b[2J\\u2028山田\u3000"


def test_json_is_one_object_a_line_with_the_call_and_the_reason() -> None:
    made = record("first\nsecond %s", "“x”", **call_extra("1795.1-1", "licence-valid"))
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": datetime.fromtimestamp(made.created, UTC).isoformat(timespec="milliseconds"),
        "level": "info", "priority": 6, "logger": "idtone.lab", "message": "first\nsecond “x”",
        "call_id": "1795.1-1", "reason": "licence-valid",
    }  # fmt: skip
    assert "reason" not in json.loads(JsonFormatter().format(record(**call_extra("1795.1-1"))))
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
    assert log_output.in_words(error) == words
    assert (log_output.unexpected(error) is error) is ours


# -- journald -----------------------------------------------------------------------------------------------------


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    one = Journald(tmp_path / "socket")
    with closing(one.socket):
        yield one


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[JournaldWriter]:
    with closing(JournaldWriter(tmp_path / "socket")) as made:
        yield made


def test_journald_gets_fields(journald: Journald, writer: JournaldWriter) -> None:
    writer.write(record(level=logging.ERROR, **call_extra("1795.1-1", "licence-valid")))
    assert journald.read() == {
        "MESSAGE": "it is so", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "idtone", "LOGGER": "idtone.lab",
        "IDTONE_CALL_ID": "1795.1-1", "IDTONE_REASON": "licence-valid",
    }  # fmt: skip


def test_journald_gets_many_lines_as_one_record(journald: Journald, writer: JournaldWriter) -> None:
    writer.write(record("a=b\nPRIORITY=0\n%s", "\udcff"))
    with pytest.raises(UnicodeDecodeError):
        journald.read()  # the octet is what it was in a file name
    writer.write(failed(RuntimeError("of ours")))
    fields = journald.read()
    assert fields["MESSAGE"] == "it is so\nRuntimeError: of ours"
    assert fields["PRIORITY"] == "3"


def test_without_journald_the_log_is_text_on_standard_error(tmp_path: Path) -> None:
    """The program is a separate process, because pytest replaces standard error within a test."""
    program = f"""
import logging, socket, time
from pathlib import Path
from idtone.core import log_output
log_output.JOURNALD = Path("{tmp_path}/socket")
log_output.begin_logging(log_output.LogFormat.JOURNALD, "info")
log = logging.getLogger("lab")
writer, written = logging.root.handlers[0].writer, []
write = writer.write
writer.write = lambda record: written.append(write(record))
log.info("away")
log.error("still away")
while len(written) < 2:
    time.sleep(0.01)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
    journald.bind(str(log_output.JOURNALD))
    log.info("it is back")
    assert b"MESSAGE=it is back\\n" in journald.recv(1000)
log.info("away again")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = f"{tmp_path}/socket: journald does not take the log: {{}}; it goes to standard error"
    assert [line.split(" ", 2)[2] for line in done.stderr.splitlines()] == [
        "warning " + told.format("No such file or directory"),
        "info away",
        "err still away",
        "warning " + told.format("Connection refused"),
        "info away again",
    ]


@pytest.fixture
def queued(journald: Journald, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[QueuedHandler]:
    """A handler whose socket to journald holds only a few records, as with net.unix.max_dgram_qlen = 10."""
    monkeypatch.setattr(log_output, "BUFFER", 4096)
    with closing(QueuedHandler(JournaldWriter(tmp_path / "socket"))) as made:
        yield made


def test_a_journald_that_is_slow_for_a_second_loses_no_line_and_holds_up_no_call(journald, queued):
    for number in range(200):  # nobody reads meanwhile: what waited for journald would not come back
        queued.handle(record("%s", number))
    time.sleep(1.0)  # this is how slow journald is
    assert [journald.read()["MESSAGE"] for _ in range(200)] == [str(number) for number in range(200)]


def test_the_log_says_how_many_lines_are_lost_while_journald_hangs(journald, queued, monkeypatch):
    monkeypatch.setattr(log_output, "MOST_WAITING", 100)
    sent = 1000
    for number in range(sent):
        queued.handle(record("%s", number))
    read = [journald.read()]
    while read[-1]["LOGGER"] != "idtone.core.log_output":
        read.append(journald.read())
    *kept, lost = read
    assert [each["MESSAGE"] for each in kept] == [str(number) for number in range(len(kept))]
    assert len(kept) > 50
    queued.handle(record())
    rest = []
    while not rest or rest[-1]["MESSAGE"] != "it is so":
        rest.append(journald.read())
    there = len(kept) + len(rest) - 1
    assert lost == {
        "MESSAGE": f"{sent - there} records of the log are lost: it was not read for too long",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "idtone",
        "LOGGER": "idtone.core.log_output",
    }


def test_a_record_is_as_it_was_when_it_was_logged_and_a_wrong_one_breaks_nothing(journald, queued, capsys):
    numbers = [1]
    queued.handle(record("%s", numbers))
    numbers.append(2)
    queued.handle(record("%d", "x"))
    queued.handle(record())
    assert [journald.read()["MESSAGE"] for _ in range(2)] == ["[1]", "it is so"]
    assert "TypeError" in capsys.readouterr().err


def test_the_end_of_the_program_waits_for_the_log_and_not_for_ever(journald, monkeypatch, tmp_path):
    """The program is a separate process, which ends while journald hangs."""
    program = f"""
import logging
from pathlib import Path
from idtone.core import log_output
log_output.JOURNALD, log_output.BUFFER, log_output.CLOSE_WITHIN_S = Path("{tmp_path}/socket"), 4096, float(input())
log_output.begin_logging(log_output.LogFormat.JOURNALD, "info")
for number in range(200):
    logging.getLogger("lab").info("%s", number)
print("ends", flush=True)
"""

    def begun(patience_s: float) -> subprocess.Popen[str]:
        ending = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert ending.stdin
        assert ending.stdout
        print(patience_s, file=ending.stdin, flush=True)
        assert ending.stdout.readline() == "ends\n"
        return ending

    with begun(60) as waiting:
        assert [journald.read()["MESSAGE"] for _ in range(200)] == [str(number) for number in range(200)]
        assert waiting.wait(60) == 0
    with begun(0.1) as ending:
        assert ending.wait(60) == 0


def test_what_is_too_large_for_journald_is_text(journald, writer, monkeypatch):
    instead: list[logging.LogRecord] = []
    monkeypatch.setattr(writer._instead, "write", instead.append)
    writer.write(record("%s", "x" * 2**22))
    assert [len(each.getMessage()) >= 2**22 for each in instead] == [False, True]
    writer.write(record())
    assert journald.read()["MESSAGE"] == "it is so"


@pytest.mark.parametrize("form", LogFormat)
def test_the_chosen_form_begins(form: LogFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "root", root := logging.RootLogger(logging.WARNING))
    log_output.begin_logging(form, "error")
    (made,) = root.handlers
    with closing(made):
        assert root.level == logging.ERROR
        assert isinstance(made, QueuedHandler)
        assert isinstance(made.writer, JournaldWriter) is (form is LogFormat.JOURNALD)
        assert isinstance(getattr(made.writer, "formatter", None), JsonFormatter) is (form is LogFormat.JSON)
