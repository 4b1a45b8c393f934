"""Runs a real PostgreSQL for the tests: the machine's own, or Debian's, unpacked in the user's cache.

    python -m lab.postgresql     prints the folder of its programs

The server listens on the loopback address at a free port, and stops with the test that uses it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg

from .asterisk import free_ports
from .debian_archive import PackagesUnavailable, Progress
from .packages import write_script
from .unpacked_packages import command, print_progress, unpacked_tree

INSTALLED: Final = Path("/usr/lib/postgresql")
"""Debian's folder for the programs of each version, which is not in PATH."""
OLDEST: Final = 13
WITHOUT: Final = tuple(
    """
    adduser debconf init-system-helpers libc-bin libc-l10n libipc-* libjson-perl libio-* libllvm* libperl* libtext-*
    libz3-* locales login.defs netbase openssl passwd perl* postgresql-client-* postgresql-common* procps
    readline-common sensible-utils ssl-cert sysvinit-utils tzdata ucf
    """.split()
)
"""Patterns of packages that only its installation needs, and of the compiler for long queries.

Together they are two thirds of the download.
"""
NOBODY: Final = 65534
"""User id of the server if the tests run as root, because PostgreSQL refuses to run as root."""
READY_S: Final = 60.0


def change_url(url: str, *, user: str = "", host: str = "", port: int = 0, database: str = "") -> str:
    """Replace parts of the URL of a database."""
    parsed = urlsplit(url)
    place = f"{user or parsed.username}@{host or parsed.hostname}:{port or parsed.port}"
    return urlunsplit(parsed._replace(netloc=place, path=f"/{database}" if database else parsed.path))


def database_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


class PostgreSQLMissing(Exception):
    """No PostgreSQL was found, and none could be fetched. The message gives the reason."""


@contextmanager
def postgresql_programs(installed: Path = INSTALLED, progress: Progress = print_progress) -> Iterator[Path]:
    """Context with the folder of `initdb` and `postgres`, which any user can run. Raises PostgreSQLMissing."""
    own = [folder for folder in installed.glob("*/bin") if (folder / "postgres").exists()]
    newest = max(own, key=lambda folder: float(folder.parent.name), default=None)
    if newest and float(newest.parent.name) >= OLDEST:
        yield newest
        return
    try:
        kept = unpacked_tree("postgresql", without=WITHOUT, progress=progress)
    except PackagesUnavailable as error:
        raise PostgreSQLMissing(f"No PostgreSQL for the tests: {error}\nInstall the package postgresql") from error
    with tempfile.TemporaryDirectory(prefix="idtone-postgresql-") as folder:
        # A copy, because PostgreSQL starts its own programs by name and only root can read root's cache.
        Path(folder).chmod(0o755)
        copy = Path(folder) / "tree"
        shutil.copytree(kept, copy, symlinks=True)
        found = next(copy.glob("usr/lib/postgresql/*/bin"))
        for name in ("initdb", "postgres"):
            program = found / name
            program.rename(real := program.with_name(f"{name}.real"))
            write_script(program, command(copy, str(real.relative_to(copy))))
        yield found


class PostgreSQL:
    """One server. `user` is the superuser, with the password `password` and the database `postgres`."""

    user: Final = "idtone"

    def __init__(self, programs: Path) -> None:
        self.password = secrets.token_urlsafe(12)
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="idtone-postgresql-"))
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)  # also free while the server is killed, so no client gets it as its own
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)
            self._as = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def another(self) -> PostgreSQL:
        """A second server with the same user and password, without a data folder yet."""
        server = PostgreSQL(self._programs)
        server.password = self.password
        return server

    def url(self, database: str = "postgres", port: int = 0) -> str:
        """The URL of a database. `port` is the port of a proxy in front of the server."""
        return f"postgresql://{self.user}@127.0.0.1:{port or self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Context with the URL of a new database, which is dropped at the end."""
        name = f"d_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        yield self.url(name)
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, query: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a query on a new connection and return its rows."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(query)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def make(self) -> None:
        """Create the data folder."""
        secret = self._folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)  # only the server's user can enter the folder
        self._run(
            "initdb",
            "--pgdata",
            str(self._folder / "data"),
            "--username",
            self.user,
            "--pwfile",
            str(secret),
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        )

    def follow(self, primary: PostgreSQL) -> None:
        """Make this server a standby of `primary` (streaming replication).

        `primary` must have a data folder and must not be running.
        """
        self.password = primary.password
        data = self._folder / "data"
        shutil.copytree(primary._folder / "data", data)
        (data / "standby.signal").touch()
        source = f"host=127.0.0.1 port={primary.port} user={primary.user} password={primary.password}"
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{source}'\n")
        if self._as:
            for path in (data, *data.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def promote(self) -> None:
        """Promote this standby, and wait until it is the primary."""
        self.execute("SELECT pg_promote()")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port),
                    "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._folder}",
                    "-c", "jit=off",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, **self._as,
            )  # type: ignore[call-overload]  # fmt: skip
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._is_ready():
                return
            time.sleep(0.05)
        raise PostgreSQLMissing(f"PostgreSQL does not start:\n{self.log[-2000:]}")

    def stop(self) -> None:
        """Stop the server in an orderly way. Running queries are aborted."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    @property
    def pids(self) -> list[int]:
        """Process ids of the server, with the main process first."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def kill(self) -> None:
        """Kill all processes of the server at once, as in a power failure."""
        assert self._process
        own = self.pids
        for pid in own:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait(60)
        self._process = None
        while any(Path(f"/proc/{pid}").exists() for pid in own):  # the next server on this data also waits for them
            time.sleep(0.01)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        try:
            self.make()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def _is_ready(self) -> bool:
        """True if the server accepts connections, according to its PID file."""
        try:
            lines = (self._folder / "data/postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        return (
            len(lines) > 7
            and lines[7].strip() in ("ready", "standby")
            and lines[0] == str(self._process and self._process.pid)
        )

    def _run(self, program: str, *arguments: str) -> None:
        words: Sequence[str] = [str(self._programs / program), *arguments]
        done = subprocess.run(words, capture_output=True, text=True, cwd=self._folder, check=False, **self._as)  # type: ignore[call-overload]
        if done.returncode:
            raise PostgreSQLMissing(f"{program}: {done.stdout}{done.stderr}")


@contextmanager
def pair(programs: Path) -> Iterator[tuple[PostgreSQL, PostgreSQL]]:
    """Context with a primary and a standby that follows it."""
    primary, standby = PostgreSQL(programs), PostgreSQL(programs)
    try:
        primary.make()
        standby.follow(primary)
        primary.start()
        standby.start()
        yield primary, standby
    finally:
        standby.remove()
        primary.remove()


def main() -> int:
    """Find or fetch PostgreSQL, and print the folder of its programs."""
    try:
        with postgresql_programs() as found:
            print(found)
    except PostgreSQLMissing as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
