"""The table of lines as the service keeps it: changes, faults, an unreachable source, a restart."""

import contextlib
import io
import json
import logging
import os
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from idtone.core.calls import Reason
from idtone.core.errors import DocumentError
from idtone.core.settings.customer_lines import LinesSettings
from idtone.registry.customer_lines import line_compiler
from idtone.registry.customer_lines import lines_source as module
from idtone.registry.customer_lines.index import LinesIndex
from idtone.registry.customer_lines.line_compiler import compile_here, compile_in_process
from idtone.registry.customer_lines.lines_source import LinesSource
from lab.missing_parts import missing_parts
from lab.registry.customer_lines.line_tables import GOOD, NOW, call

OWN = call("0312345678", "6001")
LESS = GOOD.replace('"0312345678", ', "")
BAD = GOOD.replace('"0751234567"', '"07512"')


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile in this process, because the start of another one takes half a second."""
    monkeypatch.setattr(module, "compile_in_process", compile_here)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.yaml"
    path.write_text(GOOD)
    return path


def source_of(table: Path, **more: object) -> LinesSource:
    return LinesSource(LinesSettings.model_validate({"source": str(table), "cache": table.parent / "cache", **more}))


def write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def why(source: LinesSource) -> Reason | None:
    return source.current.presentation(OWN, NOW)[0]


def test_until_a_table_was_read_no_number_may_be_presented(table):
    source = source_of(table)
    assert why(source) is Reason.LINES_MISSING
    assert source.refresh()
    assert why(source) is None
    assert source.taken
    assert not source.refresh()


def test_a_changed_file_is_taken_and_a_bad_one_is_not(table, caplog):
    source = source_of(table)
    source.refresh()
    write(table, LESS)
    assert source.refresh()
    assert why(source) is Reason.NUMBER_OF_ANOTHER_CUSTOMER
    write(table, BAD)
    for _ in range(3):
        assert not source.refresh()
    (logged,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert not missing_parts(logged, f"{table}:10:", "lines[1].numbers[0]", "The last good one stays in use")
    assert "lines[1].numbers[0]" in source.trouble
    assert why(source) is Reason.NUMBER_OF_ANOTHER_CUSTOMER
    write(table, GOOD)
    assert (source.refresh(), source.trouble, why(source)) == (True, "", None)


def test_the_last_good_table_survives_a_restart_with_a_bad_or_missing_file(table):
    source_of(table).refresh()
    (kept,) = (table.parent / "cache").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    for break_it in (lambda: write(table, BAD), table.unlink):
        break_it()
        source = source_of(table)
        assert source.refresh()
        assert why(source) is None
        assert source.trouble


def test_a_restart_takes_a_file_that_changed_meanwhile(table):
    source_of(table).refresh()
    write(table, LESS)
    source = source_of(table)
    assert source.refresh()
    assert why(source) is Reason.NUMBER_OF_ANOTHER_CUSTOMER


def test_a_restart_with_the_same_file_reads_the_cache_alone(table, monkeypatch):
    source_of(table).refresh()
    monkeypatch.setattr(module, "compile_in_process", lambda *_: pytest.fail("it was compiled again"))
    source = source_of(table)
    assert source.refresh()
    assert why(source) is None


@pytest.mark.parametrize("damage", [b"", b"idtone lines 1\n", os.urandom(500)])
def test_a_damaged_cache_is_not_used(table, damage, caplog):
    source_of(table).refresh()
    (kept,) = (table.parent / "cache").iterdir()
    kept.write_bytes(damage)
    table.unlink()
    source = source_of(table)
    assert not source.refresh()
    assert why(source) is Reason.LINES_MISSING
    assert "There is none, so outgoing calls are refused" in caplog.text


def test_a_cache_that_cannot_be_written_costs_only_the_next_start(table, caplog):
    (table.parent / "cache").write_text("not a folder")
    source = source_of(table)
    assert source.refresh()
    assert why(source) is None
    assert "is not kept for the next start" in caplog.text


def test_another_source_does_not_take_this_ones_table(table):
    source_of(table).refresh()
    other = source_of(table.with_name("other.yaml"))
    assert not other.refresh()
    assert why(other) is Reason.LINES_MISSING


def test_the_faults_of_the_settings(table):
    with pytest.raises(DocumentError, match=r"lines\.query: is not set, and lines\.source is a database"):
        LinesSource(LinesSettings(source="sqlite:////nowhere"))
    with pytest.raises(DocumentError, match=r"lines\.query: is set, and lines\.source is no database"):
        source_of(table, query="freepbx")
    for address in ("oracle://db/x", "postgresql://u:secret@db/x", "mysql://db/x?password=s"):
        with pytest.raises(ValueError, match=r"lines|source") as error:
            LinesSettings(source=address)
        assert "is not the address" in str(error.value) or "holds a password" in str(error.value)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def database(tmp_path) -> LinesSettings:
    with contextlib.closing(sqlite3.connect(tmp_path / "pbx.sqlite3")) as connection, connection:
        connection.execute("CREATE TABLE n (endpoint TEXT, customer TEXT, number TEXT)")
        connection.execute("INSERT INTO n VALUES ('6001', 'c-1', '03-1234-5678')")
    return LinesSettings(
        source=f"sqlite:///{tmp_path}/pbx.sqlite3",
        query="SELECT * FROM n",
        cache=tmp_path / "cache",
        poll=timedelta(seconds=30),
    )


def test_a_database_is_read_at_each_poll(database, tmp_path):
    clock = Clock()
    source = LinesSource(database, clock)
    assert (source.refresh(), why(source)) == (True, None)
    with contextlib.closing(sqlite3.connect(tmp_path / "pbx.sqlite3")) as connection, connection:
        connection.execute("UPDATE n SET number = '0399999999'")
    assert not source.refresh(), "it is not time yet"
    clock.now_s = 30
    assert (source.refresh(), why(source)) == (True, Reason.NUMBER_OF_ANOTHER_CUSTOMER)
    clock.now_s = 60
    assert (source.refresh(), source.trouble) == (False, ""), "nothing has changed"


def test_the_lines_survive_the_absence_of_the_database(database, tmp_path):
    path, clock = tmp_path / "pbx.sqlite3", Clock()
    source = LinesSource(database, clock)
    source.refresh()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE n SET number = '0399999999'")
    clock.now_s = 30
    source.refresh()
    path.rename(away := path.with_suffix(".away"))
    clock.now_s = 60
    assert not source.refresh()
    assert "cannot be read: unable to open database file" in source.trouble
    again = LinesSource(database, clock)
    assert (again.refresh(), why(again)) == (True, Reason.NUMBER_OF_ANOTHER_CUSTOMER), "the kept one, at once"
    assert not again.refresh()
    assert again.trouble
    away.rename(path)
    clock.now_s = 90
    assert (again.refresh(), again.trouble) == (False, ""), "nothing has changed"


@pytest.mark.breadth
def test_another_process_compiles_the_same_and_names_the_same_faults(table):
    octets = compile_in_process(str(table), None, None, "")
    assert octets == compile_here(str(table), None, None, "")
    assert compile_in_process(str(table), None, None, LinesIndex.unpack(octets).origin) is None
    write(table, BAD)
    with pytest.raises(DocumentError) as error:
        compile_in_process(str(table), None, None, "")
    with pytest.raises(DocumentError) as same:
        compile_here(str(table), None, None, "")
    assert error.value.faults == same.value.faults


@pytest.mark.parametrize(("known", "steps"), [("", []), ("an older edition", [10])])
def test_calls_come_before_a_later_edition_but_wait_for_the_first(monkeypatch, table, known, steps):
    asked = {"source": str(table), "query": None, "password": None, "known": known}
    taken: list[int] = []
    output = SimpleNamespace(buffer=io.BytesIO())
    monkeypatch.setattr(os, "nice", taken.append)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asked)))
    monkeypatch.setattr(sys, "stdout", output)
    assert line_compiler.main() == 0
    assert (taken, LinesIndex.unpack(output.buffer.getvalue()).totals.lines > 0) == (steps, True)


def test_another_process_that_fails_says_why(monkeypatch, table):
    monkeypatch.setattr("idtone.registry.customer_lines.line_compiler.sys.executable", "/nowhere")
    with pytest.raises(DocumentError, match="cannot be read: FileNotFoundError"):
        compile_in_process(str(table), None, None, "")
