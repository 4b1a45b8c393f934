"""Call detail records of a real Asterisk, compared with the ledger as docs/how-to/reconcile.md describes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.asterisk import Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.command_json import command_json
from lab.lab import SUSPENDED, Ending, Forwarding, lab, wait_until
from lab.phone import Refuse
from lab.publication import LAB_REGISTRY
from lab.service import Service

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "reconcile.md"
WITH_CALL_ID = "0312349999"
"""An extension that sets the Call-ID of the call detail record before the hook."""


@pytest.fixture
def own_asterisk(installation: AsteriskInstallation, tmp_path: Path) -> Iterator[Asterisk]:
    """A PBX with the configuration of the page.

    It is not shared, because Asterisk may crash when it unloads a module that writes these records.
    """
    page = HOW_TO.read_text()
    files = {name: _block(page, f"`/etc/asterisk/{name}`") for name in ("cdr.conf", "cdr_custom.conf")}
    with Asterisk(installation, tmp_path / "pbx", files) as running:
        folder = running.scratch / "log" / "cdr-custom"  # Debian's package creates it
        folder.mkdir()
        running.site.give(folder, "asterisk", 0o755)
        for module in ("res_cdrel_custom", "cdr_custom"):
            running.command(f"module load {module}.so")
        (setting,) = re.findall(r"Set\((CDR\(sipcallid\)=.*)\)$", page, re.MULTILINE)
        for step in (f"1,Set({setting})", "2,Goto(from-lab,0312340000,1)"):
            running.command(f"dialplan add extension {WITH_CALL_ID},{step} into from-lab")
        yield running


@pytest.fixture
def records(own_asterisk: Asterisk) -> Path:
    """Asterisk's file of call detail records."""
    return own_asterisk.scratch / "log" / "cdr-custom" / "idtone.csv"


def _block(page: str, after: str) -> str:
    return page.partition(after)[2].partition("```\n")[2].partition("```")[0]


async def test_what_the_records_of_asterisk_lack_and_what_the_ledger_lacks(own_asterisk, records):
    with Service(own_asterisk, LAB_REGISTRY) as service:
        endings = await placed(own_asterisk)
        await wait_until(lambda: records.exists() and len(records.read_text().splitlines()) >= 4, "all records")
        service.entered()
        compare(service, records, endings)


async def placed(own_asterisk: Asterisk) -> list[Ending]:
    """Ends of three calls with the hook. A fourth call does not use it."""
    async with lab(own_asterisk) as phones:
        endings = [(await phones.call(Forwarding(dialled=WITH_CALL_ID)))[1] for _ in range(2)]
        refused = await phones.place(Forwarding(SUSPENDED, dialled=WITH_CALL_ID))
        endings.append(await phones.ending(refused))
        await phones.place(Forwarding(dialled=WITH_CALL_ID, way="native"), behaviour=Refuse(486))
        await phones.nothing_is_left()
    return endings


def compare(service: Service, records: Path, endings: list[Ending]) -> None:
    compared = ("reconcile", records)
    found = command_json(service, *compared, code=1)
    assert (found["calls_in_csv"], found["not_in_csv"]) == (4, 0), found
    rows: dict[str, str] = {}
    for line in records.read_text().splitlines(keepends=True):
        rows[line.partition(",")[0]] = rows.get(line.partition(",")[0], "") + line
    calls = [text for name, text in rows.items() if name != '""']
    [lacking] = found["missing_in_ledger"]
    assert records.read_text().splitlines(keepends=True)[lacking["line"] - 1] in calls[3], "it went past the hook"
    records.write_text(calls[0] + calls[2])
    found = command_json(service, *compared, code=1)
    assert (found["not_in_ledger"], [each["call_id"] for each in found["missing_in_csv"]]) == (0, [endings[1].call_id])
    records.write_text("".join(calls[:3]))
    assert command_json(service, *compared)["good"]
    assert "0312340000" not in "".join(rows.values()), "the page's file holds no numbers"
