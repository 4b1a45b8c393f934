from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.day_keys import DayKeys
from idtone.ledger.sealing import KeyRing
from idtone.numbers import parse

from .evidence import RING

NUMBER = parse("0312345678")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ledger.key.days"


def test_a_day_gets_its_key_once_and_keeps_it(path: Path) -> None:
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


def test_all_who_want_the_same_day_get_the_same_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: DayKeys(path, RING).writing("2026-11-01").token(NUMBER), range(32)))
    assert len(tokens) == 1
    assert path.read_text().count("\n") == 1


def test_what_is_destroyed_is_nowhere_in_the_file(path: Path) -> None:
    days = DayKeys(path, RING)
    for day in ("2026-10-30", "2026-10-31", "2026-11-01"):
        days.writing(day)
    kept = [line.split()[1] for line in path.read_text().splitlines()]
    assert days.destroy("2026-11-01") == ["2026-10-30", "2026-10-31"]
    text = path.read_text()
    assert [key in text for key in kept] == [False, False, True]
    assert re.findall(r"^[0-9-]{10} (-{80})$", text, re.MULTILINE) == ["-" * 80] * 2
    for each in (days, DayKeys(path, RING)):
        assert (each.get("2026-10-31"), each.days()) == (None, ["2026-11-01"])
        assert each.destroyed() == {"2026-10-30", "2026-10-31"}
        with pytest.raises(LedgerError, match="the key of 2026-10-31 is destroyed"):
            each.writing("2026-10-31")
    assert days.destroy("2026-11-01") == []


def test_another_process_sees_what_is_destroyed(path: Path) -> None:
    reading = DayKeys(path, RING)
    DayKeys(path, RING).writing("2026-11-01")
    assert reading.get("2026-11-01") is not None
    DayKeys(path, RING).destroy("2026-11-02")
    assert reading.get("2026-11-01") is None


def test_a_line_that_was_cut_off_is_replaced(path: Path) -> None:
    days = DayKeys(path, RING)
    days.writing("2026-11-01")
    with path.open("a") as file:
        file.write("2026-11-02 AAAA")
    again = DayKeys(path, RING)
    again.writing("2026-11-03")
    assert [line[:10] for line in path.read_text().splitlines()] == ["2026-11-01", "2026-11-03"]
    assert again.get("2026-11-01") is not None


def test_a_damaged_file_is_refused_with_its_line(path: Path) -> None:
    days = DayKeys(path, RING)
    days.writing("2026-11-01")
    days.writing("2026-11-02")
    path.write_text(path.read_text().replace("2026-11-02 ", "2026-11-02-"))
    with pytest.raises(LedgerError, match=rf"{path}:2: is not the key of a day; restore"):
        DayKeys(path, RING).get("2026-11-01")


def test_the_keys_of_another_ledger_are_refused(path: Path) -> None:
    DayKeys(path, RING).writing("2026-11-01")
    for use in (DayKeys.get, DayKeys.writing):
        with pytest.raises(LedgerError, match="was not made with this ledger's key"):
            use(DayKeys(path, KeyRing(bytes(32))), "2026-11-01")


def test_a_file_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"file/days: the keys of the days cannot be used: Not a directory"):
        DayKeys(tmp_path / "file" / "days", RING).writing("2026-11-01")
