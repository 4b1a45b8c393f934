"""`idtone-evidence log replace-key` and `end`: the statements of the old and the new tree about each other, and their
verification.
"""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import LedgerError, TokenAwayError, UsageError
from idtone.core.persons import Person
from idtone.core.settings.settings import LedgerSettings, load_settings
from idtone.core.signed_notes import Note, VerifierKey
from idtone.ledger.commands import options
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act, record_queued_acts
from idtone.ledger.evidence import steps
from idtone.ledger.keys import hardware_token_signer
from idtone.ledger.keys.key_ring import KeyRing, cosigned_note, own_key
from idtone.ledger.keys.log_keys import LogKeys
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.writing import earlier_log_ends, maintenance_thread
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.operations.backup.known_heads import KnownHead, known_heads
from idtone.operations.doctor.check_inputs import CheckInputs
from idtone.operations.doctor.checks import CHECKS, LEDGER
from lab import pkcs11_token
from lab.ledger.commands.run_ledger import json_output, run
from lab.ledger.example_pack import WITNESS
from lab.ledger.killed_writers import GIVING_UP, MOMENTS, give_up, replace_key, run_until_killed
from lab.ledger.sample_evidence import ALICE, BOB, NOW, decided, heard_call, wait_until, write_each
from lab.ledger.sample_ledger import open_reader
from lab.nightly_tests import rest_in_breadth
from lab.node_js import find_or_get_node
from lab.operations import ledger_commands
from lab.operations.ledger_commands import WARRANT
from lab.repository import ROOT

LOG = "pbx-1/idtone"
PLACE = "hsm:1?label=log"
SECOND = ROOT / "tools" / "second-opinion" / "verify-pack.mjs"
EVERY_TIME = ("the end is written", "the next tree has its name")
"""Moments at which a replacement is killed in `make test`; the others run at night."""


class Node:
    """A ledger with two ended calls and one in progress, and its settings."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.config = folder / "idtone.yaml"
        self.config.write_text(
            f"node: pbx-1\nledger:\n  url: sqlite:///{folder}/l/l.sqlite3\n  key_file: {folder}/l/key\n{more}"
        )
        self.write(*heard_call("c-1"), *heard_call("c-2", 5000), decided(call_id="open"))

    @property
    def settings(self) -> LedgerSettings:
        return load_settings(self.config, {}).ledger

    @property
    def key(self) -> VerifierKey:
        return own_key(self.settings, "pbx-1")

    def ring(self) -> KeyRing:
        return KeyRing.of(self.settings, "pbx-1")

    def write(self, *told_steps: Any) -> None:
        with LedgerWriter.open(self.settings.url, "pbx-1", self.ring()) as writer:
            write_each(writer, *told_steps)

    def run(self, *words: object) -> Any:
        return json_output(*words, "-c", self.config)

    def verify(self, *words: object) -> dict[str, Any]:
        return json.loads(run("verify", "-c", self.config, "--json", *words).stdout)

    def head(self) -> Path:
        path = self.config.with_name("head")
        path.write_bytes(self.settings.checkpoint_file().read_bytes())
        return path


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_key_is_replaced(node):
    old = own_key(node.settings, "pbx-1")
    made = node.run("log replace-key", "--why", "every two years", "--yes")
    new = VerifierKey.parse(made["log"])
    assert (made["before"], new.name, new.public == old.public) == (str(old), "pbx-1/idtone.2", False)
    assert not list(node.settings.successors_file().parent.glob("*.next")), "it names the person and the reason"
    node.write(*heard_call("c-3", 20_000))

    now = node.verify()
    assert (now["good"], now["log"], now["leaves"]) == (True, made["log"], 2)
    assert {name: now["continues"][name] for name in ("origin", "leaves", "key", "why")} == {
        "origin": LOG,
        "leaves": 3,
        "key": str(old),
        "why": "every two years",
    }
    before = node.verify("--ledger", f"sqlite:///{made['file']}")
    assert (before["good"], before["log"], before["leaves"]) == (True, str(old), 3)
    assert (before["ended"]["next_key"], before["ended"]["why"]) == (made["log"], "every two years")
    assert before["compromised_after"] is None
    shown = run("verify", "-c", node.config, "--ledger", f"sqlite:///{made['file']}").stdout
    assert "it continues with the key" in shown


def test_after_a_key_is_replaced_the_call_in_progress_goes_on_in_the_new_tree_with_its_numbers(node):
    node.run("log replace-key", "--why", "every two years", "--yes")
    with open_reader(node.settings.url, node.ring().days) as reader:
        assert reader.record("open").numbers


def test_the_old_key_seals_what_is_disclosed_of_the_old_tree(node):
    old = own_key(node.settings, "pbx-1")
    node.run("log replace-key", "--why", "every two years", "--yes")
    assert node.ring().signer_of(LOG).key == old


@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=() if each in EVERY_TIME else pytest.mark.nightly) for each in MOMENTS]
)
def test_a_replacement_that_was_killed_is_finished_by_the_next_start_or_has_not_begun(node, moment):
    old = own_key(node.settings, "pbx-1")
    assert run_until_killed(None, replace_key, str(node.config), moment) == ["replacing"]
    node.write(*heard_call("c-3", 20_000))
    now = node.verify()
    assert now["good"], now
    with open_reader(node.settings.url, node.ring().days) as reader:
        assert reader.record("open").numbers, "the call in progress goes on"
    if moment in list(MOMENTS)[:2]:
        assert (now["log"], now["leaves"]) == (str(old), 3)
        return
    [aside] = path_of(node.settings.url).parent.glob("*.ended-*Z")
    before = node.verify("--ledger", f"sqlite:///{aside}")
    assert (before["good"], before["log"], before["ended"]["next_key"]) == (True, str(old), now["log"])
    assert (VerifierKey.parse(now["log"]).public != old.public, now["continues"]["why"]) == (True, "x")


def test_the_cosigned_head_of_the_old_tree_stays(node):
    """Packs of the old tree need the cosignatures, although the file also has a checkpoint of the new tree."""
    ring = node.ring()
    heads = {}
    for origin in (LOG, f"{LOG}.2"):
        note = Note.parse(node.settings.checkpoint_file().read_bytes())
        heads[origin] = replace(note, signatures=(*note.signatures, WITNESS.cosign(note.text, 1_793_498_460)))
        ring.cosigned.remember(heads[origin])
        node.run("log replace-key", "--why", "x", "--yes")
    assert {name: cosigned_note(node.settings, "pbx-1", name) for name in heads} == heads
    kept = known_heads(node.settings, own_key(node.settings, "pbx-1", LOG), ask=False)
    assert kept == [KnownHead(str(ring.cosigned.of_tree(LOG)), heads[LOG])]
    assert cosigned_note(node.settings, "pbx-1", f"{LOG}.3") is None


def test_two_replacements_leave_three_keys(node):
    first = own_key(node.settings, "pbx-1")
    node.run("log replace-key", "--why", "one", "--yes")
    node.run("log replace-key", "--why", "two", "--yes")
    ring = node.ring()
    keys = [own_key(node.settings, "pbx-1", origin) for origin in ring.successor_trees.origins]
    assert keys[0] == first
    assert len({key.public for key in keys}) == 3
    assert [ring.signer_of(key.name).key for key in keys] == keys
    assert node.verify()["good"]


def test_a_compromised_key_counts_until_the_head_that_is_named(node):
    old, head = own_key(node.settings, "pbx-1"), node.head()
    node.write(*heard_call("forged", 30_000))
    made = node.run("log replace-key", "--why", "it lay in a backup", "--compromised", head, "--yes")
    now = node.verify()
    assert now["good"]
    assert (now["continues"]["compromised"], now["continues"]["leaves"], now["continues"]["key"]) == (True, 2, str(old))
    before = node.verify("--ledger", f"sqlite:///{made['file']}")
    assert (before["good"], before["leaves"], before["ended"], before["compromised_after"]) == (True, 3, None, 2)
    text = run("verify", "-c", node.config, "--ledger", f"sqlite:///{made['file']}").stdout
    assert "only the first 2 leaves count" in text


def test_of_a_compromised_key_no_head_may_count(node):
    made = node.run("log replace-key", "--why", "who knows since when", "--compromised", "none", "--yes")
    assert node.verify()["continues"]["leaves"] == 0
    assert node.verify("--ledger", f"sqlite:///{made['file']}")["compromised_after"] == 0


def test_a_tree_without_the_head_that_counts_is_not_good(node, tmp_path):
    """An attacker with the old key rewrites the old tree after the replacement."""
    made = node.run("log replace-key", "--why", "x", "--compromised", node.head(), "--yes")
    (tmp_path / "other").mkdir()
    other = Node(tmp_path / "other")
    signed = node.ring().signer_of(LOG)
    Path(made["file"]).unlink()
    path_of(other.settings.url).rename(made["file"])
    with closing(sqlite3.connect(made["file"])) as connection, connection:
        ((text,),) = connection.execute("SELECT value FROM meta WHERE key = 'checkpoint'").fetchall()
        body = Note.parse(text.encode()).text
        note = str(Note(body, (signed.sign(body),)))
        connection.execute("UPDATE meta SET value = ? WHERE key = 'checkpoint'", (note,))
    report = run("verify", "-c", node.config, "--ledger", f"sqlite:///{made['file']}", "--json")
    assert report.exit_code == 1
    assert "are not those that were signed" in report.stdout


def test_a_head_of_others_cannot_count(node, tmp_path):
    (tmp_path / "other").mkdir()
    head = Node(tmp_path / "other").head()
    with pytest.raises(LedgerError, match="is not signed by the key of pbx-1/idtone"):
        node.run("log replace-key", "--why", "x", "--compromised", head, "--yes")
    assert node.ring().successor_trees.origins == [LOG]


def test_a_log_ends(node):
    made = node.run("log end", "--why", "the node is taken down", "--yes")
    report = node.verify()
    assert (report["good"], report["ended"]["why"], made["leaves"]) == (True, "the node is taken down", 3)
    checkpoint = Checkpoint.parse(Note.parse(made["checkpoint"].encode()).text)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root.hex()) == (LOG, 3, report["root"])
    # Calls must not suffer if the service is started all the same: another log continues this one.
    node.write(*heard_call("c-3", 20_000))
    again = node.verify()
    assert (again["good"], again["continues"]["origin"], again["continues"]["leaves"]) == (True, LOG, 3)


@pytest.fixture
def with_token(tmp_path: Path) -> Iterator[Node]:
    """A node whose key is in a token.

    Without the PIN file, the token is unreachable.
    """
    with pkcs11_token.softhsm(tmp_path, "log") as library:
        pkcs11_token.new_key(library, "log", 1, pkcs11_token.EDWARDS)
        (tmp_path / "pin").write_text(pkcs11_token.PIN)
        yield Node(tmp_path, f"  token: {{library: {library}, key: '{PLACE}', pin_file: {tmp_path}/pin}}\n")


def found_by_doctor(node: Node) -> dict[str, tuple[str, str]]:
    """The doctor's state and finding for each topic about the ledger."""
    inputs = CheckInputs(load_settings(node.config, {}), node.config, None, {}, lambda: NOW)
    [check] = (check for check in CHECKS if check.topics == LEDGER)
    return {each.topic: (each.state.value, str(each.found)) for each in check.look(inputs)}


def _goes_away(node: Node, *words: str) -> None:
    """Make the token fail between the check of its presence and the end of the log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogKeys, "check", lambda *_: node.config.with_name("pin").unlink())
        with pytest.raises(LedgerError, match="the end is written and not signed"):
            node.run(*words, "--why", "x", "--yes")


def test_the_end_of_a_log_is_signed_when_its_token_is_back(with_token):
    node = with_token
    _goes_away(node, "log end")
    with pytest.raises(TokenAwayError):
        node.run("log end", "--why", "x", "--yes")
    report = node.verify()
    assert (report["good"], report["leaves"], len(report["faults"])) == (False, 3, 1)
    node.config.with_name("pin").write_text(pkcs11_token.PIN)
    made = node.run("log end", "--why", "x", "--yes")
    report = node.verify()
    assert (report["good"], report["log"], report["leaves"], made["leaves"]) == (True, str(node.key), 3, 3)
    assert node.run("log end", "--why", "x", "--yes") == made, "nothing follows the end"


def test_the_next_log_begins_although_the_old_token_is_away(with_token, monkeypatch):
    monkeypatch.setattr(maintenance_thread, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(hardware_token_signer, "AGAIN_AFTER_S", 0.1)
    node, old = with_token, with_token.key
    _goes_away(node, "log replace-key")
    node.write(*heard_call("c-3", 20_000))
    now = node.verify()
    assert (now["good"], now["leaves"], now["log"] == str(node.key)) == (True, 2, True)
    assert (now["continues"]["leaves"], now["continues"]["key"], node.key.public == old.public) == (3, str(old), False)
    [aside] = path_of(node.settings.url).parent.glob("*.ended-*Z")
    before = ("--ledger", f"sqlite:///{aside}")
    report = node.verify(*before)
    assert (report["good"], report["ended"]["why"], len(report["faults"])) == (False, "x", 2)
    assert "its leaf 2 is not signed" in report["faults"][0]
    assert "has not signed its end; pbx-1/idtone.2 names it" in report["faults"][1]
    doctor = found_by_doctor(node)
    assert doctor["ledger-ends"] == ("bad", f"the end of an earlier log is not signed: {LOG} ({PLACE})")
    assert doctor["ledger-signed"] == ("good", "2 leaves, all signed"), "the present log is judged by itself"
    node.config.with_name("pin").write_text(pkcs11_token.PIN)
    with LedgerWriter.open(node.settings.url, "pbx-1", node.ring()) as writer:
        wait_until(lambda: not writer.unsigned_ends)
    assert (node.verify(*before)["good"], node.verify()["good"]) == (True, True)
    assert found_by_doctor(node)["ledger-ends"][0] == "good"


@pytest.fixture
def lost(with_token: Node) -> Node:
    """A node with a lost token and two logs.

    The first log has ended without a signature of its third leaf. The second log has two leaves.
    """
    _goes_away(with_token, "log replace-key")
    with_token.write(*heard_call("c-3", 20_000))
    with_token.config.with_name("pin").write_text(pkcs11_token.PIN)
    _lose(with_token)
    return with_token


def _lose(node: Node) -> None:
    """Lose the token by renaming its file in SoftHSM's folder."""
    [file] = node.config.parent.glob("*/token.object")
    file.rename(file.with_name("lost"))


def _find(node: Node) -> None:
    [file] = node.config.parent.glob("*/lost")
    file.rename(file.with_name("token.object"))


def before_of(node: Node) -> dict[str, Any]:
    [aside] = path_of(node.settings.url).parent.glob("*.ended-*Z")
    return node.verify("--ledger", f"sqlite:///{aside}")


def as_person(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setattr(options, "acting_person", lambda: person)


def test_the_end_of_a_log_is_given_up_and_its_leaves_never_become_good(lost, monkeypatch, tmp_path):
    node = lost
    as_person(monkeypatch, ALICE)
    made = node.run("log give-up", "--why", "burnt", "--yes")
    assert (made["log"], made["leaves"], made["signed"], made["given_up"]) == (LOG, 3, 2, True)
    before, now = before_of(node), node.verify()
    assert (before["good"], len(before["faults"]), before["given_up"]["act"]) == (False, 2, made["act"])
    assert "its leaf 2 is not signed" in before["faults"][0]
    assert re.search(r"given up on 20.*, by alice: burnt; of 3 leaves the first 2 are signed", before["faults"][1])
    assert (now["good"], now["leaves"], now["gives_up"]) == (True, 3, [before["given_up"]])
    assert "gives up     the end of pbx-1/idtone, on 20" in run("verify", "-c", node.config).stdout
    assert found_by_doctor(node)["ledger-ends"] == ("good", f"none waits for a signature; given up: {LOG}")
    # Also when the token is found: what a person has given up stays so.
    _find(node)
    with LedgerWriter.open(node.settings.url, "pbx-1", node.ring()) as writer:
        assert (writer.unsigned_ends, writer.words, writer.ends_given_up) == (0, "", [LOG])
    assert before_of(node)["good"] is False
    assert node.run("log give-up", "--why", "x", "--yes") == made, "nothing new is recorded"
    run("log tiles", tmp_path / "tiles", "-c", node.config)
    tiles = json_output("verify tiles", tmp_path / "tiles" / f"{LOG}.2", "--log-key", node.key)
    assert (tiles["good"], tiles["gives_up"]) == (True, now["gives_up"])


@rest_in_breadth("moment", GIVING_UP)
def test_giving_up_that_was_killed_is_completed_by_the_next_command_or_start(lost, monkeypatch, moment):
    as_person(monkeypatch, ALICE)
    assert run_until_killed(None, give_up, str(lost.config), moment) == ["giving up"]
    acts = lost.verify()["gives_up"]
    assert (len(acts), lost.ring().successor_trees.trees[0].given_up) == (moment != "it is allowed", "")
    assert (before_of(lost)["good"], bool(before_of(lost)["given_up"])) == (False, bool(acts))
    made = lost.run("log give-up", "--why", "burnt", "--yes")
    assert (made["given_up"], lost.ring().successor_trees.trees[0].given_up) == (True, made["act"])
    assert [each["act"] for each in lost.verify()["gives_up"]] == [made["act"]]
    assert (before_of(lost)["good"], lost.verify()["good"]) == (False, True)


def test_an_end_that_its_key_can_sign_is_not_given_up(lost, monkeypatch):
    """The process may have been killed before it recorded the signature of the end."""
    monkeypatch.setattr(maintenance_thread.GroupWriter, "sign_ends", lambda writer: None)  # it looks just before
    as_person(monkeypatch, ALICE)
    path = lost.settings.successors_file()
    waits = path.read_text()
    _find(lost)
    with pytest.raises(LedgerError, match="its key is here, and has signed it now"):
        lost.run("log give-up", "--why", "burnt", "--yes")
    assert (before_of(lost)["good"], lost.verify()["gives_up"], lost.ring().successor_trees.unsigned) == (True, [], [])
    path.write_text(waits)
    _lose(lost)
    with pytest.raises(LedgerError, match="is signed already"):
        lost.run("log give-up", "--why", "burnt", "--yes")
    monkeypatch.undo()
    with LedgerWriter.open(lost.settings.url, "pbx-1", lost.ring()) as writer:
        wait_until(lambda: not writer.unsigned_ends)
    assert (before_of(lost)["good"], lost.ring().successor_trees.unsigned) == (True, [])


def test_packs_and_the_monitor_say_what_was_given_up(lost, monkeypatch, tmp_path):
    as_person(monkeypatch, ALICE)
    act = lost.run("log give-up", "--why", "burnt", "--yes")["act"]
    [aside] = path_of(lost.settings.url).parent.glob("*.ended-*Z")
    pack, case = tmp_path / "pack.zip", ("--case", "R-7", *WARRANT, "-c", lost.config)
    ledger_commands.run("export", act, "c-3", "-o", pack, *case)
    said = r"alice gives up the end of pbx-1/idtone on 20.*: burnt; of 3 leaves the first 2 are signed"
    assert re.search(said, run("verify pack", pack, "--log-key", lost.key).stdout)
    for verifier in ([sys.executable, ROOT / "docs" / "verify_pack.py"], [*find_or_get_node(), SECOND]):
        told_by = subprocess.run(
            [*verifier, pack, "--log-key", str(lost.key)], capture_output=True, text=True, check=True
        ).stdout
        assert re.search("20.* end-given-up .*alice.*burnt", told_by)
    # What its key has not signed is in no pack.
    with open_reader(f"sqlite:///{aside}") as reader:
        unsigned = reader.log_end()
    with pytest.raises(LedgerError, match=f"leaf 2 of call {unsigned.call_id} is not signed"):
        ledger_commands.run("export", unsigned.call_id, "-o", pack, *case, "--ledger", f"sqlite:///{aside}")

    old = own_key(lost.settings, "pbx-1", LOG)
    for place in ((), ("--ledger", f"sqlite:///{aside}")):
        run("log tiles", tmp_path / "tiles", "-c", lost.config, *place)
    logs = "".join(
        f"- {{place: {tmp_path}/tiles/{key.name}, key: {key}, silent_for: P366D}}\n" for key in (old, lost.key)
    )
    file = tmp_path / "monitor.yaml"
    file.write_text(f"state: {tmp_path}/kept\npage: {tmp_path}/page.html\nlogs:\n{logs}")
    for _ in range(2):  # what was judged is kept
        first, second = json_output("monitor", file, "--once")
        assert (first["leaves"], first["gives_up"], second["given_up"]) == (2, [], "")
        assert (second["gives_up"][0]["act"], first["good"], second["good"]) == (act, True, True)
        assert re.search("pbx-1/idtone.2 says: its end was given up on 20.*, by alice: burnt", first["given_up"])
    text = run("monitor", file, "--once").stdout
    assert text.count("burnt") == 2
    page = (tmp_path / "page.html").read_text()
    assert ("alice が断念しました: burnt" in page, "by alice: burnt" in page) == (True, True)


def test_an_end_is_given_up_by_two_persons_where_exports_take_two(lost, monkeypatch):
    node = lost
    with node.config.open("a") as file:
        file.write("  exports: two-persons\n")
    as_person(monkeypatch, ALICE)
    first = node.run("log give-up", "--why", "burnt", "--yes")
    assert (first["given_up"], first["confirms"]) == (False, None)
    assert "has not signed its end" in before_of(node)["faults"][1]
    assert found_by_doctor(node)["ledger-ends"][0] == "bad"
    with pytest.raises(LedgerError, match="alice has given this up already; another person"):
        node.run("log give-up", "--why", "burnt", "--yes")
    as_person(monkeypatch, BOB)
    with LedgerWriter.open(node.settings.url, "pbx-1", node.ring()) as writer:
        assert writer.unsigned_ends == 1
    text = run("log give-up", "--why", "I saw it", "-c", node.config, typed="y\n").stdout
    assert re.search("alice gave it up on .*: burnt", text)
    assert re.search("by alice, bob: burnt;", before_of(node)["faults"][1])
    assert [each["by"] for each in node.verify()["gives_up"]] == [["alice", "bob"]]


def test_a_key_is_lost_only_if_its_token_was_asked_just_now(lost, monkeypatch):
    """The key is not lost if the PIN is missing or refused, or if the token does not answer."""
    monkeypatch.setattr(maintenance_thread.GroupWriter, "sign_ends", lambda writer: None)  # it would ask, too
    as_person(monkeypatch, ALICE)
    give_up = ("log give-up", "--why", "burnt", "--yes")
    pin, ring = lost.config.with_name("pin"), lost.ring()
    with pytest.raises(TokenAwayError, match="no such token"):
        ring.signer_of(LOG).sign("x\n")
    _find(lost)
    for does in (pin.unlink, lambda: pin.write_text("1234")):
        does()
        with pytest.raises(LedgerError, match="whether its end can be signed is not known"):
            lost.run(*give_up)
    pin.write_text(pkcs11_token.PIN)
    with monkeypatch.context() as patch:
        patch.setattr(hardware_token_signer, "START_WITHIN_S", 0.0)
        with pytest.raises(LedgerError, match=r"not known: .* has not answered"):
            lost.run(*give_up)
    [following] = ring.successor_trees.unsigned
    with pytest.raises(TokenAwayError, match="no such token"):  # the service remembers it for a while
        ring.signer_of(LOG).sign("x\n")
    said = earlier_log_ends.give_up_objection(following, ring, path_of(lost.settings.own_url()))
    ring.close()
    assert said == "its key is here, and has signed it now"


def test_what_one_person_gives_up_is_not_recorded_by_a_service_that_takes_two(lost, monkeypatch):
    as_person(monkeypatch, ALICE)
    two = DisclosureRules(two_persons=True)
    monkeypatch.setattr(DisclosureRules, "of", lambda settings: two)
    with pytest.raises(LedgerError, match="takes two persons here"):
        lost.run("log give-up", "--why", "burnt", "--yes")
    assert lost.ring().successor_trees.unsigned


@rest_in_breadth("given_up", ["act-1", ""])
def test_what_the_file_beside_the_key_says_of_an_end_is_no_evidence(lost, monkeypatch, given_up):
    """The unsigned file records an end that no act gave up, or hides the act."""
    as_person(monkeypatch, ALICE)
    if not given_up:
        lost.run("log give-up", "--why", "burnt", "--yes")
    path = lost.settings.successors_file()
    [entry] = json.loads(path.read_text())
    path.write_text(json.dumps([{**entry, "given_up": given_up}]))
    said = "\n".join(before_of(lost)["faults"])
    assert ("no log does" in said, "given up on" in said) == (bool(given_up), not given_up)
    with LedgerWriter.open(lost.settings.url, "pbx-1", lost.ring()) as writer:
        assert bool(writer.unsigned_ends) is bool(given_up)


def test_what_is_given_up_is_what_the_logs_say_and_not_the_file_beside_the_key(lost, monkeypatch):
    """The given-up end is taken from the first leaf of the next log, and from the lost key's signatures."""
    as_person(monkeypatch, ALICE)
    lost.run("log replace-key", "--why", "x", "--yes")
    path = lost.settings.successors_file()
    first, second = json.loads(path.read_text())
    forged = {"unsigned": f"{LOG}\n9\n{'A' * 43}=\n", "checkpoint": ""}
    path.write_text(json.dumps([{**first, **forged}, second]))
    made = lost.run("log give-up", LOG, "--why", "burnt", "--yes")
    assert (made["leaves"], made["signed"], made["given_up"]) == (3, 2, True)
    with LedgerWriter.open(lost.settings.url, "pbx-1", lost.ring()):
        assert lost.ring().successor_trees.trees[0].unsigned == first["unsigned"], "each start sets it right"
    before = lost.verify("--ledger", f"sqlite:///{first['file']}")
    assert (before["given_up"]["act"], before["leaves"], len(before["faults"])) == (made["act"], 3, 2)


@rest_in_breadth(
    ("origin", "leaves", "signed", "said"),
    [("someone-else/idtone", 3, 2, "does not wait"), (LOG, 3, 1, "others signed"), (LOG, 9, 2, "another end")],
)
def test_an_end_that_this_node_does_not_have_is_not_given_up(lost, origin, leaves, signed, said):
    _, _, root = lost.ring().successor_trees.trees[0].ended
    with pytest.raises(LedgerError, match=said):
        record_act(
            lost.settings.own_url(),
            "pbx-1",
            lost.ring(),
            lambda act: steps.end_given_up(act, NOW, ALICE, "x", (origin, leaves, root.hex()), signed, 1),
            DisclosureRules(),
        )
    assert lost.verify()["gives_up"] == []


@rest_in_breadth("has_logs", [True, False])
async def test_a_running_service_holds_the_act_against_its_own_logs(lost, monkeypatch, has_logs):
    as_person(monkeypatch, ALICE)
    url, ring = lost.settings.own_url(), lost.ring()
    with LedgerWriter.open(url, "pbx-1", ring) as writer:
        recording = asyncio.create_task(record_queued_acts(url, writer, DisclosureRules(), ring if has_logs else None))
        with nullcontext() if has_logs else pytest.raises(LedgerError, match="the service refuses"):
            await asyncio.to_thread(lost.run, "log give-up", "--why", "burnt", "--yes")
        recording.cancel()
    assert len(lost.verify()["gives_up"]) == has_logs


def test_an_act_that_others_wrote_gives_up_nothing(lost, monkeypatch):
    as_person(monkeypatch, ALICE)
    lost.run("log give-up", "--why", "burnt", "--yes")
    with closing(sqlite3.connect(path_of(lost.settings.url))) as connection, connection:
        connection.execute("UPDATE steps SET details = replace(details, 'burnt', 'moved') WHERE kind = 'end-given-up'")
    assert "has not signed its end" in before_of(lost)["faults"][-1]
    assert lost.verify()["good"] is False


def test_an_end_is_given_up_by_a_log_after_the_next(lost, monkeypatch):
    """The act is not in the log that names the leaves, and the service is running."""
    as_person(monkeypatch, ALICE)
    lost.run("log replace-key", "--why", "x", "--yes")
    made = lost.run("log give-up", LOG, "--why", "burnt", "--yes")
    lost.run("log replace-key", "--why", "x", "--yes")
    first, second, _ = (Path(each.file) for each in lost.ring().successor_trees.trees)
    second.unlink()  # which has no such act
    with LedgerWriter.open(lost.settings.url, "pbx-1", lost.ring()) as writer:
        assert (writer.unsigned_ends, writer.ends_given_up) == (0, [LOG])
    assert lost.verify("--ledger", f"sqlite:///{first}")["given_up"]["act"] == made["act"]


def test_an_end_that_nothing_would_sign_the_giving_up_of_is_not_given_up(with_token, monkeypatch):
    as_person(monkeypatch, ALICE)
    _goes_away(with_token, "log end")
    with_token.write(*heard_call("c-3", 20_000))
    with pytest.raises(TokenAwayError):
        with_token.run("log give-up", "--why", "x", "--yes")
    assert with_token.ring().successor_trees.unsigned


@pytest.mark.parametrize("words", [("log end", "--why", "x"), ("log replace-key", "--why", "x")])
def test_the_service_must_not_run(node, words):
    with (
        LedgerWriter.open(node.settings.url, "pbx-1", node.ring()),
        pytest.raises(LedgerError, match="stop the service first"),
    ):
        node.run(*words, "--yes")


@pytest.mark.parametrize("why", ["", "two\nlines", "x" * 201, "call 0312345678"])
def test_the_reason_is_one_line_without_numbers(node, why):
    with pytest.raises(UsageError):
        node.run("log end", "--why", why, "--yes")


def test_a_leaf_after_the_end_is_found(node):
    """An attacker with all keys and another program writes and signs the leaf."""
    node.write(steps.log_ended("act-1", NOW, ALICE, "x"), *heard_call("later", 20_000))
    report = run("verify", "-c", node.config, "--json")
    assert report.exit_code == 1
    assert json.loads(report.stdout)["faults"] == [
        "call later: leaf 3: it follows the leaf with which its log has ended"
    ]


@pytest.mark.parametrize("at", ["key", "told"])
def test_another_key_beside_the_ledger_is_found(node, at):
    made = node.run("log replace-key", "--why", "x", "--yes")
    path = node.settings.successors_file()
    [entry] = json.loads(path.read_text())
    stranger = str(
        VerifierKey(LOG if at == "told" else "pbx-1/idtone.2", VerifierKey.parse(made["log"]).algorithm, bytes(32))
    )
    if at == "key":
        entry["key"] = stranger
    else:
        entry["told"]["key"] = stranger
    path.write_text(json.dumps([entry]))
    where = ["--ledger", f"sqlite:///{made['file']}"] if at == "key" else []
    report = run("verify", "-c", node.config, "--json", *where)
    assert report.exit_code == 1
    assert "names another key of" in report.stdout


def test_the_key_moves_into_a_token_and_needs_it(tmp_path):
    with pkcs11_token.softhsm(tmp_path, "log") as library:
        pkcs11_token.new_key(library, "log", 2, pkcs11_token.EDWARDS)
        (tmp_path / "pin").write_text(pkcs11_token.PIN)
        node = Node(tmp_path, f"  token: {{library: {library}, pin_file: {tmp_path}/pin}}\n")
        made = node.run("log replace-key", "--why", "a token", "--token", "hsm:2?label=log", "--yes")
        node.write(*heard_call("c-3", 20_000))
        assert (node.verify()["good"], node.verify()["log"]) == (True, made["log"])
        (tmp_path / "pin").write_text("1234")
        with pytest.raises(TokenAwayError, match="PinIncorrect"):
            node.run("log replace-key", "--why", "back to a file", "--yes")
        assert node.verify()["ended"] is None
        assert len(list(LogKeys(node.settings, node.ring().successor_trees).files())) == 1
