"""Timestamps by an authority: requested, stored, put into packs, and verified by three programs."""

import asyncio
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from idtone.core.settings.settings import Settings, TimestampSettings, load_settings
from idtone.core.signed_notes import Note
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.timestamp_store import Stamps
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.witness.timestamping import Timestamping
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import heard_call, write_each
from lab.ledger.vectors.logs_table import logs, member, metadata
from lab.ledger.witness.time_stamping_authority import TimeStampingAuthority
from lab.nightly_tests import rest_in_breadth
from lab.node_js import find_or_get_node
from lab.operations.ledger_commands import WARRANT, reseal, run, write_settings

VERIFIER = Path(__file__).parents[2] / "docs" / "verify_pack.py"
SECOND = Path(__file__).parents[2] / "tools" / "second-opinion" / "verify-pack.mjs"


@dataclass
class Head:
    """The head of the tree, in the form that the service gives it."""

    stored_checkpoint: Note | None


@dataclass
class Stamped:
    config: Path
    settings: Settings
    authority: TimeStampingAuthority
    url: str
    pack: Path

    @property
    def stamps(self) -> Stamps:
        return Stamps(self.settings.ledger.stamps())

    def ask(self, **more: Any) -> bool:
        """Request a timestamp once, and return True if the present head has one afterwards."""
        return self.asked(**more)[0]

    def asked(self, **more: Any) -> tuple[bool, Timestamping]:
        """True if the head has a timestamp now, and the object that requested it."""
        with LedgerReader.open(self.settings.ledger.url) as reader:
            head = Head(Note.parse(str(reader.checkpoint()).encode()))
        ring = KeyRing.of(self.settings.ledger, "pbx-1")
        wanted = TimestampSettings(url=self.url, root=more.get("root", self.authority.root))

        asking = Timestamping(head, ring, wanted, self.stamps)  # type: ignore[arg-type]

        async def once() -> bool:
            async with aiohttp.ClientSession() as session:
                return await asking.ask(session)

        return asyncio.run(once()), asking

    def export(self, *calls: str) -> str:
        self.pack.unlink(missing_ok=True)
        told = run("export", "--case", "R-7", *WARRANT, *calls, "-o", self.pack, "-c", self.config, "--json")
        assert told.exit_code == 0, told.output
        return str(json.loads(told.stdout)["log_key"])

    def verify(self, *more: object) -> tuple[int, dict[str, Any]]:
        told = run("verify pack", self.pack, "--json", *more)
        return told.exit_code, json.loads(told.stdout)

    def verify_elsewhere(self, log_key: str, capsys: pytest.CaptureFixture[str], *more: object) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:  # noqa: PT012  both are needed
            patch.setattr(sys, "argv", ["verify_pack.py", str(self.pack), "--log-key", log_key, *map(str, more)])
            runpy.run_path(str(VERIFIER), run_name="__main__")
        return int(ended.value.code or 0), capsys.readouterr().out

    def verify_secondly(self, log_key: str, *more: object) -> tuple[int, str]:
        command = [*find_or_get_node(), SECOND, self.pack, "--log-key", log_key, *map(str, more)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.stderr == ""
        return told.returncode, told.stdout


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stamped]:
    """A ledger with a timestamp over its first two calls, and a later third call."""
    folder = tmp_path_factory.mktemp("stamped")
    config = write_settings(folder)
    authority = TimeStampingAuthority(folder / "authority")
    with authority.serving() as url:
        found = Stamped(config, load_settings(config, {}), authority, url, folder / "pack.zip")
        assert found.ask()
        ring = KeyRing.of(found.settings.ledger, "pbx-1")
        with LedgerWriter.open(found.settings.ledger.url, "pbx-1", ring) as writer:
            write_each(writer, *heard_call("c-9", 9000))
        yield found


def test_a_head_is_stamped_once(stamped):
    asked = stamped.authority.asked
    assert stamped.stamps.sizes("pbx-1/idtone") == [2]
    assert stamped.stamps.covering("pbx-1/idtone", 2) is None
    stamp = stamped.stamps.covering("pbx-1/idtone", 1)
    assert stamp
    assert 500 < len(stamp.reply) < 5000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stamps, "sizes", lambda self, origin: [3])
        good, asking = stamped.asked()
    assert good, "this head has its timestamp"
    assert (asking.trouble, asking.at is None) == ("", False)
    assert stamped.authority.asked == asked


def test_the_pack_has_the_earliest_timestamp_and_all_programs_verify_it(stamped, capsys):
    log_key = stamped.export("c-1", "c-2")
    root = stamped.authority.root
    code, told = stamped.verify("--tsa-root", root)
    assert (code, told["faults"], list(told["timestamps"])) == (0, [], ["2"])
    code, text = stamped.verify_elsewhere(log_key, capsys, "--tsa-root", root)
    assert (code, "the tree of 2 leaves" in text) == (0, True), text
    code, text = stamped.verify_secondly(log_key, "--tsa-root", root)
    assert (code, "the tree of 2 leaves" in text) == (0, True), text
    code, text = stamped.verify_elsewhere(log_key, capsys)
    assert code == 0, text
    code, text = stamped.verify_secondly(log_key)
    assert (code, "timestamps were not checked" in text) == (0, True), text
    shown = run("verify pack", stamped.pack).stdout
    assert "its signature was not verified" in shown


@rest_in_breadth(("after", "code"), [(timedelta(microseconds=1), 0), (timedelta(0), 1)])
def test_a_timestamp_shows_that_a_tree_is_older_than_the_end_of_its_key(stamped, capsys, tmp_path, after, code):
    log_key = stamped.export("c-1", "c-2")
    root = stamped.authority.root
    [at] = stamped.verify()[1]["timestamps"].values()
    since, until = datetime.fromisoformat(at) - timedelta(days=1), datetime.fromisoformat(at) + after
    term = {"key": log_key, "since": since.isoformat(), "until": until.isoformat()}
    for name, octets in metadata(logs(member(term), witnesses=(), cosignatures=0)).items():
        (tmp_path / name).write_bytes(octets)
    found, told = stamped.verify("--tsa-root", root, "--registry", tmp_path)
    assert (found, told["rules"]) == (code, ["log-until"] * code)
    assert stamped.verify()[0] == 0
    told = stamped.verify_elsewhere(log_key, capsys, "--tsa-root", root, "--registry", tmp_path)
    assert (told[0], "the key had expired" in told[1]) == (code, bool(code)), told
    told = stamped.verify_secondly(log_key, "--tsa-root", root, "--registry", tmp_path)
    assert (told[0], "the key had expired" in told[1]) == (code, bool(code)), told


def test_a_call_after_the_last_timestamp_has_none(stamped, capsys):
    log_key = stamped.export("c-9")
    assert stamped.verify()[0] == 0
    code, told = stamped.verify("--tsa-root", stamped.authority.root)
    [fault] = told["faults"]
    assert (code, fault.endswith("leaves has no timestamp")) == (1, True), told
    assert stamped.verify_elsewhere(log_key, capsys, "--tsa-root", stamped.authority.root)[0] == 1
    code, text = stamped.verify_secondly(log_key, "--tsa-root", stamped.authority.root)
    assert (code, "leaves has no timestamp" in text) == (1, True)


@rest_in_breadth("lie", ["other data", "damaged", "another tree", "another authority", "none"])
def test_what_no_authority_has_stamped_is_noticed(stamped, capsys, tmp_path, lie):
    log_key = stamped.export("c-1")
    files, name = read_zip(stamped.pack), "timestamps/2.tsr"
    reply, root = files[name], stamped.authority.root
    if lie == "other data":
        from idtone.ledger.tree.timestamps import query

        files[name] = stamped.authority.reply(query("pbx-1/idtone\n2\nother\n")[0])
    elif lie == "damaged":
        files[name] = reply[:-20] + bytes(20)
    elif lie == "another tree":
        files["timestamps/3.tsr"] = reply
    elif lie == "another authority":
        root = TimeStampingAuthority(tmp_path / "other").root
    else:
        del files[name]
    reseal(stamped.pack, stamped.settings.ledger, files)
    assert stamped.verify("--tsa-root", root)[0] == 1
    assert stamped.verify_elsewhere(log_key, capsys, "--tsa-root", root)[0] == 1
    code, text = stamped.verify_secondly(log_key, "--tsa-root", root)
    assert (code, "[timestamp]" in text) == (1, True)


@pytest.mark.parametrize(
    ("broken", "told"),
    [(b"", "this is no reply"), (b"x" * 70_000, "larger than any timestamp"), (b"0\x030\x01\x02", "this is no reply")],
)
def test_what_is_no_timestamp_is_not_kept(stamped, caplog, broken, told):
    stamped.authority.broken = broken
    try:
        good, asking = stamped.asked()
    finally:
        stamped.authority.broken = None
    assert told in caplog.text
    assert (good, told in asking.trouble, asking.at) == (False, True, None)
    assert len(stamped.stamps.sizes("pbx-1/idtone")) == 1
