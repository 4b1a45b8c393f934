"""Queries the table of lines in SQLite, PostgreSQL, MariaDB and MySQL databases."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from idtone.core.errors import DocumentError, Fault
from idtone.core.terminal.extras import install_command
from idtone.core.translation import Message

CONNECT_WITHIN_S: Final = 10
READ_WITHIN_S: Final = 60
_DIGITS: Final = re.compile(r"[0-9](?:[ ().-]*[0-9]){5,}")

Rows = tuple[Sequence[str], list[Sequence[Any]]]
"""The column names and the rows."""


def place_of(url: str) -> str:
    """URL of the database for messages, without user, password or parameters."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def rows_of(url: str, password: str | None, query: str) -> Rows:
    """Run a query. Returns its columns and rows. Raises DocumentError, which never quotes a row."""
    read = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}[urlsplit(url).scheme]
    return read(url, password, query)


def _sqlite(url: str, password: str | None, query: str) -> Rows:
    path = quote(unquote(url.removeprefix("sqlite:///")))
    with (
        _explained(url, sqlite3.Error),
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=CONNECT_WITHIN_S)) as connection,
    ):
        return _rows(connection.execute(query))


def _postgresql(url: str, password: str | None, query: str) -> Rows:
    try:
        import psycopg
    except ImportError as error:
        raise _missing(url, "postgresql") from error
    with (
        _explained(url, psycopg.Error),
        closing(
            psycopg.connect(
                url,
                password=password,
                connect_timeout=CONNECT_WITHIN_S,
                application_name="idtone",
                client_encoding="utf8",
                options=f"-c default_transaction_read_only=on -c statement_timeout={READ_WITHIN_S}s",
            )
        ) as connection,
    ):
        return _rows(connection.execute(query.encode()))


def _mysql(url: str, password: str | None, query: str) -> Rows:
    try:
        import pymysql
    except ImportError as error:
        raise _missing(url, "mariadb") from error
    parts = urlsplit(url)
    place = (
        {"host": parts.hostname or "127.0.0.1", "port": parts.port or 3306}
        if not parts.query.startswith("socket=")
        else {"unix_socket": unquote(parts.query.removeprefix("socket="))}
    )
    with (
        _explained(url, pymysql.Error),
        closing(
            pymysql.connect(
                **place,
                user=unquote(parts.username or "idtone"),
                password=password or "",
                database=unquote(parts.path.strip("/")),
                charset="utf8mb4",
                connect_timeout=CONNECT_WITHIN_S,
                read_timeout=READ_WITHIN_S,
                init_command="SET SESSION TRANSACTION READ ONLY",
            )
        ) as connection,
    ):
        cursor = connection.cursor()
        cursor.execute(query)
        return _rows(cursor)


def _rows(cursor: Any) -> Rows:
    return [column[0] for column in cursor.description or ()], cursor.fetchall()


@contextmanager
def _explained(url: str, error_type: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (error_type, OSError) as error:
        first = _DIGITS.sub("…", str(error).strip().partition("\n")[0]) or type(error).__name__
        raise DocumentError(
            [
                Fault(
                    place_of(url),
                    0,
                    0,
                    "",
                    Message("cannot be read: {reason}", reason=first),
                    Message("Check lines.source, lines.password_file and lines.query, and that the database runs"),
                )
            ]
        ) from error


def _missing(url: str, extra: str) -> DocumentError:
    return DocumentError(
        [
            Fault(
                place_of(url),
                0,
                0,
                "",
                Message("needs a library that is not here"),
                Message("Install it: {command}", command=install_command(extra)),
            )
        ]
    )
