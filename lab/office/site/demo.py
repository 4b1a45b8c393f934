"""The public site with the lab's data: `make public`.

    python -m lab.office.site.demo [--seconds N]

The report desk and the number service listen on 127.0.0.1 only, and end with the demo.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from lab.asterisk import LOOPBACK, OFFICE, free_ports

from ..authority.office import PHRASE, Office
from .published_site import LICENSED, NEVER, NOT_A_MEMBERS, STOPPED, UNLICENSED, published_site, site_of

LONGEST_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class PublicDemo:
    """Address of a served site, address of the report desk, and the folders behind them."""

    address: str
    desk: str
    site: Path
    office: Office


@contextmanager
def demo(folder: Path) -> Iterator[PublicDemo]:
    """Context with the running demo. Writes the association's files and the site into `folder`."""
    ports = free_ports(2)
    address, desk = (f"http://{LOOPBACK}:{port}" for port in ports)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDTONE_PASSPHRASE", PHRASE)
        office = Office(folder / "authority", patch)
        published_site(office, "names_holders: true, course: true, hourly_each: 1000", address, desk)
    site = site_of(office)
    commands = (
        ["site", "serve", "--folder", office.folder, "--site", site, "--listen", f"{LOOPBACK}:{ports[0]}"],
        ["desk", "--folder", office.folder, "--listen", f"{LOOPBACK}:{ports[1]}"],
    )
    with ExitStack() as life:
        for command in commands:
            life.enter_context(_running(command))
        yield PublicDemo(address, desk, site, office)


@contextmanager
def _running(command: Sequence[object]) -> Iterator[None]:
    """Context with a running command of the office that has printed its address."""
    with subprocess.Popen([OFFICE, *map(str, command)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http"), f"{command[1]} does not start"
            yield
        finally:
            process.terminate()


def main() -> int:
    """Serve until the time is over or Ctrl-C is pressed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=LONGEST_S)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="idtone-public-") as folder, demo(Path(folder)) as public:
        print(public.address, flush=True)
        for words, number in (
            ("licensed", LICENSED),
            ("stopped", STOPPED),
            ("never originates", NEVER),
            ("no licence", UNLICENSED),
            ("not a member's", NOT_A_MEMBERS),
        ):
            print(f"  {number}  {words}", file=sys.stderr)
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
