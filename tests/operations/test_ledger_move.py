"""`idtone-evidence log move`: the files, the unit and the settings. All of them are reverted if the service fails with
the new ledger.
"""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from idtone.core.errors import ChangeError, LedgerInUseError
from idtone.core.settings.settings import load_settings
from idtone.ledger.store.sqlite import lock_for_writing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.operations import ledger_move
from lab.call_control.unix_users import needs_root
from lab.ledger.sample_evidence import heard_call, key_ring_of
from lab.ledger.sample_ledger import records_of, write
from lab.repository import ROOT
from lab.terminal import Terminal

terminal = Terminal()
pytestmark = needs_root


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A ledger of two calls, and a fake systemctl that records its requests.

    A call arrives while the fake systemctl stops the service.
    """
    old = tmp_path / "old"
    old.mkdir(mode=0o700)
    url = f"sqlite:///{old}/l.sqlite3"
    write(url, heard_call("c-1"), heard_call("c-2"))
    (old / "l.sqlite3.acts").mkdir()
    (old / "l.sqlite3.acts" / "a").write_text("an act that waits")
    (old / "l.sqlite3.damaged-20260101T000000Z").write_text("set aside")
    (old / "l.sqlite3.ended-20260101T000000Z").write_text("its end is signed later, where its path is recorded")
    (old / "l.sqlite3.reserve").write_bytes(bytes(9))
    (old / "other").touch()
    config = tmp_path / "idtone.yaml"
    config.write_text(f"node: pbx-1\nledger: {{url: '{url}', key_file: {old}/key, reserve: 0}}\n")
    asked: list[str] = []

    def run(command: tuple[str, ...]) -> None:
        asked.append(" ".join(command[1:]))
        if command[1] == "stop":
            write(url, heard_call("c-3"))
        if command[1] == "start" and (tmp_path / "broken").exists() and len(asked) == 3:
            raise ChangeError("systemctl start idtone failed: 1")

    monkeypatch.setattr(ledger_move, "run_program", run)
    monkeypatch.setattr(ledger_move, "UNITS", tmp_path / "units")
    monkeypatch.setattr(ledger_move, "_CLOSED", (tmp_path / "closed",))
    (tmp_path / "units").mkdir()
    return SimpleNamespace(old=old, new=tmp_path / "disk" / "ledger", config=config, asked=asked, place=tmp_path)


def test_the_ledger_moves_with_what_is_beside_it(node: SimpleNamespace) -> None:
    shown = terminal.output("log", "move", node.new, "--yes", "-c", node.config)
    assert node.asked == ["daemon-reload", "stop idtone", "start idtone", "try-restart idtone-console"]
    settings = load_settings(node.config, {})
    assert settings.ledger.url == f"sqlite:///{node.new}/l.sqlite3"
    assert records_of(settings.ledger.url).keys() == {"c-1", "c-2", "c-3"}, "also what came while it was copied"
    assert (node.new / "l.sqlite3.acts" / "a").read_text() == "an act that waits"
    assert (node.new.stat().st_mode & 0o777, (node.new / "l.sqlite3").stat().st_mode & 0o777) == (0o700, 0o600)
    assert not (node.new / ".moving").exists()
    for unit in ("idtone", "idtone-console"):
        text = (node.place / "units" / f"{unit}.service.d" / "60-ledger.conf").read_text()
        assert f"ReadWritePaths={node.new}\n" in text
    left = {each.name.partition(".moved-")[0] for each in node.old.iterdir()} - {
        each.name for each in node.old.glob("key*")
    }
    aside = {f"l.sqlite3.{why}-20260101T000000Z" for why in ("damaged", "ended")}
    assert left == {"l.sqlite3", *aside, "other"}
    (moved,) = node.old.glob("l.sqlite3.moved-*")
    assert f"rm {moved}" in shown
    with LedgerWriter.open(settings.ledger.url, "pbx-1", key_ring_of(f"sqlite:///{node.old}/l.sqlite3")) as writer:
        assert writer.signs, "it is no copy: the original is gone"


def test_no_command_writes_to_the_old_ledger_once_it_is_copied(
    node: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console, for example, records an opening itself while no service runs, and signs: the log would fork."""
    run, refused = vars(ledger_move)["run_program"], []

    def acting(command: tuple[str, ...]) -> None:
        run(command)
        if command[1] in ("start", "try-restart"):
            with pytest.raises(LedgerInUseError) as caught:
                write(f"sqlite:///{node.old}/l.sqlite3", heard_call("c-4"))
            refused.append(caught.value)

    monkeypatch.setattr(ledger_move, "run_program", acting)
    terminal.output("log", "move", node.new, "--yes", "-c", node.config)
    assert len(refused) == 2
    write(load_settings(node.config, {}).ledger.url, heard_call("c-4"))


def test_a_move_waits_for_a_command_that_writes(node: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    run, writing = vars(ledger_move)["run_program"], []

    def stopping(command: tuple[str, ...]) -> None:
        run(command)
        if command[1] == "stop":
            held = lock_for_writing(node.old / "l.sqlite3")
            ends = threading.Timer(0.3, os.close, (held,))
            ends.start()
            writing.append(ends)

    monkeypatch.setattr(ledger_move, "run_program", stopping)
    terminal.output("log", "move", node.new, "--yes", "-c", node.config)
    assert writing
    writing[0].join()


@pytest.mark.parametrize("umask", [0o027, 0o077])
def test_the_service_reaches_a_ledger_that_a_root_with_a_narrow_umask_has_moved(
    node: SimpleNamespace, umask: int
) -> None:
    before = os.umask(umask)
    try:
        terminal.output("log", "move", node.new, "--yes", "-c", node.config)
    finally:
        os.umask(before)
    made = (node.new.parent, node.place / "idtone.d", node.place / "units" / "idtone.service.d")
    assert [each.stat().st_mode & 0o777 for each in made] == [0o755] * 3
    assert node.new.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_a_space_is_one_word_of_the_unit(node: SimpleNamespace) -> None:
    terminal.output("log", "move", node.place / "new disk", "--yes", "-c", node.config)
    text = (node.place / "units" / "idtone.service.d" / "60-ledger.conf").read_text()
    assert f'RequiresMountsFor="{node.place}/new disk"\n' in text
    assert f'ReadWritePaths="{node.place}/new disk"\n' in text
    assert records_of(load_settings(node.config, {}).ledger.url).keys() == {"c-1", "c-2", "c-3"}


def test_a_move_that_failed_before_the_start_can_be_tried_again(node: SimpleNamespace) -> None:
    later = node.place / "idtone.d" / "70-own.yaml"
    later.parent.mkdir()
    later.write_text(f"ledger: {{url: 'sqlite:///{node.old}/l.sqlite3'}}\n")
    code, _, error = terminal.run("log", "move", node.new, "--yes", "-c", node.config)
    assert code
    assert "another file of settings" in error
    assert list(node.new.iterdir()) == []
    assert node.asked == ["daemon-reload", "stop idtone", "daemon-reload", "start idtone"]
    later.unlink()
    terminal.output("log", "move", node.new, "--yes", "-c", node.config)
    assert records_of(load_settings(node.config, {}).ledger.url).keys() == {"c-1", "c-2", "c-3"}


def test_a_service_that_does_not_start_there_starts_as_before(node: SimpleNamespace) -> None:
    (node.place / "broken").touch()
    code, _, error = terminal.run("log", "move", node.new, "--yes", "-c", node.config)
    assert code
    assert "systemctl start idtone failed" in error
    assert node.asked == ["daemon-reload", "stop idtone", "start idtone", "daemon-reload", "start idtone"]
    assert load_settings(node.config, {}).ledger.url == f"sqlite:///{node.old}/l.sqlite3"
    assert records_of(f"sqlite:///{node.old}/l.sqlite3").keys() == {"c-1", "c-2", "c-3"}
    assert not list((node.place / "units").rglob("*.conf"))
    assert (node.new / "l.sqlite3").exists(), "the service may have written evidence there"


def test_what_stands_in_the_way_is_said_before_anything_changes(node: SimpleNamespace) -> None:
    (node.new / "l.sqlite3").parent.mkdir(parents=True)
    (node.new / "l.sqlite3").touch()
    for folder, why in (
        (node.new, "exists; name another folder"),
        (node.old, "exists; name another folder"),
        (node.place / "closed" / "x", "does not see"),
    ):
        assert why in terminal.error("log", "move", folder, "--yes", "-c", node.config)
    assert node.asked == []


def test_a_purge_removes_each_drop_in_that_a_move_writes(node: SimpleNamespace) -> None:
    """The console's drop-in is removed too, even on a node that never had the console's package."""
    purge = (ROOT / "debian" / "idtone.postrm").read_text().partition('"$1" = purge')[2]
    terminal.run("log", "move", node.new, "--yes", "-c", node.config)
    units = node.place / "units"
    written = sorted(units.rglob("*.conf"))
    assert len(written) == 2
    for path in written:
        assert f"rm -f /etc/systemd/system/{path.relative_to(units)}\n" in purge
