"""The service's log after every kind of call, in each format: one line for each call, and no number."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import yaml

from idtone.call_control.call_log import EVERY_S
from lab.calls.assert_proved import run_concurrently
from lab.journald import Journald
from lab.lab import CALLED_NUMBER, CALLER_NUMBER, LICENSED, SUSPENDED, Forwarding, lab, wait_until
from lab.nightly_tests import rest_at_night
from lab.phone import Behaviour, Refuse
from lab.publication import LAB_REGISTRY
from lab.service import Service

NUMBERS = [
    *(chain["numbers"].partition("-")[0] for chain in yaml.safe_load(LAB_REGISTRY.read_text())["chains"]),
    "0112345678", LICENSED, "+81312345678", SUSPENDED, f"{SUSPENDED}x", "110", "0399999999", "03123456789012345",
    "anonymous", "",
]  # fmt: skip
"""A number for each state of a licence, and for all other kinds of numbers."""
SECRETS = sorted({re.sub("[^0-9]", "", each)[-9:] for each in (*NUMBERS, CALLED_NUMBER, CALLER_NUMBER)} - {"", "110"})
CALL_ID = re.compile(r"[0-9]+\.[0-9]+-[0-9]+")
TEXT = re.compile(r"[-0-9]{10} [:0-9]{8}\.[0-9]{3}[+-][0-9:]{5} (debug|info|warning|err) (.*)")
WITH_SOCKET = """
import sys
from pathlib import Path
from idtone.core import log_output
log_output.JOURNALD = Path(sys.argv.pop(1))
from idtone.cli import main
main()
"""
"""A program that runs `idtone` with another socket in place of journald's."""


@dataclass
class Logging(Service):
    """A service with this log format. Its journald is a socket of the lab."""

    form: str = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.logging = f"format: {self.form}, level: debug"
        self.log_file.unlink(missing_ok=True)
        self.journald = Journald(self.asterisk.scratch / "journald")
        self.journald.path.chmod(0o666)  # the mode of systemd's socket
        self.entries: list[dict[str, str]] = []
        """Entries that journald has received."""

    def _launch(self, *options: str) -> None:
        command = [sys.executable, "-c", WITH_SOCKET, str(self.journald.path), "serve", "-c", str(self.settings)]
        with self._output() as log:
            self.process = subprocess.Popen(
                self.as_itself([*command, *options]), stdin=subprocess.DEVNULL, stderr=log, env=self._environment()
            )

    def log(self) -> str:
        """Complete log, unchanged."""
        return super().log() + "".join(f"{json.dumps(each)}\n" for each in self.entries)

    def logged(self) -> list[dict[str, str]]:
        """Records of the log: level and message. For JSON and journald, also the call and its reason."""
        lines = self.log().splitlines()
        if self.form == "text":
            return [{"level": found[1], "message": found[2]} for line in lines if (found := TEXT.fullmatch(line))]
        if self.form == "json":
            return list(map(json.loads, lines))
        return [{name.removeprefix("IDTONE_").lower(): value for name, value in each.items()} for each in self.entries]


@pytest.fixture
def logging_service(form: str, asterisk, shared_service) -> Iterator[Logging]:
    shared_service.stop_with_empty_journal()
    service = Logging(asterisk, LAB_REGISTRY, form=form)
    with service.journald.reading() as service.entries, service:
        yield service
    service.journald.path.unlink()


@rest_at_night("form", ["journald", "text", "json"])
async def test_each_call_has_its_line_and_no_number_is_logged(asterisk, logging_service):
    service, since = logging_service, datetime.now(UTC)
    async with lab(asterisk) as phones:

        async def pass_by(case: tuple[Forwarding, Behaviour | None]) -> None:
            forwarding, behaviour = case
            await phones.call(forwarding, 0.05, behaviour)

        numbers = NUMBERS if service.form == "text" else NUMBERS[::3]  # the other formats have the same text
        cases: list[tuple[Forwarding, Behaviour | None]] = [
            *((Forwarding(number, interface="ari"), None) for number in numbers),
            *((Forwarding(number, "outgoing", interface="agi"), None) for number in numbers),
            (Forwarding(way="own-dial", interface="ari"), None),
            (Forwarding(), Refuse(486)),
            (Forwarding(headers=(("Diversion", f"<sip:{LICENSED}@lab>"),)), None),
        ]
        await run_concurrently(cases, pass_by)
        service.stop()
        await run_concurrently(
            [(Forwarding(number), None) for number in (LICENSED, SUSPENDED, "110", "0399999999")], pass_by
        )
        service.start()
        await phones.nothing_is_left()
    records = service.records(since)
    await wait_until(lambda: len(ends(service)) >= len(records), "the line of each call")
    await asyncio.sleep(2 * EVERY_S)  # exactly one line for each call
    assert len(records) >= len(cases) + 4
    lines = {line["message"].split(": ", 1)[0]: line for line in ends(service)}
    assert len(ends(service)) == len(lines)
    assert lines.keys() == records.keys()
    for call_id, record in records.items():
        sounds = ", ".join(f"sound for {party}: {record['delivery'][party]}" for party in record["known_by"])
        told = f"{call_id}: {record['outcome']} ({record['reason']}), {record['status']}, {sounds or 'no sound'}, "
        assert lines[call_id]["message"].startswith(told)
        if service.form != "text":
            assert (lines[call_id]["call_id"], lines[call_id]["reason"]) == (call_id, record["reason"])
    log = service.log()
    assert "Traceback" not in log
    assert [secret for secret in SECRETS if secret in log] == []
    logged = service.logged()
    assert not [each for each in logged if re.search(r"[0-9]{6}", CALL_ID.sub("", each["message"]))]
    assert [each for each in logged if each.get("level", each.get("priority")) in ("debug", "7")]


def ends(service: Logging) -> list[dict[str, str]]:
    """Log lines about calls that have ended."""
    return [
        line for line in service.logged() if re.search(r", (no sound|sound for .*), [0-9]+\.[0-9] s$", line["message"])
    ]
