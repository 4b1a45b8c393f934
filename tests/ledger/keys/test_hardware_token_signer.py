"""The log's key in a token signs the tree. While the token is unreachable, evidence is still written, and no call
waits.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError, TokenAwayError
from idtone.core.settings.settings import LedgerSettings, TokenSettings
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence.steps import log_ended
from idtone.ledger.keys import hardware_token_signer
from idtone.ledger.keys.hardware_token_signer import TokenProcess, TokenSigner
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.keys.log_keys import LogKeys
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing import maintenance_thread, sign_log_end
from idtone.ledger.writing.group_writer import GroupWriter
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab import pkcs11_token
from lab.ledger.sample_evidence import (
    ALICE,
    LOG,
    NOW,
    SEED,
    heard_call,
    key_ring_of,
    successor_trees_of,
    url_of,
    wait_until,
    write_each,
)
from lab.ledger.sample_ledger import query, verification_faults
from lab.nightly_tests import rest_at_night, rest_in_breadth
from lab.repository import ROOT

PLACE = "hsm:1?label=log"


@dataclass
class Stub:
    """A fake token that a test controls; `ring` has its key."""

    mode: Path
    url: str
    pin: str = pkcs11_token.PIN

    def does(self, word: str) -> None:
        """Give the fake token a command.

        The file is replaced as a whole, because the token may read it at any time.
        """
        after = self.mode.with_suffix(".after")
        after.write_text(word)
        after.replace(self.mode)

    @property
    def starts(self) -> list[str]:
        file = self.mode.with_suffix(".starts")
        return file.read_text().splitlines() if file.exists() else []

    def ring(self) -> KeyRing:
        process = TokenProcess(Path("/none.so"), PLACE, lambda: self.pin)
        return replace(key_ring_of(self.url), signer=TokenSigner(LOG.name, LOG.public, process))

    def writer(self) -> LedgerWriter:
        return LedgerWriter.open(self.url, "pbx-1", self.ring())


@pytest.fixture
def stub(file: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Stub:
    mode = file.parent.parent / "mode"
    program = [sys.executable, str(ROOT / "lab" / "ledger" / "keys" / "token_stub.py"), str(mode), SEED.hex()]
    monkeypatch.setattr(hardware_token_signer, "PROGRAM", program)
    monkeypatch.setattr(hardware_token_signer, "WITHIN_S", 20.0)  # however slow the machine is
    monkeypatch.setattr(hardware_token_signer, "AGAIN_AFTER_S", 0.05)
    made = Stub(mode, url)
    made.does("good")
    return made


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pkcs11_token.softhsm(tmp_path_factory.mktemp("token"), "log") as library:
        pkcs11_token.new_key(library, "log", 1, pkcs11_token.EDWARDS)
        yield library


def in_token(folder: Path, library: Path, key: str = PLACE, pin: str = pkcs11_token.PIN) -> LedgerSettings:
    folder.mkdir(exist_ok=True)
    (folder / "pin").write_text(f"{pin}\n")
    placed = TokenSettings(library=library, key=key, pin_file=folder / "pin")
    return LedgerSettings(url=f"sqlite:///{folder}/l.sqlite3", key_file=folder / "key", token=placed)


def test_a_token_signs_the_tree(softhsm, tmp_path):
    settings = in_token(tmp_path / "ledger", softhsm)
    with LedgerWriter.open(settings.url, "pbx-1", KeyRing.of(settings, "pbx-1")) as writer:
        write_each(writer, *heard_call("c-1"))
        assert writer.signs
    assert not (tmp_path / "ledger/key.sign").exists()
    (tmp_path / "ledger/pin").unlink()  # to verify, the token is not needed
    with LedgerReader.open(settings.url) as reader:
        verdict = verify_ledger(reader, own_key(settings, "pbx-1"))
    assert (verdict.faults, [each.checkpoint.size for each in verdict.signed]) == ([], [1])


@rest_in_breadth(
    ("key", "pin", "fault"),
    [
        ("hsm:1?label=other", pkcs11_token.PIN, "there is no such token"),
        ("hsm:7?label=log", pkcs11_token.PIN, "has no such Ed25519 key"),
        (PLACE, "1234", "PinIncorrect"),
    ],
)
def test_a_fault_of_a_token_is_reported(softhsm, tmp_path, key, pin, fault):
    with pytest.raises(TokenAwayError, match=fault):
        own_key(in_token(tmp_path / "ledger", softhsm, key, pin), "pbx-1")


def test_another_key_in_the_token_signs_nothing(softhsm, tmp_path):
    settings = in_token(tmp_path / "ledger", softhsm)
    own_key(settings, "pbx-1")
    settings.token_public().write_text(f"{PLACE} {LOG.public.hex()}\n")
    with pytest.raises(LedgerError, match="is another one than that of the log"):
        KeyRing.of(settings, "pbx-1").signer.sign("text\n")


@rest_at_night("word", ["hang", "crash", "error"])
def test_evidence_is_written_while_the_token_is_away_and_signed_when_it_is_back(stub, word, caplog, monkeypatch):
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-1"))
        assert writer.signs
        monkeypatch.setattr(hardware_token_signer, "WITHIN_S", 1.0)
        stub.does(word)
        write_each(writer, *heard_call("c-2", 1000))
        assert (writer.signs, "evidence is NOT signed" in writer.words) == (False, True)
        begin_s = time.monotonic()
        write_each(writer, *(step for call in range(4) for step in heard_call(f"late-{call}", 5000)))
        # Each of 24 commits would have waited for the token.
        assert time.monotonic() - begin_s < 24 * hardware_token_signer.WITHIN_S
        assert caplog.text.count("evidence is written and not signed") == 1
        assert any("is not signed" in fault for fault in verification_faults(stub.url))
        stub.does("good")
        wait_until(lambda: writer.signs)
    assert "the token signs again: 6 leaves are signed" in caplog.text
    assert verification_faults(stub.url) == []


def test_what_was_not_signed_is_signed_after_the_next_start(stub, file):
    stub.does("error")
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-1"))
        assert not writer.signs
    assert query(file, "SELECT value FROM meta WHERE key = 'checkpoint'") == []
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: writer.stored_checkpoint)
    assert verification_faults(stub.url) == []


def test_the_end_that_was_not_signed_is_signed_before_the_next_tree_begins(stub, file):
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-1"))
        stub.does("error")
        write_each(writer, log_ended("act-1", NOW, ALICE, "x"))
        assert not writer.signs
    stub.does("good")
    stub.writer().close()
    [aside] = file.parent.glob("*.ended-*Z")
    [(head,)] = query(aside, "SELECT value FROM meta WHERE key = 'checkpoint'")
    assert Checkpoint.parse(Note.parse(head.encode()).text).size == 2
    assert successor_trees_of(stub.url).trees[-1].ended[1] == 2


@pytest.fixture
def ended(stub: Stub, file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database of a log of two leaves whose end is not signed.

    The token is still unreachable, and the next log has begun.
    """
    monkeypatch.setattr(maintenance_thread, "LOOK_EVERY_S", 0.05)
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-1"))
        stub.does("error")
        write_each(writer, log_ended("act-1", NOW, ALICE, "x"))
    stub.writer().close()
    [aside] = file.parent.glob("*.ended-*Z")
    return aside


def test_the_next_log_names_the_end_that_is_signed_when_the_token_is_back(stub, ended, caplog):
    [tree] = successor_trees_of(stub.url).trees
    assert Checkpoint.parse(Note.parse(tree.checkpoint.encode()).text).size == 1
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-2", 60_000))
        assert (writer.unsigned_ends, f"the end of the log {LOG.name} is NOT signed" in writer.words) == (1, True)
        with LedgerReader.open(stub.url) as reader:
            told = reader.continuation().details
        assert (told["origin"], told["leaves"], told["root"]) == (LOG.name, 2, tree.ended[2].hex())
        assert any("is not signed" in fault for fault in verification_faults(url_of(ended)))
        stub.does("good")
        wait_until(lambda: not writer.words)  # the end and the next log are signed by two threads
        assert not writer.unsigned_ends
    assert verification_faults(url_of(ended)) == []
    [tree] = successor_trees_of(stub.url).trees
    assert (tree.unsigned, tree.ended[1]) == ("", 2)
    assert caplog.text.count(f"the end of the log {LOG.name} is not signed") == 1
    assert f"the end of the log {LOG.name} is signed now" in caplog.text


@rest_in_breadth(
    ("change", "why"),
    [
        ("UPDATE steps SET details = replace(details, 'PLAY', 'NOTICE') WHERE kind = 'decided'", ""),
        ("UPDATE steps SET details = replace(details, '\"x\"', '\"y\"') WHERE kind = 'log-ended'", "what was written"),
        ("UPDATE hashes SET hash = zeroblob(32) WHERE place = 2", "not those with which it ended"),
        ("DELETE FROM steps WHERE kind = 'log-ended'", "hashes"),
        ("DELETE FROM meta WHERE key = 'checkpoint'", ""),
    ],
)
def test_an_end_that_others_changed_is_not_signed(stub, ended, change, why):
    query(ended, change)
    stub.does("good")
    with stub.writer() as writer:
        if why:
            wait_until(lambda: why in writer.words)
        else:  # of what is signed already, or can be known otherwise
            wait_until(lambda: not writer.unsigned_ends)
        assert writer.unsigned_ends == bool(why)


def say_unsigned(stub: Stub, size: int, root: bytes) -> None:
    """Record an unsigned end of the log in the file next to the key."""
    path = path_of(stub.url).with_name("key.continued")
    [tree] = json.loads(path.read_text())
    path.write_text(json.dumps([{**tree, "unsigned": Checkpoint(LOG.name, size, root).text}]))


def test_a_log_that_was_cut_off_is_not_signed_whatever_the_file_beside_the_key_says(stub, ended):
    for statement in ("DELETE FROM steps WHERE kind = 'log-ended'", "DELETE FROM hashes WHERE place > 0"):
        query(ended, statement)
    [(root,)] = query(ended, "SELECT hash FROM hashes")
    say_unsigned(stub, 1, root)
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: "not those with which it ended" in writer.words)
        assert writer.unsigned_ends


def test_the_end_that_the_next_log_names_is_signed_whatever_the_file_beside_the_key_says(stub, ended):
    say_unsigned(stub, 2, bytes(32))
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: not writer.unsigned_ends)
    assert verification_faults(url_of(ended)) == []


def test_an_unsigned_end_that_the_file_beside_the_key_hides_is_found_by_the_next_start(stub, ended, caplog):
    path = path_of(stub.url).with_name("key.continued")
    [tree] = json.loads(path.read_text())
    path.write_text(json.dumps([{**tree, "unsigned": ""}]))
    with stub.writer() as writer:
        assert writer.unsigned_ends == 1
        assert "the file beside the key did not say so" in caplog.text
        stub.does("good")
        wait_until(lambda: not writer.unsigned_ends)
    assert verification_faults(url_of(ended)) == []


def test_what_others_wrote_into_the_next_log_is_not_signed_as_the_end_of_the_one_before(stub, ended, file):
    query(file, "UPDATE steps SET details = replace(details, '\"leaves\":2', '\"leaves\":1') WHERE id = 1")
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: "does not name the end" in writer.words)


@pytest.mark.parametrize("signed", [1, 2])
def test_an_end_is_held_against_what_was_signed_before_it(stub, ended, signed):
    """The file next to the key records what was signed before the end."""
    text = Checkpoint(LOG.name, signed, bytes(32)).text
    key_ring_of(stub.url).seen.remember(Note(text, (Signer(LOG.name, SEED).sign(text),)))
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: "not those that were signed" in writer.words)


@rest_in_breadth(
    "change",
    [
        "UPDATE hashes SET hash = 'abc'",
        "UPDATE steps SET leaf = 'x' WHERE kind = 'log-ended'",
        "UPDATE steps SET at = 'x' WHERE kind = 'log-ended'",
    ],
)
def test_a_cell_of_another_type_is_reported_and_ends_nothing_else(stub, ended, change, file):
    whole = ended.read_bytes()
    query(ended, change)
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: "the end of the log" in writer.words and "token" not in writer.words)
        write_each(writer, *heard_call("c-2", 60_000))
        wait_until(lambda: file.with_name("key.seen").read_bytes() == str(writer.stored_checkpoint).encode())
        ended.write_bytes(whole)
        wait_until(lambda: not writer.unsigned_ends)


def test_what_fails_unforeseen_beside_the_ledger_does_not_end_the_rest(url, file, monkeypatch, caplog):
    monkeypatch.setattr(maintenance_thread, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(GroupWriter, "sign_ends", lambda self: {}["missing"])
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        write_each(writer, *heard_call("c-1"))
        wait_until(file.with_name("key.seen").exists)
    assert "KeyError; report this" in caplog.text


def test_the_leaves_of_an_ended_log_are_read_when_the_token_is_back(stub, ended, monkeypatch):
    read: list[object] = []
    check = sign_log_end.check_unsigned
    monkeypatch.setattr(sign_log_end, "check_unsigned", lambda *of: read.append(of) or check(*of))
    with stub.writer() as writer:
        tries: list[object] = []
        monkeypatch.setattr(
            sign_log_end, "end_named", lambda *of, real=sign_log_end.end_named: tries.append(of) or real(*of)
        )
        wait_until(lambda: len(tries) > 2)
        assert read == []
        stub.does("good")
        wait_until(lambda: not writer.unsigned_ends)
    assert len(read) == 1


def test_a_database_that_is_not_what_was_written_is_read_again_when_it_changes(stub, ended, monkeypatch):
    """The token does not sign a checkpoint again and again for a database that has not changed."""
    looked: list[object] = []
    asked: list[object] = []
    check = sign_log_end._check
    sign = TokenSigner.sign
    monkeypatch.setattr(sign_log_end, "_check", lambda *of: looked.append(of) or check(*of))
    monkeypatch.setattr(
        TokenSigner, "sign", lambda self, text: asked.append(text.partition("\n")[0]) or sign(self, text)
    )
    monkeypatch.setattr(sign_log_end, "SETTLED_NS", 0)
    whole = ended.read_bytes()
    query(ended, "UPDATE hashes SET hash = zeroblob(32) WHERE place = 2")
    stub.does("good")
    with stub.writer() as writer:
        tries: list[object] = []
        end_named = sign_log_end.end_named
        monkeypatch.setattr(sign_log_end, "end_named", lambda *of: tries.append(of) or end_named(*of))
        wait_until(lambda: "not those with which it ended" in writer.words)
        wait_until(lambda: len(tries) > 3)  # the first look may change SQLite's journal
        before = len(looked), asked.count(LOG.name), len(tries)
        wait_until(lambda: len(tries) > before[-1] + 5)
        assert (len(looked), asked.count(LOG.name)) == before[:2]
        query(ended, "INSERT INTO meta VALUES ('more', '')")
        wait_until(lambda: len(looked) > before[0])
        ended.write_bytes(whole)
        wait_until(lambda: not writer.unsigned_ends)


def test_a_file_that_has_just_changed_is_read_again_all_the_same(stub, ended, monkeypatch):
    """The file may change again within the resolution of its time stamp."""
    looked: list[object] = []
    check = sign_log_end._check
    monkeypatch.setattr(sign_log_end, "_check", lambda *of: looked.append(of) or check(*of))
    monkeypatch.setattr(sign_log_end, "SETTLED_NS", 600 * 10**9)  # all three looks are within it
    query(ended, "UPDATE hashes SET hash = zeroblob(32) WHERE place = 2")
    stub.does("good")
    with stub.writer():
        wait_until(lambda: len(looked) > 2)


def test_a_database_that_is_gone_is_reported(stub, ended):
    ended.unlink()
    stub.does("good")
    with stub.writer() as writer:
        wait_until(lambda: "the database is missing" in writer.words)
        assert writer.unsigned_ends
    assert not ended.exists(), "no empty one is made in its place"


def test_what_others_wrote_while_the_token_was_away_is_not_signed(stub, file):
    stub.does("error")
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-1"), *heard_call("c-2", 5000))
    query(file, "UPDATE steps SET details = replace(details, 'PLAY', 'NOTICE') WHERE kind = 'decided'")
    stub.does("good")
    with stub.writer() as writer:
        assert not writer.signs
        assert writer.stored_checkpoint is None


def test_a_refused_pin_is_not_tried_again(stub):
    stub.does("refused")
    with stub.writer() as writer:
        write_each(writer, *heard_call("c-1"))
        stub.does("good")
        write_each(writer, *heard_call("c-2", 5000), *heard_call("c-3", 9000))
        assert not writer.signs
    assert len(stub.starts) == 1
    assert pkcs11_token.PIN in stub.starts[0]


def test_a_signature_waits_once(stub, monkeypatch):
    stub.does("hang")
    ring = stub.ring()
    waited: list[float] = []
    sign: Callable[[], object] = lambda: ring.signer.sign("text\n")  # noqa: E731
    monkeypatch.setattr(hardware_token_signer, "START_WITHIN_S", 0.3)
    for _ in range(20):
        begin_s = time.monotonic()
        with pytest.raises(TokenAwayError):
            sign()
        waited.append(time.monotonic() - begin_s)
    assert waited[0] >= 0.3
    assert sum(waited[1:]) < 19 * 0.3 / 2, "each would have waited"
    stub.does("good")
    ring.signer._process.close()


def test_the_token_is_looked_at_without_its_pin(softhsm, tmp_path):
    settings = in_token(tmp_path / "ledger", softhsm, pin="1234")
    keys = LogKeys(settings, successor_trees_of(settings.url))
    # A wrong PIN would count each time.
    assert len({keys.read_token_without_pin(PLACE) for _ in range(2)}) == 1
