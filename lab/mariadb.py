"""Runs a real MariaDB for the tests: Debian's, unpacked in the user's cache.

The server listens on the loopback address at a free port, and stops with the test that uses it.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Self

import pymysql

from .asterisk import free_ports
from .postgresql import NOBODY
from .unpacked_packages import command, print_progress, unpacked_tree

WITHOUT: Final = tuple(
    "adduser debconf init-system-helpers lsof mariadb-client* perl* procps psmisc rsync galera* libdbi-perl".split()
)
"""Patterns of packages that only its installation needs."""
READY_S: Final = 120.0


class MariaDB:
    """One server with an empty database `pbx` and a user `idtone` with read access only."""

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(12)
        self._root = secrets.token_urlsafe(12)
        self._tree = unpacked_tree("mariadb-server-core", without=WITHOUT, progress=print_progress)
        self._folder = Path(tempfile.mkdtemp(prefix="idtone-mariadb-"))
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:  # MariaDB refuses to run as root
            os.chown(self._folder, NOBODY, NOBODY)
            copy = self._folder / "tree"  # only root can read root's cache
            shutil.copytree(self._tree, copy, symlinks=True)
            self._tree = copy
            self._as = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    @property
    def url(self) -> str:
        return f"mysql://idtone@127.0.0.1:{self.port}/pbx"

    def execute(self, script: str) -> None:
        """Run statements as the administrator. Each statement ends with `;` at the end of a line."""
        with (
            pymysql.connect(
                host="127.0.0.1", port=self.port, user="root", password=self._root, database="pbx", autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in filter(str.strip, script.split(";\n")):
                cursor.execute(statement)

    def _command(self, *arguments: str) -> list[str]:
        return [
            *command(self._tree, "usr/sbin/mariadbd"), "--no-defaults", f"--datadir={self._folder / 'data'}",
            f"--lc-messages-dir={self._tree / 'usr/share/mariadb'}", f"--tmpdir={self._folder}",
            f"--character-sets-dir={self._tree / 'usr/share/mariadb/charsets'}", "--innodb-buffer-pool-size=8M",
            "--innodb-use-native-aio=OFF", "--innodb-flush-log-at-trx-commit=0", *arguments,
        ]  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self._make()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        (self._folder / "data").mkdir()
        if self._as:
            os.chown(self._folder / "data", NOBODY, NOBODY)
        share = self._tree / "usr/share/mariadb"
        tables = (share / name for name in ("mariadb_system_tables.sql", "mariadb_system_tables_data.sql"))
        script = "CREATE DATABASE mysql;\nUSE mysql;\n" + "".join(path.read_text() for path in tables)
        subprocess.run(
            self._command("--bootstrap"),
            input=script.encode(),
            check=True,
            capture_output=True,
            cwd=self._folder,
            **self._as,
        )  # type: ignore[call-overload]
        rights = (
            "FLUSH PRIVILEGES;\nCREATE DATABASE pbx;\n"
            f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{self._root}';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
            f"CREATE USER idtone@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT SELECT ON pbx.* TO idtone@'127.0.0.1';\n"
        )
        subprocess.run(
            self._command("--bootstrap"),
            input=rights.encode(),
            check=True,
            capture_output=True,
            cwd=self._folder,
            **self._as,
        )  # type: ignore[call-overload]

    def _start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(
                    f"--port={self.port}",
                    "--bind-address=127.0.0.1",
                    f"--socket={self._folder / 'socket'}",
                    "--skip-name-resolve",
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as,
            )  # type: ignore[call-overload]
        deadline_s = time.monotonic() + READY_S
        while "ready for connections" not in (log := (self._folder / "log").read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"MariaDB does not start:\n{log[-2000:]}")
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None
        shutil.rmtree(self._folder)
