"""`make console`: the console beside a real Asterisk with five calls a second, and with the association's folder after
a year.

    python -m lab.console.demo [--seconds N] [--rate R] [--hold S] [--year FOLDER]

The calls of the last day are invented (`past_calls`). Those from now on are real, though no person speaks. Everything
listens on 127.0.0.1 only. At the end, the demo stops everything that it started.
"""

import argparse
import contextlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import yaml

from idtone.console.access.passwords import hash_password
from idtone.console.access.rights import Role
from idtone.core.settings.settings import Settings
from lab.asterisk import LOOPBACK, Asterisk, free_ports
from lab.asterisk_installation import AsteriskMissing, find_or_get
from lab.demo import EXPIRED, REGISTRY
from lab.lab import LICENSED, SUSPENDED
from lab.office.year.office_year import localise
from lab.processes import end_in_order
from lab.repository import ROOT
from lab.service import Service
from lab.sipp import Load, called

from .console_process import console_process
from .past_calls import write_past_calls

PORT: Final = 8720
NAME: Final = "demo"
NUMBERS: Final = (*[LICENSED] * 16, EXPIRED, EXPIRED, "0362345678", SUSPENDED)
RATE, HOLD_S = 5.0, 4.0
LONGEST_S: Final = 86_400.0
PAST_CALLS: Final = 4000
PAST: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo."""

    address: str
    name: str
    password: str
    load: Load


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def demo(
    folder: Path, seconds: float, rate: float = RATE, hold_s: float = HOLD_S, year: Path | None = None
) -> Iterator[Demo]:
    """Context with the console, and with calls for `seconds`. Raises AsteriskMissing.

    `year` is the folder of a finished year. Without it, a new year is created.
    """
    installation = find_or_get()
    with ExitStack() as started:
        tell(localise("a year of the association's office …", "協会事務局の一年を再現しています …"))
        if year:
            shutil.copytree(year, folder / "year")
            _write_past_calls(folder / "pbx")
        else:
            with _year(folder / "year") as making:
                _write_past_calls(folder / "pbx")
                if making.wait() != 0:
                    raise RuntimeError((folder / "year.log").read_text())
        tell(localise(f"Asterisk {installation.version} …", f"Asterisk {installation.version} を起動しています …"))
        asterisk = started.enter_context(Asterisk(installation, folder / "pbx"))
        service = started.enter_context(Service(asterisk, REGISTRY))
        answering = started.enter_context(called(folder / "called"))
        load = Load(asterisk.sip_address, answering.port, NUMBERS, rate, seconds, folder / "callers", hold_s=hold_s)
        started.callback(load.stop)
        config, password = _configure(service, folder)
        yield Demo(started.enter_context(console_process(config)).address, NAME, password, load)


def _write_past_calls(pbx: Path) -> None:
    """Write past calls into the service's ledger. This must happen before the service starts."""
    ledger = {"url": f"sqlite:///{pbx}/ledger/ledger.sqlite3", "key_file": str(pbx / "ledger" / "ledger.key")}
    settings = Settings.model_validate({"node": "lab", "ledger": ledger, "sounds": {"directory": str(pbx / "sounds")}})
    write_past_calls(settings, PAST_CALLS, PAST, datetime.now(UTC))


@contextmanager
def _year(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Context in which a process creates the association's folder while other parts of the demo start."""
    command = [sys.executable, "-m", "lab.office.year", folder]
    with (
        folder.with_suffix(".log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _configure(service: Service, folder: Path) -> tuple[Path, str]:
    """The settings file of the service and the console, and the password of the console's user."""
    password = secrets.token_urlsafe(9)
    user = {"name": NAME, "roles": [*map(str, Role)], "password": hash_password(password)}
    (folder / "users.yaml").write_text(yaml.safe_dump({"users": [user]}), "utf-8")
    console = {
        "listen": f"{LOOPBACK}:{_port()}",
        "users": str(folder / "users.yaml"),
        "office": str(folder / "year" / "office"),
    }
    config = folder / "console.yaml"
    config.write_text(service.settings.read_text("utf-8") + yaml.safe_dump({"console": console}), "utf-8")
    return config, password


def _port() -> int:
    """The console's usual port if it is free, and otherwise any free port."""
    with contextlib.suppress(OSError), socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, PORT))
        return PORT
    return free_ports(1)[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="console", description=__doc__)
    parser.add_argument("--seconds", type=float, help="end after so long; otherwise with Ctrl-C")
    parser.add_argument("--rate", type=float, default=RATE, help="calls a second")
    parser.add_argument("--hold", type=float, default=HOLD_S, help="seconds of a call")
    parser.add_argument("--year", type=Path, metavar="FOLDER", help="what make demo-authority left, not a new one")
    given = parser.parse_args()
    end_in_order()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="idtone-console-") as folder,
            demo(Path(folder), given.seconds or LONGEST_S, given.rate, given.hold, given.year) as running,
        ):
            print(localise("address ", "アドレス    "), running.address)
            print(localise("name    ", "名前        "), running.name)
            print(localise("password", "パスワード  "), running.password)
            ending = "" if given.seconds else localise("Ctrl-C ends it.", "Ctrl-C で終了します。")
            tell(localise(f"{given.rate:g} calls a second. {ending}", f"毎秒 {given.rate:g} 通話です。{ending}"))
            sys.stdout.flush()
            time.sleep(given.seconds or LONGEST_S)
    except AsteriskMissing as error:
        print(f"console: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    tell(localise("Nothing was left running.", "すべて終了しました。"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
