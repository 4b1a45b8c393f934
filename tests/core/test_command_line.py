"""The exit codes of commands, and their output."""

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from idtone.core.errors import DocumentError, Fault, UsageError
from idtone.core.terminal import command_line
from idtone.core.translation import speak
from lab.nightly_tests import rest_in_breadth


def ending(app: typer.Typer, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: app(list(arguments)))
    return int(ended.value.code or 0)


@pytest.fixture
def app() -> typer.Typer:
    app = command_line.group("A group.")

    @app.command()
    def good() -> None:
        print("done")

    @app.command()
    def bad() -> None:
        print("no")
        command_line.exit_negative()

    @app.command()
    def misused() -> None:
        raise UsageError("there is no such thing")

    @app.command()
    def unusable() -> None:
        raise DocumentError(
            [Fault("b.yaml", 1, 2, "a", "is wrong", "Mend it"), Fault("a.yaml", 0, 0, "", "is gone", "Look")]
        )

    return app


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("good", 0, "done\n", ""),
        ("bad", 1, "no\n", ""),
        ("misused", 2, "", "idtone: there is no such thing\n"),
        ("unusable", 2, "", "idtone: a.yaml: is gone. Look\nb.yaml:1:2: a: is wrong. Mend it\n"),
    ],
)
def test_exit_codes(app, command, code, out, err, capsys):
    assert ending(app, command) == code
    assert capsys.readouterr() == (out, err)


def test_wrong_use_is_exit_2_and_a_group_without_command_shows_its_help(app, capsys):
    assert ending(app, "nothing") == 2
    assert ending(app, "good", "--nothing") == 2
    capsys.readouterr()
    ending(app)
    shown = capsys.readouterr()
    assert "misused" in shown.out + shown.err


def test_an_option_before_the_command_of_a_lone_group_is_refused_and_the_environment_is_not(capsys, monkeypatch):
    app = command_line.group("A group.", lone=True)

    @app.callback(invoke_without_command=True)
    def _alone(context: typer.Context, config: command_line.ConfigOption = None) -> None:
        if command_line.runs_alone(context):
            print(f"alone with {config}")

    @app.command()
    def add(config: command_line.ConfigOption = None) -> None:
        print(f"add with {config}")

    assert ending(app, "-c", "a.yaml", "add") == 2
    assert capsys.readouterr() == ("", "idtone: --config before 'add' has no effect; write it at the end\n")
    ending(app, "add", "-c", "a.yaml")
    ending(app, "-c", "a.yaml")
    monkeypatch.setenv("IDTONE_CONFIG", "b.yaml")
    ending(app, "add")
    assert capsys.readouterr().out == "add with a.yaml\nalone with a.yaml\nadd with b.yaml\n"


def test_numpy_has_one_thread_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    command_line.run(lambda: None)
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_NUM_THREADS"]) == ("1", "4")


def test_a_bug_shows_its_traceback_and_exits_with_2(capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: 1 / 0)
    assert ended.value.code == command_line.UNUSABLE
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_json_is_one_document_with_readable_text(capsysbinary):
    name = os.fsdecode(b"call-\xff.wav")
    command_line.print_json({"name": "良い電話", "at": datetime(2026, 11, 1, tzinfo=UTC), "list": [1], "file": name})
    out = capsysbinary.readouterr().out.decode()
    assert "良い電話" in out
    assert json.loads(out) == {"name": "良い電話", "at": "2026-11-01 00:00:00+00:00", "list": [1], "file": name}
    assert out.endswith("}\n")


def test_checksums_can_be_checked(tmp_path):
    paths = [tmp_path / name for name in ("plain.wav", "two\nlines.wav", "back\\slash\r.wav")]
    for path in paths:
        path.write_bytes(b"sound")
    lines = "\n".join(command_line.checksum_line(hashlib.sha256(b"sound").hexdigest(), path) for path in paths)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], input=f"{lines}\n".encode(), check=True)


def program(body: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a separate process, so that its standard output is the real one."""
    imports = "import os, signal\nfrom idtone.core.terminal import command_line, standard_streams"
    script = f"{imports}\ndef app():\n    {body}\ncommand_line.run(app)"
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.run([sys.executable, "-c", script], check=False, timeout=60, **how)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_gives_one_error(unbuffered):
    with open("/dev/full", "wb") as full:
        done = program("print('x')", stdout=full, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    message = b"idtone: the output cannot be written: No space left on device; write it to another place\n"
    assert (done.returncode, done.stderr) == (command_line.UNUSABLE, message)


@pytest.fixture
def unread() -> Iterator[int]:
    """The write end of a pipe that its reader has closed."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@rest_in_breadth(
    ("ending", "code", "count", "unbuffered"),
    [("", 0, 1, ""), ("", 0, 100_000, "1"), ("command_line.sys.exit(1)", 1, 100_000, ""),
     ("raise command_line.UsageError('no')", 2, 1, "1"), ("raise command_line.UsageError('no')", 2, 100_000, "")],
)  # fmt: skip
def test_a_closed_pipe_does_not_change_the_exit_code(unread, ending, code, count, unbuffered):
    body = f"for _ in range(3): print('x' * {count})\n    {ending}"
    done = program(body, stdout=unread, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr) == (code, b"idtone: no\n" if code == 2 else b"")


def test_a_table_and_standard_error_without_a_reader_change_nothing(unread):
    body = """command_line.Rows(['a']).print([['b']] * 10_000)
    command_line.sys.stderr.write('x')
    command_line.sys.exit(1)"""
    assert program(body, stdout=unread, stderr=unread).returncode == 1


@rest_in_breadth(("before", "read", "code"), [("", False, 0), ("", True, 1), ("print('x', flush=True)", False, 0)])
def test_a_closed_pipe_is_noticed_without_writing(unread, before, read, code):
    body = f"{before}\n    command_line.sys.exit(standard_streams.reader_is_open(0))"
    assert program(body, **({} if read else {"stdout": unread})).returncode == code


ROWS = [("1", "[b]long[/b] " * 30), (None, True), ("two\nlines", False)]


def test_a_table_for_a_program_has_one_line_per_row(capsys):
    command_line.Rows(["first", "second"]).print(ROWS)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["first", "second"]
    assert [line.split(maxsplit=1) for line in lines] == [
        ["1", "[b]long[/b] " * 29 + "[b]long[/b]"],
        ["yes"],
        ["two\\nlines", "no"],
    ]


def test_rows_that_are_printed_one_by_one_are_aligned(capsys):
    rows = command_line.Rows(["first", "second"])
    rows.print([])
    for row in ROWS[1:]:
        rows.print([row])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["first  second", "       yes", "two\\nlines  no"]
    rows.print([(1, 2)])
    assert capsys.readouterr().out.split(" ", 1) == ["1", "          2\n"]


def test_csv_and_tsv_can_be_read_back(capsys):
    texts = [["1", "[b]long[/b] " * 30], ["", "yes"], ["two\nlines", "no"]]
    for form, dialect in ((command_line.Form.CSV, "excel"), (command_line.Form.TSV, "excel-tab")):
        rows = command_line.Rows(["first", "second"], form)
        rows.print(ROWS[:1])
        rows.print(ROWS[1:])
        written = capsys.readouterr().out
        assert list(csv.reader(io.StringIO(written, newline=""), dialect)) == [["first", "second"], *texts]
        assert ("\r\n" in written) == (form is command_line.Form.CSV)


def test_conflicting_forms_are_named():
    assert command_line.form(False, False, True) is command_line.Form.TSV
    with pytest.raises(UsageError, match="--json and --csv cannot go together; choose one"):
        command_line.form(True, True, False)


def test_a_command_works_without_standard_output():
    done = program("command_line.print_json(['x'])", stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("encoding", "printed"), [("utf-8", "音".encode() + b"\xff\n"), ("ascii", b"\\u97f3\\udcff\n")]
)
def test_every_character_can_be_printed(encoding, printed):
    body = "print('\\u97f3\\udcff')\n    command_line.print_json('\\u97f3')"
    done = program(body, env=os.environ | {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stdout[: len(printed)], done.stderr) == (0, printed, b"")
    assert json.loads(done.stdout[len(printed) :]) == "音"


def test_a_terminated_command_cleans_up(tmp_path):
    (tmp_path / "draft").touch()
    body = f"""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    finally:
        os.unlink({str(tmp_path / "draft")!r})"""
    assert program(body).returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "draft").exists()


def test_the_columns_of_a_table_are_in_the_language_of_the_environment_and_those_of_csv_are_not(capsys):
    def print_both() -> None:
        speak("ja")
        for form in (command_line.Form.TABLE, command_line.Form.CSV):
            command_line.Rows(("time", "call"), form).print([("x", "y")])

    copy_context().run(print_both)
    assert capsys.readouterr().out.split() == ["時刻", "通話", "x", "y", "time,call", "x,y"]


def test_a_line_that_comes_in_several_writes_keeps_the_spaces_between_them(capsys):
    out = command_line.screen().file
    for text in ("a ", "b", " ", " \n", "  c   \n", "d  "):
        out.write(text)
    assert capsys.readouterr().out == "a b\n  c\nd"
