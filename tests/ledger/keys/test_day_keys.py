import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.core.numbers import parse
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.keys.sealing import LedgerKey
from lab.ledger.sample_evidence import RING

NUMBER = parse("0312345678")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ledger.key.days"


def test_a_day_gets_its_key_once_and_keeps_it(path):
    days = DayKeys(path, RING)
    assert days.get("2026-11-01") is None
    token = days.writing("2026-11-01").token(NUMBER)
    assert days.writing("2026-11-01").token(NUMBER) == token
    again = DayKeys(path, RING)
    for key in (again.get("2026-11-01"), again.writing("2026-11-01")):
        assert key is not None
        assert key.token(NUMBER) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_all_who_want_the_same_day_get_the_same_key(path):
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: DayKeys(path, RING).writing("2026-11-01").token(NUMBER), range(32)))
    assert len(tokens) == 1
    assert path.read_text().count("\n") == 1


def test_what_is_destroyed_is_nowhere_in_the_file(path):
    days, reading = DayKeys(path, RING), DayKeys(path, RING)
    for day in ("2026-10-30", "2026-10-31", "2026-11-01"):
        days.writing(day)
    kept = [line.split()[1] for line in path.read_text().splitlines()]
    assert reading.get("2026-10-31") is not None
    assert days.destroy("2026-11-01") == ["2026-10-30", "2026-10-31"]
    text = path.read_text()
    assert [key in text for key in kept] == [False, False, True]
    assert re.findall(r"^[0-9-]{10} (-{80})$", text, re.MULTILINE) == ["-" * 80] * 2
    for each in (days, reading, DayKeys(path, RING)):
        assert (each.get("2026-10-31"), each.days()) == (None, ["2026-11-01"])
        assert each.destroyed() == {"2026-10-30", "2026-10-31"}
        with pytest.raises(LedgerError, match="the key of 2026-10-31 is destroyed"):
            each.writing("2026-10-31")
    assert days.destroy("2026-11-01") == []


def test_a_line_that_was_cut_off_is_replaced(path):
    days = DayKeys(path, RING)
    days.writing("2026-11-01")
    with path.open("a") as file:
        file.write("2026-11-02 AAAA")
    again = DayKeys(path, RING)
    again.writing("2026-11-03")
    assert [line[:10] for line in path.read_text().splitlines()] == ["2026-11-01", "2026-11-03"]
    assert again.get("2026-11-01") is not None


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda line: line.replace(b" ", b"-"), "line 2 is not the key of a day"),
        (lambda line: line[:-1] + b"x", "line 2 is not the key of a day"),
        (lambda line: b"\xff" + line[1:], "line 2 is not the key of a day"),
        (lambda line: line[:20] + b"AAAA" + line[24:], "the key of 2026-11-02 is damaged"),
    ],
)
def test_a_damaged_line_costs_its_own_day_alone(path, damage, told, caplog):
    days = DayKeys(path, RING)
    for number in (1, 2, 3):
        days.writing(f"2026-11-0{number}")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage(lines[1]) + lines[2])
    again = DayKeys(path, RING)
    assert [again.get(f"2026-11-0{number}") is not None for number in (1, 2, 3)] == [True, False, True]
    assert [record.getMessage() for record in caplog.records if told in record.getMessage()] == [
        f"{path}: {told}; numbers that it has sealed cannot be opened: restore the file from a backup"
    ]
    assert again.writing("2026-11-04")
    assert {"2026-11-01", "2026-11-03"} <= set(again.destroy("2026-11-04"))
    kept = path.read_bytes()
    assert (lines[1][30:60] in kept, kept.count(b"-" * 80)) == (False, 3)
    assert again.days() == ["2026-11-04"]


def test_the_keys_of_another_ledger_are_refused(path):
    DayKeys(path, RING).writing("2026-11-01")
    for use in (DayKeys.get, DayKeys.writing):
        with pytest.raises(LedgerError, match="was not made with this ledger's key"):
            use(DayKeys(path, LedgerKey(bytes(32))), "2026-11-01")


def test_a_file_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"file/days: the keys of the days cannot be used: Not a directory"):
        DayKeys(tmp_path / "file" / "days", RING).writing("2026-11-01")
