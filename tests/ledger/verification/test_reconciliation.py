"""Calls that are missing in the ledger or in call detail records (CSV) of any program, compared by SIP Call-ID."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from idtone.core.calls import Outcome
from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.idtone_programs import locate_command
from lab.ledger.sample_evidence import PLAY, forwarded, write_each

START = datetime(2026, 11, 10, 23, 59, 58, tzinfo=UTC)
Run = Callable[..., tuple[int, dict[str, Any]]]


def sip_id(number: int) -> str:
    return f"sip-{number}@192.0.2.1"


def call(number: int, end: str = "ended", sip: str | None = None, canary: bool = False) -> list[Step]:
    """Steps of a call, one each second, with the SIP Call-ID `sip_id(number)`."""
    call_id, at = f"c-{number}", START + timedelta(seconds=number)
    asked = replace(forwarded(call_id), sip_call_id=sip_id(number) if sip is None else sip)
    later = at + timedelta(seconds=5)
    ends = {
        "ended": steps.ended(call_id, later, CallStatus.CANCEL, 16),
        "interrupted": steps.interrupted(call_id, later),
    }
    return [steps.decided(asked, PLAY, at, canary=canary), *(each for name, each in ends.items() if name == end)]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a ledger with ten calls over midnight (UTC).

    Call 6 is interrupted, call 7 is in progress, call 8 has no Call-ID, and call 9 is a canary.
    """
    folder = tmp_path_factory.mktemp("reconciled")
    path = folder / "idtone.yaml"
    path.write_text(f"node: pbx-1\nledger: {{url: 'sqlite:///{folder}/l.sqlite3', key_file: {folder}/key}}\n")
    settings = load_settings(path, {})
    with LedgerWriter.open(settings.ledger.url, "pbx-1", KeyRing.of(settings.ledger, "pbx-1")) as writer:
        for number in range(6):
            write_each(writer, *call(number))
        write_each(writer, *call(6, "interrupted"), *call(7, ""), *call(8, sip=""), *call(9, canary=True))
    return path


@pytest.fixture
def run(config: Path, tmp_path: Path) -> Run:
    def reconcile(text: str, *options: str, encoding: str = "utf-8") -> tuple[int, dict[str, Any]]:
        file = tmp_path / "cdr.csv"
        file.write_text(text, encoding=encoding)
        arguments = ["reconcile", str(file), "-c", str(config), "--json", *options]
        result = CliRunner().invoke(*locate_command(arguments), catch_exceptions=False)
        return result.exit_code, json.loads(result.stdout)

    return reconcile


def jst(number: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return (START + timedelta(seconds=number, hours=9)).strftime(form)


def rows(*numbers: int) -> str:
    """Rows of cdr_custom with the documented mapping, in Japan."""
    return "".join(f'"{sip_id(number)}","{jst(number)}","ANSWERED"\n' for number in numbers)


WINDOW = ("--zone", "Asia/Tokyo", "--since", "2026-11-10T23:59:58+00:00", "--until", "2026-11-11T00:00:30+00:00")


def test_both_sides_have_the_same_calls(run):
    code, found = run(rows(*range(7), 3, 3) + '"","2026-11-11 09:00:00","ANSWERED"\n', *WINDOW)
    assert (code, found["good"]) == (0, True)
    assert (found["rows"], found["calls_in_csv"], found["rows_without_call_id"]) == (10, 7, 1)
    counts = [found[name] for name in ("calls_in_ledger", "without_call_id", "in_progress", "interrupted")]
    assert counts == [9, 1, 1, 1]


def test_what_one_side_lacks_is_named_without_numbers(run):
    code, found = run(rows(0, 1, 2, 4, 5, 6) + rows(20, 20), *WINDOW)
    assert code == 1
    assert found["missing_in_ledger"] == [{"line": 7, "at": "2026-11-11T00:00:18.000+00:00"}]
    [missing] = found["missing_in_csv"]
    assert (missing["call_id"], missing["outcome"], missing["ends"]) == ("c-3", Outcome.PLAY, "ended")
    assert "sip-" not in json.dumps(found)


def test_the_time_of_the_file_is_the_window_unless_another_is_given(run):
    code, found = run(rows(1, 2, 3), "--zone", "Asia/Tokyo")
    assert (code, found["calls_in_ledger"], found["not_in_csv"]) == (1, 4, 1), "with the second of the last record"
    code, found = run(rows(1, 2, 3, 20), *WINDOW[:-1], "2026-11-11T00:00:01+00:00")
    assert (code, found["rows_outside"], found["not_in_csv"]) == (1, 1, 1)


CARRIERS = {
    "names": (
        "calling,began,SIP Call-ID\n", "0312345678,{time},{id}\n", "%Y-%m-%d %H:%M:%S",
        ("--call-id", "SIP Call-ID", "--start", "began"), "utf-8",
    ),
    "Japanese, Shift_JIS": (
        "発信日時,呼ID\n", "{time},{id}\n", "%Y/%m/%d %H:%M:%S",
        ("--call-id", "呼ID", "--start", "発信日時", "--encoding", "cp932"), "cp932",
    ),
    "a form of its own": ("", "{id},{time}\n", "%d.%m.%y %Hh%M:%S", ("--time-format", "%d.%m.%y %Hh%M:%S"), "utf-8"),
    "an offset": ("", "{id},{time}+09:00\n", "%Y-%m-%dT%H:%M:%S", (), "utf-8"),
    "columns by number": ("", "x,{time},{id}\n", "%Y-%m-%d %H:%M:%S", ("--call-id", "3"), "utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_csv_of_carriers(run, carrier):
    head, line, form, options, encoding = CARRIERS[carrier]
    lines = (line.format(time=jst(each, form), id=sip_id(each)) for each in range(7))
    code, found = run(head + "".join(lines), *options, *WINDOW, encoding=encoding)
    assert (code, found["not_in_ledger"], found["not_in_csv"]) == (0, 0, 0)


def test_seconds_since_1970(run):
    text = "".join(f"{sip_id(each)},{START.timestamp() + each:.6f}\n" for each in range(7))
    assert run(text, *WINDOW[2:])[0] == 0


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b\n", (), "cdr.csv:1: has no time in column 2"),
        ("a\n", (), "cdr.csv:1: has 1 fields; correct --call-id and --start"),
        ('a,2026-11-11 00:00:00\n"a"b\n', (), "cdr.csv:2: is not CSV"),
        ("x" * 1_000_002, (), "cdr.csv:1: is longer than any record"),
        ("id,began\n", ("--call-id", "call"), "the first line has no column 'call'; correct --call-id"),
        ("", (), "no record has a SIP Call-ID"),
        (rows(1), ("--zone", "Tokio"), "--zone 'Tokio' is not known"),
        (rows(1), ("--encoding", "none"), "--encoding 'none' is not known"),
    ],
)
def test_what_cannot_be_read_names_the_line_and_the_remedy(run, text, options, told):
    with pytest.raises(UsageError, match=told):
        run(text, *options)


def test_days_without_a_key_are_counted(run):
    code, found = run("".join(f"{sip_id(each)},2026-10-01T00:00:0{each}+00:00\n" for each in range(3)))
    assert (code, found["rows_without_key"], found["not_in_ledger"]) == (0, 3, 0)
