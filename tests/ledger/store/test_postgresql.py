"""The PostgreSQL of several nodes: its name and its connection."""

import sys

import pytest

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import LedgerSettings
from idtone.ledger.store.database import Database
from idtone.ledger.store.postgresql import Server, schema_of
from lab.fleet import wait_until
from lab.postgresql import change_url, database_of, pair
from lab.postgresql import postgresql_programs as found_programs


@pytest.fixture
def postgresql_programs():
    with found_programs() as found:
        yield found


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://me:secret@db/x", "holds a password.*password_file"),
        ("postgresql://db/x?password=secret", "holds a password.*password_file"),
        ("postgresql+psycopg://db/secret", r"names postgresql\+psycopg; write it like postgresql://"),
        ("mysql://me:secret@db/x", "names mysql; write it like"),
        ("secret", "not the address of a database"),
    ],
)
def test_addresses_that_are_refused_without_being_shown(url, problem):
    with pytest.raises(LedgerError, match=problem) as refused:
        Server.named(url)
    assert "secret" not in str(refused.value)


def test_what_is_shown_of_a_server_is_no_password():
    server = Server.of(LedgerSettings(url="postgresql://me@db/x?sslmode=verify-full", password="s3cret"))  # noqa: S106
    assert str(server) == "postgresql://me@db/x"
    for shown in (str(server), repr(server), repr(server.database("a", "b"))):
        assert "s3cret" not in shown


def test_each_log_has_a_schema_of_its_own_that_can_be_read():
    names = ["pbx-1/idtone", "PBX-1/idtone", "pbx_1/idtone", "東京/idtone", "x" * 200, 'a"; DROP TABLE steps; --']
    schemas = [schema_of(name) for name in names]
    assert len({*schemas}) == len(names)
    assert schemas[0].startswith("idtone_pbx_1_idtone_")
    assert all(len(schema) <= 63 and schema.isascii() and schema.replace("_", "").isalnum() for schema in schemas)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"database": "absent"}, 'database "absent" does not exist'),
        ({"user": "nobody"}, "password authentication failed.*see ledger.password_file"),
        ({"port": 1}, "Connection refused; see that PostgreSQL runs"),
        ({"host": "name.invalid"}, "see that PostgreSQL runs"),
    ],
)
def test_what_goes_wrong_is_told_with_a_remedy_and_without_a_password(postgresql, change, told):
    server = Server.named(postgresql.url(), postgresql.password)
    with pytest.raises(LedgerError, match=told) as failed:
        Server(change_url(server.url, **change), server.password).schemas()  # type: ignore[arg-type]
    assert "\n" not in str(failed.value)
    assert postgresql.password not in str(failed.value)


@pytest.mark.nightly
def test_of_several_servers_the_one_that_takes_writes_is_found(postgresql_programs):
    """The address has libpq's form, with the names of all servers and target_session_attrs."""
    with pair(postgresql_programs) as (primary, standby):
        primary.execute("CREATE DATABASE idtone")
        # The standby first, so that order alone finds the wrong one.
        places = ",".join(f"127.0.0.1:{each.port}" for each in (standby, primary))
        url = f"postgresql://{primary.user}@{places}/idtone"
        both = Server.named(f"{url}?target_session_attrs=read-write", primary.password)
        connection = both.connect()
        assert connection.driver.info.port == primary.port
        assert connection.is_private()
        connection.close()
        assert str(both) == url
        assert LedgerSettings(url=both.url).is_shared()
        first = Server.named(url, primary.password)
        there = "SELECT 1 FROM pg_database WHERE datname = 'idtone'"
        wait_until(lambda: standby.execute(there), "the standby to have the database", 20)
        with pytest.raises(
            LedgerError, match=r"read-only transaction; it is a standby.*target_session_attrs=read-write"
        ):
            write(first)
        primary.kill()
        with pytest.raises(LedgerError, match="see that PostgreSQL runs"):
            write(both)
        standby.promote()
        write(both)


def write(server: Server) -> None:
    with server.explaining():
        connection = server.connect()
        try:
            connection.execute("CREATE SCHEMA written")
            connection.driver.commit()
        finally:
            connection.close()


def test_what_nobody_foresaw_is_not_told_as_an_outage(server):
    with (
        pytest.raises(LedgerError, match="division by zero; see PostgreSQL's log for more") as failed,
        server.database("public", "it").reading() as connection,
    ):
        connection.execute("SELECT 1 / 0")
    assert "runs" not in str(failed.value)


def test_libpq_finds_the_password_by_its_own_ways_and_without_it_the_package_is_named(
    postgresql, monkeypatch, tmp_path_factory
):
    with pytest.raises(LedgerError, match=r"no password supplied.*see ledger\.password_file"):
        Server.named(postgresql.url()).schemas()
    passfile = tmp_path_factory.mktemp("home") / "pgpass"
    passfile.write_text(f"127.0.0.1:{postgresql.port}:*:{postgresql.user}:{postgresql.password}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    assert Server.named(postgresql.url()).schemas() == []
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"pip install 'idtone\[postgresql\]'"):
        Server.named("postgresql://db/x").schemas()


def test_readers_can_change_nothing(server, postgresql):
    postgresql.execute("CREATE TABLE public.t (x int)", database_of(server.url))
    database: Database = server.database("public", "it")
    with (
        pytest.raises(LedgerError, match="cannot execute INSERT in a read-only transaction"),
        database.reading() as link,
    ):
        link.execute("INSERT INTO t VALUES (1)")
