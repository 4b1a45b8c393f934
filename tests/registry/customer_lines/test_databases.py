"""Tables of real PBX software, in real databases, and the faults of rows."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError
from idtone.registry.customer_lines.index import LinesIndex, compile_lines
from idtone.registry.customer_lines.read_line_table import read
from idtone.registry.customer_lines.rows import entries_of
from lab.mariadb import MariaDB
from lab.postgresql import PostgreSQL
from lab.registry.customer_lines.databases import FREEPBX, FREEPBX_CALLS, WAZO, WAZO_CALLS
from lab.registry.customer_lines.line_tables import NOW, call


def assert_calls(index: LinesIndex, calls: Sequence[tuple[str, str, str, bool]]) -> None:
    for endpoint, account, number, may in calls:
        reason, _ = index.presentation(call(number, endpoint, account), NOW)
        assert (reason is None) is may, (endpoint, account, number, reason)


@pytest.fixture
def freepbx(tmp_path: Path) -> str:
    path = tmp_path / "free#pbx?.sqlite3"  # such a name is a path, not a part of an address
    connection = sqlite3.connect(path)
    connection.executescript(FREEPBX)
    connection.close()
    return f"sqlite:///{path}"


def test_the_tables_of_freepbx(freepbx):
    assert_calls(compile_lines(read(freepbx, "freepbx", None).entries()), FREEPBX_CALLS)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    with MariaDB() as running:
        running.execute(FREEPBX)
        yield running


def test_the_tables_of_freepbx_in_mariadb(mariadb):
    assert_calls(compile_lines(read(mariadb.url, "freepbx", mariadb.password).entries()), FREEPBX_CALLS)


def test_a_mariadb_that_cannot_be_read_says_why(mariadb):
    for query, password, reason in (
        ("SELECT 1 AS number FROM nowhere", mariadb.password, "nowhere"),
        ("DELETE FROM users", mariadb.password, "DELETE command denied"),
        ("SELECT password FROM mysql.user", mariadb.password, "command denied"),
        ("SELECT 1", "wrong", "Access denied"),
    ):
        with pytest.raises(DocumentError) as error:
            read(mariadb.url, query, password)
        assert reason in str(error.value)
        assert "idtone@" not in str(error.value).partition(": ")[0]
    with pytest.raises(DocumentError, match="Can't connect"):
        read("mysql://idtone@127.0.0.1:1/pbx", "freepbx", "x")


def test_a_database_is_never_written(freepbx):
    with pytest.raises(DocumentError, match="readonly database"):
        read(freepbx, "DELETE FROM users", None)


def test_the_tables_of_wazo(postgresql: PostgreSQL):
    with postgresql.database() as url:
        postgresql.execute(WAZO, url.rpartition("/")[2])
        index = compile_lines(read(url, "wazo", postgresql.password).entries())
        assert_calls(index, WAZO_CALLS)
        _, customer = index.presentation(call("0312345678", "ab12cd34"), NOW)
        assert customer == "f0000000-0000-4000-8000-000000000001"


def test_a_postgresql_that_cannot_be_read_says_why(postgresql: PostgreSQL):
    with postgresql.database() as url:
        for query, password, reason in (
            (
                "SELECT 1 AS number FROM nowhere",
                postgresql.password,
                'relation "nowhere" does not exist',
            ),
            ("SELECT CAST('0312345678x' AS INTEGER) AS number", postgresql.password, "invalid input syntax"),
            ("DELETE FROM pg_class", postgresql.password, "read-only transaction"),
            ("SELECT 1", "wrong", "password authentication failed"),
        ):
            with pytest.raises(DocumentError) as error:
                read(url, query, password)
            text = str(error.value)
            assert reason in text
            assert "0312345678" not in text
            assert postgresql.user not in text.partition(":")[0]


def test_the_same_rows_in_another_order_are_the_same_table(freepbx):
    one = read(freepbx, "SELECT id AS endpoint, '0312345678' AS number FROM devices ORDER BY id", None)
    other = read(freepbx, "SELECT id AS endpoint, '0312345678' AS number FROM devices ORDER BY id DESC", None)
    assert one.origin == other.origin


COLUMNS = ("endpoint", "account", "customer", "number", "valid_from", "valid_until", "checked_by", "checked_day")


def test_rows_make_entries():
    rows = [
        ("6001", None, "c-1", "0312345678", None, None, "Sato", date(2026, 4, 1)),
        ("6001", "", "c-1", 312345678, None, None, None, None),
        ("6001", None, "c-1", "0312345679", None, None, "Sato", "2026-04-01"),
        (None, None, "c-1", "0312345600-0312345609", "2026-04-01", date(2027, 4, 1), None, None),
    ]
    checked, unchecked, tenant = entries_of(COLUMNS, rows, "db")
    assert (checked.endpoints, checked.customer, len(checked.spans), checked.is_checked) == (("6001",), "c-1", 2, True)
    assert unchecked.spans == checked.spans[:1], "a column of numbers loses the 0"
    assert not unchecked.is_checked
    assert (tenant.names_lines, len(tenant.spans[0]), tenant.is_checked) == (False, 10, False)
    assert tenant.period[1] - tenant.period[0] == 365 * 86400


@pytest.mark.parametrize(
    ("columns", "rows", "fault"),
    [
        ("endpoint number", [("6001", "0312345678"), ("6002", "1001")], "2:1: number: this is not a Japanese"),
        ("endpoint number", [("1\n", "0312345678"), ("1\n1", "0312345678")], "2:1: endpoint: is not the name"),
        ("customer number", [("09012345678", "0312345678")], "1:1: customer: may be a telephone number"),
        ("account customer number", [("1", "a", "0312345678"), ("2", "b", "0399999999"), ("2", "b", "0312345678")],
         "3:1: number: is a number of another customer too"),
        ("endpoint number valid_from", [("1", "0312345678", "soon")], "1:1: valid_from: is not a date"),
        ("endpoint customer number", [("1", "a", "0312345678"), ("1", "b", "0399999999")],
         "2:1: endpoint: is a line of another customer too"),
        ("endpoint", [], " lines.query: does not return the columns"),
        ("number", [], " lines.query: does not return the columns"),
        ("endpoint number secret", [], " secret: is not a known column"),
    ],
)  # fmt: skip
def test_a_fault_names_row_and_column(columns, rows, fault):
    with pytest.raises(DocumentError) as error:
        entries_of(columns.split(), rows, "db")
    assert str(error.value).startswith(f"db:{fault}")
    assert "12345678" not in str(error.value).partition(". ")[0]
