"""A real Prometheus for the tests, with its `promtool`: the machine's own, or Debian's."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final, Self

from .asterisk import free_ports
from .packages import command, unpacked_tree

WITHOUT: Final = tuple(
    """
    adduser base-passwd debconf fonts-* gcc-* init-system-helpers javascript-common libacl* libattr* libaudit* libbsd*
    libbz2-* libcap* libcrypt* libdb* libdebconf* libgcc-* libjs-* libmd0 libpam* libpcre* libselinux* libsemanage*
    libsepol* libsystemd* login.defs passwd
    """.split()
)
"""Patterns of packages that only its installation and its web pages need."""
READY_S: Final = 120.0


def prometheus_program(name: str) -> list[str]:
    """The command of `prometheus` or `promtool`. Raises PackagesUnavailable."""
    installed = shutil.which(name)
    return [installed] if installed else command(unpacked_tree("prometheus", without=WITHOUT), f"usr/bin/{name}")


def promtool(*arguments: str | Path, given: str | bytes = b"") -> str:
    """The output of promtool about files, or about its input `given`.

    Raises AssertionError with this output if promtool finds an error.
    """
    done = subprocess.run(
        [*prometheus_program("promtool"), *arguments],
        env=os.environ | {"GOGC": "400"},  # otherwise its garbage collection takes more processor time
        input=given.encode() if isinstance(given, str) else given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


class Prometheus:
    """A Prometheus with alert rules that scrapes one address twice a second.

    It runs on the loopback address until the context ends.
    """

    def __init__(self, scratch: Path, target: str, rules: Path) -> None:
        (self._port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{self._port}"
        self._scratch = scratch
        configured = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "idtone", "static_configs": [{"targets": [target]}]}],
        }
        (scratch / "prometheus.yml").write_text(json.dumps(configured))

    def __enter__(self) -> Self:
        with (self._scratch / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *prometheus_program("prometheus"),
                    f"--config.file={self._scratch / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._scratch / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of Prometheus's HTTP API. Waits until Prometheus has started.

        Raises RuntimeError with the log if Prometheus ends or does not start in time.
        """
        address = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        deadline_s = time.monotonic() + READY_S
        while True:
            try:
                with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 — an address of ours
                    return json.load(answer)["data"]
            except OSError:
                if time.monotonic() > deadline_s or self._process.poll() is not None:
                    raise RuntimeError((self._scratch / "prometheus.log").read_text()) from None
                time.sleep(0.1)

    def value(self, expression: str) -> float | None:
        """Present value of the expression, or None if it has no value."""
        found = self.get("query", query=expression)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def becomes(self, expression: str, wanted: float, within_s: float = READY_S) -> None:
        """Wait until the expression has the value `wanted`. Raises AssertionError after `within_s`."""
        deadline_s = time.monotonic() + within_s
        while (found := self.value(expression)) != wanted:
            assert time.monotonic() < deadline_s, f"{expression} is {found} and not {wanted}"
            time.sleep(0.2)
