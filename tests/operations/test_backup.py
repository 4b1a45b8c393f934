"""`idtone backup`, `idtone restore` and the drill."""

import errno
import os
import shutil
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from idtone.core.settings.settings import Settings, load_settings, locations
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.operations.backup import make_backup
from idtone.operations.backup.archive import secret_keys_of
from idtone.operations.backup.archive_folder import chain_of
from idtone.operations.backup.backup_contents import KEPT
from idtone.operations.backup.make_backup import make
from idtone.operations.backup.restore import restore_here, restore_into
from idtone.operations.backup.unpack import Unpacked, unpack
from idtone.service import backup_result
from idtone.service.backup_result import BackupResult
from lab.call_control.unix_users import SERVICE_GROUP, SERVICE_USER, acting_as, needs_root
from lab.ledger.sample_evidence import heard_call
from lab.operations.backed_up_node import SECRET, BackedUpNode
from lab.operations.kill_before import kill_before
from lab.terminal import Terminal

terminal = Terminal()


@pytest.fixture
def node(tmp_path: Path) -> BackedUpNode:
    return BackedUpNode.made(tmp_path / "node")


def backup(node: BackedUpNode) -> Any:
    return terminal.json("backup", "-c", node.config)


def restored(node: BackedUpNode, into: Path, *options: str, code: int = 0) -> tuple[BackedUpNode, Any]:
    told = terminal.json(
        "restore", node.folder / "backups", "-i", node.folder / "secret", "--into", into, *options, code=code
    )
    return BackedUpNode(into), told


def test_a_restored_node_never_signs_over_what_the_original_signed_after_the_backup(
    node: BackedUpNode, tmp_path: Path
) -> None:
    node.sign("c-1", "c-2")
    backup(node)
    original = node.sign("c-3")
    assert original == ("pbx-1/idtone", 3)
    for name in ("one", "two"):  # restored twice, which no one can know of the other
        new, told = restored(node, tmp_path / name)
        assert new.calls(f"sqlite:///{told['restored_ledger']}") == {"c-1", "c-2"}
        signed = new.sign("c-4")
        assert signed is not None
        assert signed[0].startswith("pbx-1/idtone.")
        assert signed != original
        assert new.faults() == []
        assert new.faults(f"sqlite:///{told['restored_ledger']}", "pbx-1/idtone") == []
    origins = {BackedUpNode(tmp_path / name).sign() for name in ("one", "two")}
    assert len(origins) == 2


def test_a_ledger_that_was_copied_by_other_means_is_not_signed_on(node: BackedUpNode, tmp_path: Path) -> None:
    """All files next to the ledger are copied too, even the last signed head.

    Nothing in the copy shows that the original was continued.
    """
    node.sign("c-1", "c-2")
    shutil.copytree(node.folder, tmp_path / "kept")
    node.sign("c-3")
    shutil.rmtree(node.folder)
    shutil.copytree(tmp_path / "kept", node.folder)
    assert node.sign("c-4") is None
    assert node.calls() == {"c-1", "c-2", "c-4"}
    told = terminal.json("restore", "--here", "-c", node.config)
    signed = node.sign("c-5")
    assert signed is not None
    assert signed[0].startswith("pbx-1/idtone.")
    assert node.faults() == []
    assert node.calls(f"sqlite:///{told['restored_ledger']}") == {"c-1", "c-2", "c-4"}


def opened(node: BackedUpNode, folder: Path) -> Unpacked:
    identities = secret_keys_of(str(SECRET).encode())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return unpack(chain_of(node.folder / "backups", None, identities), identities, folder)


def test_the_draft_of_a_killed_run_does_not_fill_the_disk_of_the_next(
    node: BackedUpNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a nearly full disk, no archive could be made any more while the draft takes the room."""
    node.sign("c-1")
    backup(node)
    killed = node.folder / "backups" / f".{node.archives[0]}.q3k0_w"
    killed.write_bytes(b"half an archive")
    monkeypatch.setattr(make_backup, "_written", lambda *_: pytest.fail("it is there") if killed.exists() else full())
    assert "No space left" in terminal.error("backup", "-c", node.config)


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.nightly
@pytest.mark.parametrize("before", [0, 1])
def test_a_backup_that_is_killed_at_any_act_leaves_whole_archives_only(
    node: BackedUpNode, tmp_path: Path, before: int
) -> None:
    """The backup is full, or continues another.

    The node loses nothing, and the next backup works.
    """
    node.sign("c-1")
    for _ in range(before):
        backup(node)
    node.sign("c-2")
    kept = tmp_path / "kept"
    shutil.copytree(node.folder, kept)
    for act in count(1):
        was_killed = kill_before(act, node.folder, lambda: make(node.settings, node.config))
        whole = [name for name in node.archives if name.endswith(".age") and not name.startswith(".")]
        if whole:
            unpacked = opened(node, tmp_path / "opened")
            assert unpacked.faults == []
            assert sum(tree.leaves for tree in unpacked.trees) in {1, 2}
        assert len(whole) >= before
        if not was_killed:
            break
        make(node.settings, node.config)
        assert not [name for name in node.archives if name.startswith(".")], "drafts are removed"
        assert sum(tree.leaves for tree in opened(node, tmp_path / "opened").trees) == 2
        for name in ("backups", "backup.json"):
            path = node.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if (kept / name).is_dir():
                shutil.copytree(kept / name, path)
            elif (kept / name).exists():
                shutil.copy(kept / name, path)
    assert act > 5


@pytest.mark.nightly
def test_a_restore_that_is_killed_at_any_act_signs_no_fork_and_can_be_repeated(
    node: BackedUpNode, tmp_path: Path
) -> None:
    node.sign("c-1", "c-2")
    backup(node)
    original = node.sign("c-3")
    unpacked = opened(node, tmp_path / "opened")
    node.folder.rename(tmp_path / "original")
    for act in count(1):
        node.folder.mkdir()
        was_killed = kill_before(act, node.folder, lambda: restore_here(unpacked, ask=False))
        if (node.folder / "ledger.key.sign").exists():  # a service that is started now could sign by this key
            assert node.next_tree().startswith("pbx-1/idtone."), act
        if was_killed:
            restore_here(unpacked, ask=False)
        assert node.next_tree().startswith("pbx-1/idtone.")
        [aside] = node.folder.glob("ledger.sqlite3.restored-*")
        assert node.calls(f"sqlite:///{aside}") == {"c-1", "c-2"}
        assert (node.folder / "customers" / "records" / "C-1").read_bytes() == b"sealed"
        if not was_killed:
            break
        shutil.rmtree(node.folder)
    assert act > 20
    signed = node.sign("c-4")
    assert signed is not None
    assert signed[0].startswith("pbx-1/idtone.")
    assert original == ("pbx-1/idtone", 3)
    assert node.faults() == []


def test_a_restore_into_a_folder_is_there_as_a_whole_or_not_at_all(node: BackedUpNode, tmp_path: Path) -> None:
    node.sign("c-1")
    backup(node)
    unpacked, folder = opened(node, tmp_path / "opened"), tmp_path / "new"
    for act in count(1, 4):
        was_killed = kill_before(act, tmp_path, lambda: restore_into(unpacked, folder, ask=False))
        if not was_killed or folder.exists():
            break
    assert act > 20
    signed = BackedUpNode(folder).sign("c-2")
    assert signed is not None
    assert signed[0].startswith("pbx-1/idtone.")


def test_an_archive_holds_what_is_new_and_old_chains_go(node: BackedUpNode, tmp_path: Path) -> None:
    node.sign("c-1")
    first = backup(node)
    node.sign("c-2")
    node.sign("c-3")
    second = backup(node)
    assert [name.rpartition("-")[2] for name in node.archives] == ["more.age", "whole.age"][::-1]
    assert [first["reached"]["pbx-1/idtone"]["leaves"], second["reached"]["pbx-1/idtone"]["leaves"]] == [1, 3]
    for source, calls in ((node.folder / "backups", {"c-1", "c-2", "c-3"}), (first["archive"], {"c-1"})):
        new = tmp_path / f"{len(calls)}"
        told = terminal.json("restore", source, "-i", node.folder / "secret", "--into", new)
        assert BackedUpNode(new).calls(f"sqlite:///{told['restored_ledger']}") == calls
    Path(first["archive"]).rename(tmp_path / "away")
    why = terminal.error("restore", "--drill", node.folder / "backups", "-i", node.folder / "secret")
    assert "it continues" in why
    assert backup(node)["archive"].endswith("-whole.age"), "without its beginning a chain cannot be continued"
    assert len(backup(node)["chain"]) == 2


def test_a_backup_is_made_while_calls_come(node: BackedUpNode, tmp_path: Path) -> None:
    """An archive has all calls up to one moment, with the head that was signed at that moment."""
    node.sign("c-0")
    with node.writer() as writer:
        for number in range(1, 31):
            futures = [writer.append(step) for step in heard_call(f"c-{number}", number * 1000)]
            if number % 10 == 0:
                make(node.settings, node.config)
            for future in futures:
                future.result(60)
    unpacked = opened(node, tmp_path / "opened")
    [tree] = unpacked.trees
    assert unpacked.faults == []
    assert 20 <= tree.leaves <= 31
    assert len(unpacked.archives) == 3


@pytest.mark.parametrize("spoil", ["cut off", "changed", "another key", "no key"])
def test_an_archive_that_is_not_whole_is_refused_with_a_remedy(node: BackedUpNode, tmp_path: Path, spoil: str) -> None:
    node.sign("c-1")
    path = Path(str(backup(node)["archive"]))
    octets, words = path.read_bytes(), ["-i", str(node.folder / "secret")]
    if spoil == "cut off":
        path.write_bytes(octets[:-100])
    if spoil == "changed":
        path.write_bytes(octets[:-100] + b"x" + octets[-99:])
    if spoil == "another key":
        terminal.output("backup", "--new-key", tmp_path / "other")
        words = ["-i", str(tmp_path / "other")]
    if spoil == "no key":
        words = []
    assert "fetch the file from another copy" in terminal.error("restore", path, *words, "--into", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def known(node: BackedUpNode) -> BackupResult:
    result = backup_result.read(node.folder / "backup.json")
    assert result is not None
    return result


def test_a_drill_says_how_old_the_newest_call_is(node: BackedUpNode) -> None:
    node.sign("c-1")
    backup(node)
    told = terminal.json("restore", "--drill", "-i", node.folder / "secret", "-c", node.config)
    assert (told["good"], told["leaves"]) == (True, 1)
    assert told["newest_call"].startswith("2026-11-01T00:01:00")
    drilled = known(node).drilled
    assert drilled is not None
    [archive] = (node.folder / "backups").iterdir()
    octets = archive.read_bytes()
    archive.write_bytes(octets[:-100])
    drill = ["restore", "--drill", "-i", node.folder / "secret", "-c", node.config]
    terminal.error(*drill)
    assert known(node).drill_failed is not None, "the doctor says it"
    assert known(node).drilled == drilled
    archive.write_bytes(octets)
    terminal.json(*drill)
    assert known(node).drill_failed is None
    other = BackedUpNode.made(node.folder / "other", node="pbx-2")
    other.sign("c-1")
    backup(other)
    before = known(node)
    terminal.json("restore", "--drill", other.folder / "backups", "-i", node.folder / "secret", "-c", node.config)
    assert known(node) == before, "a drill of another node's archives says nothing of this one's"


def test_what_others_know_of_the_old_head_is_named_by_the_next_ledger(node: BackedUpNode, tmp_path: Path) -> None:
    """The file with the last signed head survived on another disk."""
    node.sign("c-1")
    backup(node)
    node.sign("c-2", "c-3")
    shutil.copy(node.folder / "ledger.key.seen", tmp_path / "seen")
    new, told = restored(node, tmp_path / "new")
    assert (told["leaves"], told["signed_leaves"]) == (1, 3)
    new.sign("c-4")
    with LedgerReader.open(new.settings.ledger.own_url()) as reader:
        continues = reader.continuation()
    assert continues is not None
    assert (continues.details["origin"], continues.details["leaves"]) == ("pbx-1/idtone", 3)


def test_the_keys_that_were_replaced_are_restored_with_what_belongs_to_them(node: BackedUpNode, tmp_path: Path) -> None:
    node.sign("c-1")
    terminal.json("log", "replace-key", "--why", "x", "--yes", "-c", node.config)
    node.sign("c-2")
    beside = ("continued.next", "cosigned-0123456789abcdef", "sign-9")
    for name in beside:
        (node.folder / f"ledger.key.{name}").write_text(name)
    backup(node)
    new, _ = restored(node, tmp_path / "new")
    assert [(new.folder / "ledger" / f"ledger.key.{name}").read_text() for name in beside] == list(beside)
    assert new.next_tree() != node.next_tree()
    new.sign("c-3")
    assert new.faults() == []
    keys = [own_key(each.settings.ledger, "pbx-1").public for each in (node, new)]
    assert keys[0] == keys[1] != own_key(new.settings.ledger, "pbx-1", "pbx-1/idtone").public


def test_the_password_that_the_package_has_made_gives_way(tmp_path: Path) -> None:
    """The package creates a password on the new machine before a restore is possible."""
    password = tmp_path / "ari.password"
    password.write_text("of the node")
    node = BackedUpNode.made(tmp_path / "node", ari={"password_file": str(password)})
    node.sign("c-1")
    backup(node)
    (node.folder / "ledger.sqlite3").rename(node.folder / "away")
    password.write_text("of the package")
    terminal.json("restore", node.folder / "backups", "-i", node.folder / "secret")
    assert password.read_text() == "of the node"
    (kept,) = tmp_path.glob("ari.password.before-*")
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("of the package", 0o600)


def test_each_file_that_a_person_has_written_and_the_settings_name_is_in_a_backup() -> None:
    """The restored settings name it, and without it the service would not start, or would not be stamped."""
    of_the_machine = {"sounds.directory", "journal.directory", "ledger.token.library", "canary.spool"}
    of_the_service = {"ledger.spool", "ledger.key_file", "ledger.seen_file", "canary.result"}
    of_backups = {"backup.directory", "backup.result"}
    names = {".".join(each) for each in locations() if "Path" in str(_field_at(each).annotation)}
    assert len(names) > 20
    assert names - set(KEPT) == of_the_machine | of_the_service | of_backups


def _field_at(location: tuple[str, ...]) -> Any:
    model: Any = Settings
    for step in location[:-1]:
        model = model.model_fields[step].annotation
    return model.model_fields[location[-1]]


def test_a_password_of_the_database_with_the_lines_is_restored(tmp_path: Path) -> None:
    password = tmp_path / "freepbx.password"
    password.write_text("of the database")
    lines = {"source": "mysql://idtone@127.0.0.1/asterisk", "query": "freepbx", "password_file": str(password)}
    node = BackedUpNode.made(tmp_path / "node", lines=lines)
    node.sign("c-1")
    backup(node)
    password.unlink()
    new, _ = restored(node, tmp_path / "new")
    assert load_settings(new.config, {}).lines.secret() == "of the database"


@needs_root
def test_the_service_can_read_the_settings_that_are_restored_on_a_machine_without_any() -> None:
    """With pip, no package has made the folders, and a restore as root makes them."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o711)
        node = BackedUpNode.made(place / "node", ari={"password_file": f"{place}/etc/ari.password"})
        config = place / "etc" / "idtone.yaml"
        (place / "etc" / "idtone.d").mkdir(parents=True)
        (place / "etc" / "ari.password").write_text("of the node")
        (place / "etc" / "idtone.d" / "50-own.yaml").write_text("association: {member: m-1}\n")
        node.sign("c-1")
        shutil.move(node.config, config)
        terminal.json("backup", "-c", config)
        (node.folder / "ledger.sqlite3").unlink()
        shutil.rmtree(config.parent)
        umask = os.umask(0o077)
        try:
            terminal.json("restore", node.folder / "backups", "-i", node.folder / "secret")
        finally:
            os.umask(umask)
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            assert load_settings(config, {}).association.member == "m-1"


def test_a_key_pair_is_made_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ("backup", "--new-key", tmp_path / "secret")
    assert "cannot go with" in terminal.error(*made, "-c", tmp_path / "idtone.yaml")
    monkeypatch.setenv("IDTONE_CONFIG", str(tmp_path / "idtone.yaml"))
    assert terminal.output(*made).startswith("age1"), "a variable may be set for all commands"


def test_nothing_that_is_there_is_overwritten(node: BackedUpNode) -> None:
    node.sign("c-1")
    backup(node)
    why = terminal.error("restore", node.folder / "backups", "-i", node.folder / "secret")
    assert "there is a ledger already" in why
    (node.folder / "ledger.sqlite3").rename(node.folder / "away")
    (node.folder / "ledger.key").write_bytes(b"another")
    why = terminal.error("restore", node.folder / "backups", "-i", node.folder / "secret")
    assert "there is another file" in why
    assert node.calls(f"sqlite:///{node.folder}/away") == {"c-1"}
