"""The alarms of a monitor, with real tiles over HTTPS and a real witness over HTTP."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError, UsageError
from idtone.core.signed_notes import Note, SignatureLine, Signer
from idtone.ledger.evidence.steps import sound_failed
from idtone.ledger.monitor import follow_log
from idtone.ledger.monitor.alarms import AlarmKind
from idtone.ledger.monitor.findings_page import KINDS, LogReport
from idtone.ledger.monitor.log_state import ALARMS_LIMIT
from idtone.ledger.monitor.monitor import Monitor
from idtone.ledger.monitor.monitored_logs import MonitoredLogs, read_monitored
from idtone.ledger.monitor.split_view import SplitView
from idtone.ledger.tiles import tile_source
from idtone.ledger.tiles.tile_source import TileSite
from idtone.ledger.tree.tiles import BUNDLE_LIMIT, BUNDLES, compress_bundle, expand_bundle
from lab.ledger.commands.run_ledger import EVIDENCE_PROGRAM, json_output, run
from lab.ledger.monitor.watched_log import HOUR_MS, WatchedLogs
from lab.ledger.sample_evidence import LOG, SEED, cancelled_call, evidence, heard_call, time_after
from lab.missing_parts import missing_parts
from lab.nightly_tests import breadth
from lab.repository import ROOT

WITNESS = Signer("witness.example/w", bytes(range(64, 96)))


@pytest.fixture
def followed(world: WatchedLogs) -> WatchedLogs:
    """Logs whose first three leaves the monitor has seen and the witness has cosigned."""
    world.tell(heard_call("a"), cancelled_call("b", 1000))
    world.cosign()
    world.publish()
    report = world.look()
    assert (report.alarms, report.trouble, report.leaves, report.known.checked) == ([], "", 3, 3)
    return world


def other_history(world: WatchedLogs, calls: int) -> None:
    """Publish another history, signed by the same key, in place of the first history."""
    world.tell(*(heard_call(f"other-{number}", 1000 * number) for number in range(calls)), of="other")
    world.replace("other")


def seen_by_the_witness_alone(world: WatchedLogs) -> None:
    shutil.rmtree(world.folder / "state")
    other_history(world, 5)


def in_a_copy(world: WatchedLogs) -> None:
    world.tell(heard_call("other"), of="other")
    world.publish("other", world.folder / "copy")
    world.options["copies"] = [str(world.folder / "copy")]


def cut_off(world: WatchedLogs) -> None:
    shutil.copytree(world.out, world.folder / "old")
    world.tell(heard_call("c", 2000))
    world.cosign()
    world.publish()
    assert world.look().alarms == []
    shutil.rmtree(world.out)
    shutil.copytree(world.folder / "old", world.out)


def not_cosigned(world: WatchedLogs) -> None:
    world.tell(heard_call("c", 2000))
    world.publish()
    assert world.look().alarms == []


def kept_back(world: WatchedLogs) -> None:
    world.tell(heard_call("c", 2000))
    world.cosign()
    assert world.look().alarms == []


def no_leaf(world: WatchedLogs) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("idtone.ledger.writing.log_store.leaf_closed_by", lambda unclosed, before: b"{}")
        patched.setattr("idtone.ledger.store.leaf_contents.leaf", lambda *_: b"{}")
        shutil.rmtree(world.folder / "state")
        shutil.rmtree(world.out)
        world.tell(heard_call("x"), of="wrong")
        world.publish("wrong")


def of_tomorrow(world: WatchedLogs) -> None:
    world.tell(heard_call("tomorrow", 24 * HOUR_MS))
    world.publish()


def after_its_cosignature(world: WatchedLogs) -> None:
    world.tell(heard_call("late", 2 * HOUR_MS))
    world.cosign()
    world.publish()


def change(name: str) -> Callable[[WatchedLogs], None]:
    """Function that changes a bit of a new file."""

    def tamper(world: WatchedLogs) -> None:
        world.tell(heard_call("c", 2000))
        world.cosign()
        world.publish()
        octets = (world.out / name).read_bytes()
        is_bundle = name.startswith(BUNDLES)
        altered = bytearray(expand_bundle(octets, BUNDLE_LIMIT) if is_bundle else octets)
        altered[100] ^= 1
        (world.out / name).write_bytes(compress_bundle(altered) if is_bundle else altered)

    return tamper


def gone(world: WatchedLogs) -> None:
    (world.out / "checkpoint").unlink()


def away(world: WatchedLogs) -> None:
    world.options["place"] = "https://127.0.0.1:1"


def signed_by(*lines: Callable[[str], SignatureLine]) -> Callable[[WatchedLogs], None]:
    def sign(world: WatchedLogs) -> None:
        note = Note.parse((world.out / "checkpoint").read_bytes())
        (world.out / "checkpoint").write_text(str(Note(note.text, tuple(line(note.text) for line in lines))))

    return sign


def forged_cosignature(text: str) -> SignatureLine:
    line = WITNESS.cosign(text, 1793491200)
    return SignatureLine(line.name, line.key_id, bytes(72))


def with_a_forged_cosignature(world: WatchedLogs) -> None:
    signed_by(Signer(LOG.name, SEED).sign, forged_cosignature)(world)
    world.options["witnesses"] = [world.witness, f"https://127.0.0.1:1 {WITNESS.cosigner}"]


def in_the_future(world: WatchedLogs) -> None:
    signed_by(Signer(LOG.name, SEED).sign, lambda text: WITNESS.cosign(text, 7_000_000_000))(world)
    world.options["witnesses"] = [world.witness, f"https://127.0.0.1:1 {WITNESS.cosigner}"]


def another_witness(world: WatchedLogs) -> None:
    world.options["witnesses"] = [f"{world.witness.split()[0]} {WITNESS.cosigner}"]


H = HOUR_MS
ALARMS = {
    "another history of one size": (lambda world: other_history(world, 3), H, "split-view", "they differ within 3"),
    "another history, longer": (lambda world: other_history(world, 9), H, "split-view", "differ within 3 leaves"),
    "another history, shorter": (lambda world: other_history(world, 2), H, "shrunk", "2 leaves; it has shown 3"),
    "the witness saw another history": (seen_by_the_witness_alone, H, "split-view", "http:.* differ within 3"),
    "a copy has another history": (in_a_copy, H, "split-view", "/copy shows; they differ within 1 leaves"),
    "leaves are cut off": (cut_off, H, "shrunk", "it shows 3 leaves; it has shown 4"),
    "no new leaf": (lambda world: None, 4 * H, "silence", "no new leaf since 2026-11-01T0"),
    "the witness's head is not published": (kept_back, 4.5 * H, "silence", "head of 4 leaves .* the log shows 3"),
    "no cosignature": (not_cosigned, 2.5 * H, "late-cosignature", "/1 has cosigned 3 leaves; the log has shown 4"),
    "a leaf is none": (no_leaf, H, "rule", "leaf 0: it is not the canonical JSON of a leaf"),
    "a leaf is of tomorrow": (of_tomorrow, H, "rule", "leaf 3: it is of 2026-11-02.*in the future"),
    "a leaf is later than its cosignature": (after_its_cosignature, 4 * H, "rule", "leaf 3: .*/1 has cosigned it at"),
    "a cosignature is forged": (with_a_forged_cosignature, H, "rule", "signature of witness.example/w is not on"),
    "a cosignature is of the future": (in_the_future, H, "rule", "witness.example/w has cosigned at 2191"),
    "an entry was altered": (change("tile/entries/000.p/4"), H, "tile", "leaf 0 is not what was signed"),
    "a tile was altered": (change("tile/0/000.p/4"), H, "tile", "do not lead to the root"),
    "no checkpoint": (gone, H, "unreachable", "there is no file checkpoint"),
    "the log is away": (away, H, "unreachable", "127.0.0.1:1/checkpoint: cannot be read"),
    "signed by another key": (signed_by(Signer(LOG.name, bytes(32)).sign), H, "key", "not signed by the key of"),
    "the witness has another key": (another_witness, H, "witness", "/w has not cosigned what it shows"),
}  # fmt: skip


FIRST = {kind: name for name, (_, _, kind, _) in reversed(ALARMS.items())}
"""First alarm of each kind."""


@pytest.mark.parametrize("name", [name if name in FIRST.values() else breadth(name) for name in ALARMS])
def test_an_alarm_is_raised(followed, name, monkeypatch):
    monkeypatch.setattr(tile_source, "RETRIES", 0)
    act, ms, kind, text = ALARMS[name]
    act(followed)
    report = followed.look(ms)
    found = [each for each in report.alarms if each.kind == kind]
    assert any(re.search(text, each.text) for each in found), report.alarms
    assert KINDS[AlarmKind(kind)] in (followed.folder / "page.html").read_text()
    again = followed.look(ms)
    assert [each.since for each in again.alarms] == [each.since for each in report.alarms]
    if kind == "split-view":
        (alarm,) = found
        options = ("--log-key", LOG)
        assert json_output("verify split-view", alarm.proof, *options)["proven"]
        assert run("verify split-view", alarm.proof, *options).stdout.startswith("proven: pbx-1/idtone has signed two")
        assert len(list(Path(alarm.proof).parent.iterdir())) == 1


def test_only_new_tiles_are_read_and_one_old_tile_again(world, monkeypatch):
    """An interrupted look keeps the results so far."""
    read: list[str] = []
    whole = TileSite.read

    def reading(self: TileSite, path: str, limit: int) -> bytes | None:
        read.append(path)
        return whole(self, path, limit)

    monkeypatch.setattr(TileSite, "read", reading)
    monkeypatch.setattr(follow_log, "TILES_A_STEP", 1)
    now = world.witness_ms = 9 * HOUR_MS
    world.options["silent_for"] = "P30D"
    world.tell(evidence(400))
    world.cosign()
    world.publish()
    looks = iter((False, True))
    report = world.look(now, lambda: next(looks))
    assert (report.leaves, report.known.checked, report.alarms) == (500, 256, [])
    assert world.look(now).known.checked == 500
    read.clear()
    world.tell(*(heard_call(f"later-{number}", 8.5 * HOUR_MS) for number in range(100)))
    world.tell(
        [sound_failed("pbx-1-1793491200.0", time_after(8.6 * HOUR_MS), "x")]
    )  # of a call that was over long before
    world.cosign()
    world.publish()
    report = world.look(now)
    assert (report.known.checked, report.alarms) == (601, [])
    assert sorted(path for path in read if path.startswith("tile/")) == [
        "tile/0/001", "tile/0/002.p/89", "tile/1/000.p/2", "tile/entries/001", "tile/entries/001",
        "tile/entries/002.p/89",
    ]  # fmt: skip
    (world.out / "tile/entries/000").write_bytes(bytes(100))
    (alarm,) = world.look(now).alarms  # full tiles are read again in turns
    assert "tile/entries/000: " in alarm.text


def test_an_alarm_ends_with_its_cause_except_for_what_was_signed(followed):
    change("tile/entries/000.p/4")(followed)
    assert [(each.kind, each.text) for each in followed.look().alarms] == [
        ("tile", "tile/entries/000.p/4: leaf 0 is not what was signed")
    ]
    assert followed.look().known.checked == 3
    shutil.rmtree(followed.out)
    followed.publish()
    report = followed.look()
    assert (report.alarms, report.known.checked) == ([], 4)
    first = followed.folder / "first"
    shutil.copytree(followed.out, first)
    other_history(followed, 7)
    followed.look()
    shutil.rmtree(followed.out)
    shutil.copytree(first, followed.out)
    followed.tell(heard_call("d", 3000))
    followed.publish()
    report = followed.look()
    assert [each.kind for each in report.alarms] == ["split-view"]
    assert report.leaves == 5


def test_what_cannot_be_looked_at_has_not_ended(followed, caplog, monkeypatch):
    """The log has alarms for a cut, and becomes unreachable.

    Then the monitor cannot read its own state.
    """
    cut_off(followed)
    [shrunk] = followed.look().alarms
    away(followed)
    kinds = [str(each.kind) for each in followed.look().alarms]
    assert kinds == [str(shrunk.kind), "unreachable"]
    del followed.options["place"]
    assert [str(each.kind) for each in followed.look().alarms] == [str(shrunk.kind)]
    head = (followed.out / "checkpoint").read_bytes()
    signed_by(Signer(LOG.name, bytes(32)).sign)(followed)
    assert [str(each.kind) for each in followed.look().alarms] == [str(shrunk.kind), "key"]
    (followed.out / "checkpoint").write_bytes(head)
    assert [str(each.kind) for each in followed.look().alarms] == [str(shrunk.kind)]
    over = threading.Event()
    monkeypatch.setattr(over, "wait", lambda seconds: None)
    reports = iter([LogReport("log", "", alarms=(shrunk,)), LogReport("log", "", trouble="not readable")])

    def look(is_over):
        found = next(reports)
        if found.trouble:
            over.set()
        return [found]

    monitor = Monitor(MonitoredLogs(state=followed.folder, logs=()))
    monkeypatch.setattr(monitor, "look", look)
    monitor.run(over)
    assert "no longer" not in caplog.text


def test_a_file_that_was_wrong_is_good_again_only_when_it_was_read(followed):
    """The alarm stays while the log shows a checkpoint of another key, or one with fewer leaves."""
    shutil.copytree(followed.out, followed.folder / "old")
    change("tile/entries/000.p/4")(followed)
    [tile] = followed.look().alarms
    head = followed.out / "checkpoint"
    good = head.read_bytes()
    signed_by(Signer(LOG.name, bytes(32)).sign)(followed)
    assert [str(each.kind) for each in followed.look().alarms] == ["key", "tile"]
    head.write_bytes((followed.folder / "old" / "checkpoint").read_bytes())
    assert [str(each.kind) for each in followed.look().alarms] == ["shrunk", "tile"]
    head.write_bytes(good)
    assert followed.look().alarms == [tile]
    shutil.rmtree(followed.out)
    followed.publish()
    assert followed.look().alarms == []


def test_what_a_log_signs_cannot_push_a_split_view_out(followed):
    broken = [heard_call(f"tomorrow-{number}", 24 * HOUR_MS) for number in range(ALARMS_LIMIT + 20)]
    followed.tell(*broken)
    followed.publish()
    assert len(followed.look().alarms) == ALARMS_LIMIT
    other_history(followed, 3 + len(broken))
    assert [each.kind for each in followed.look().alarms[:2]] == ["split-view", "rule"]


def heads(*roots: int, size: int = 2, key: bytes = SEED) -> list[Note]:
    texts = [f"{LOG.name}\n{size}\n{b64encode(bytes([root] * 32)).decode()}\n" for root in roots]
    return [Note(text, (Signer(LOG.name, key).sign(text),)) for text in texts]


NO_PROOFS = {
    "the heads are the same": lambda: SplitView(*heads(1, 1), bytes([1] * 32)),
    "the second is of another key": lambda: SplitView(*heads(1), *heads(2, key=bytes(32)), bytes([2] * 32)),
    "the root is not that of the second": lambda: SplitView(*heads(1, 2), bytes([3] * 32)),
    "the second is smaller": lambda: SplitView(*heads(1), *heads(2, size=1), bytes([2] * 32)),
    "the consistency proof is missing": lambda: SplitView(*heads(1), *heads(2, size=3), bytes([2] * 32)),
    "nothing": lambda: b"{}",
    "nested": lambda: b"[" * 10_000,
}


@pytest.mark.parametrize("name", NO_PROOFS)
def test_what_is_no_proof_of_a_split_view_is_refused(tmp_path, name):
    file = tmp_path / "split-view.json"
    file.write_bytes(bytes(NO_PROOFS[name]()))
    result = run("verify split-view", file, "--log-key", LOG)
    assert (result.exit_code, result.stdout.partition(":")[0]) == (1, "NOT PROVEN")


def test_a_proof_of_a_split_view_is_accepted_and_read_again():
    view = SplitView(*heads(1, 2), bytes([2] * 32), places=("https://a.example", "<script>"))
    view.check(LOG)
    assert SplitView.parse(bytes(view)) == view


def settings(folder: Path, logs: str) -> Path:
    path = folder / "monitor.yaml"
    path.write_text(f"state: {folder / 'kept'}\npage: {folder / 'page.html'}\nevery: PT1S\nlogs:\n{logs}")
    return path


def test_the_file_of_the_logs_is_read_with_every_fault(tmp_path):
    witness = Signer("witness.example/1", bytes(32)).cosigner
    path = settings(
        tmp_path,
        f"- {{place: http://a.example, key: {LOG}}}\n"
        f"- {{place: /a, key: {witness}, silent_for: PT1S}}\n"
        f"- {{place: /b, key: {LOG}, witnesses: ['http://w.example {witness}', 'https://v.example {witness}']}}\n"
        f"- {{place: /c, key: {LOG}x, copies: [ftp://c], witnesses: ['https://w.example {LOG}']}}\n",
    )
    with pytest.raises(DocumentError) as caught:
        read_monitored(path)
    assert [(each.line, each.field) for each in caught.value.faults] == [
        (5, "logs[0].place"), (6, "logs[1].key"), (6, "logs[1].silent_for"), (7, "logs[2].witnesses[0]"),
        (8, "logs[3].key"), (8, "logs[3].copies[0]"), (8, "logs[3].witnesses[0]"),
    ]  # fmt: skip
    witnesses = f"['https://a.example {witness}', 'https://b.example {witness}']"
    twice = f"- {{place: /a, key: {LOG}}}\n- {{place: /b, key: {LOG}, witnesses: {witnesses}}}\n"
    for logs, fields in ((twice, ["logs[1].key", "logs[1].witnesses[1]"]), ("  []\n", ["logs"])):
        with pytest.raises(DocumentError) as caught:
            read_monitored(settings(tmp_path, logs))
        assert [each.field for each in caught.value.faults] == fields


def test_the_shipped_file_is_one():
    shipped = read_monitored(ROOT / "config" / "monitor.yaml")
    assert shipped.logs[0].witness_keys()


def test_the_command_looks_once_and_its_exit_code_says_whether_there_is_an_alarm(followed, tmp_path):
    path = settings(
        tmp_path, f"- {{place: {followed.out}, key: {LOG}, witnesses: ['{followed.witness}'], silent_for: P366D}}\n"
    )
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    good, _ = run("monitor", path, "--once"), run("monitor", path, "--once")
    assert (good.exit_code, good.stdout) == (0, "pbx-1/idtone: 3 leaves, 3 of them judged\n")
    other_history(followed, 3)
    (report,) = json_output("monitor", path, "--once")
    assert (report["good"], [each["kind"] for each in report["alarms"]]) == (False, ["split-view"])
    assert SplitView.parse(Path(report["alarms"][0]["proof"]).read_bytes()).size == 3
    shown = run("monitor", path, "--once")
    assert (shown.exit_code, "  ALARM split-view, since 20" in shown.stdout) == (1, True)
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert not missing_parts(
        page,
        "二重の履歴 / split view",
        "この台帳の鍵が 2 つの履歴に署名しています",
        "its key has signed two histories",
    )
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_the_command_says_what_is_wrong_with_its_state_and_its_options(followed, tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    path = settings(
        tmp_path, f"- {{place: {followed.out}, key: {LOG}, witnesses: ['{followed.witness}'], silent_for: P366D}}\n"
    )
    run("monitor", path, "--once")
    (state,) = (tmp_path / "kept").glob("*.sqlite3")
    state.write_bytes(b"x" * 5000)
    (report,) = json_output("monitor", path, "--once")
    assert "if the file is damaged, remove it" in report["trouble"]
    with (
        Monitor(read_monitored(path)).locked(),
        pytest.raises(UsageError, match="another monitor keeps its state here"),
    ):
        run("monitor", path, "--once")
    with pytest.raises(UsageError, match="add --once"):
        run("monitor", path, "--json")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_the_command_goes_on_until_it_is_told_to_stop_and_logs_each_alarm_once(followed, tmp_path):
    path = settings(tmp_path, f"- {{place: {followed.out}, key: {LOG}, silent_for: P366D}}\n")
    (tmp_path / "idtone.yaml").write_text("log: {format: json}\n")
    followed.out.rename(tmp_path / "away")
    command = [sys.executable, "-c", EVIDENCE_PROGRAM, "monitor", path, "-c", tmp_path / "idtone.yaml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = [json.loads(process.stderr.readline())]
            (tmp_path / "away").rename(followed.out)
            lines.append(json.loads(process.stderr.readline()))
        finally:
            process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) == 0
    missing = f"unreachable: {followed.out}: there is no file checkpoint"
    assert [each["message"] for each in lines] == [f"pbx-1/idtone: {missing}", f"pbx-1/idtone: no longer: {missing}"]
    assert rest == ""
