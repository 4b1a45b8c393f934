"""How a command ends, and what it prints."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from idtone import console
from idtone.errors import DocumentError, Fault, UsageError


def ending(app: typer.Typer, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        console.run(lambda: app(list(arguments)))
    return int(ended.value.code or 0)


@pytest.fixture
def app() -> typer.Typer:
    app = console.group("A group.")

    @app.command()
    def good() -> None:
        print("done")

    @app.command()
    def bad() -> None:
        print("no")
        console.negative()

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
def test_endings(
    app: typer.Typer, command: str, code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(app, command) == code
    assert capsys.readouterr() == (out, err)


def test_wrong_use_is_exit_2(app: typer.Typer) -> None:
    assert ending(app, "nothing") == 2
    assert ending(app, "good", "--nothing") == 2


def test_a_group_without_command_shows_its_help(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    ending(app)
    shown = capsys.readouterr()
    assert "misused" in shown.out + shown.err


def test_a_fault_of_ours_is_not_hidden_and_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(SystemExit) as ended:
        console.run(broken)
    assert ended.value.code == console.UNUSABLE
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_json_is_one_document_with_readable_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"name": "良い電話", "at": datetime(2026, 11, 1, tzinfo=UTC), "list": [1]})
    out = capsys.readouterr().out
    assert "良い電話" in out
    assert json.loads(out) == {"name": "良い電話", "at": "2026-11-01 00:00:00+00:00", "list": [1]}
    assert out.endswith("}\n")


def test_json_with_a_file_name_that_is_not_utf8_is_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    console.print_json({"file": os.fsdecode(b"call-\xff.wav")})
    assert json.loads(capsysbinary.readouterr().out.decode()) == {"file": os.fsdecode(b"call-\xff.wav")}


@pytest.mark.parametrize("name", ["plain.wav", "two\nlines.wav", "back\\slash\r.wav"])
def test_checksums_can_be_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"sound")
    line = console.checksum_line(hashlib.sha256(b"sound").hexdigest(), tmp_path / name)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], input=f"{line}\n".encode(), check=True)


def program(body: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """A command of its own process, since this is about the real standard output."""
    script = f"import os, signal\nfrom idtone import console\ndef app():\n    {body}\nconsole.run(app)"
    how = {"stdout": subprocess.PIPE} | how
    return subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=False, timeout=60, **how)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_error(unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = program("print('x')", stdout=full, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    message = b"idtone: the output cannot be written: No space left on device; send it elsewhere\n"
    assert (done.returncode, done.stderr) == (console.UNUSABLE, message)


@pytest.mark.parametrize("count", [1, 100_000])
def test_a_reader_that_has_gone_is_no_verdict_and_no_message(count: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = program(f"print('x' * {count})", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (console.UNUSABLE, b"")


def test_without_standard_output_a_command_does_its_work() -> None:
    done = program("console.print_json(['x'])", stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("encoding", "printed"), [("utf-8", "音".encode() + b"\xff\n"), ("ascii", b"\\u97f3\\udcff\n")]
)
def test_every_character_can_be_printed(encoding: str, printed: bytes) -> None:
    done = program("print('\\u97f3\\udcff')", env=os.environ | {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, b"")
    done = program("console.print_json('\\u97f3')", env=os.environ | {"PYTHONIOENCODING": encoding})
    assert json.loads(done.stdout) == "音"


def test_a_command_that_is_ended_clears_up(tmp_path: Path) -> None:
    (tmp_path / "draft").touch()
    body = f"""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    finally:
        os.unlink({str(tmp_path / "draft")!r})"""
    assert program(body).returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "draft").exists()
