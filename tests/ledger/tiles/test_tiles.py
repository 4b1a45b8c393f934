"""Publishing a ledger as tiles, and verifying them, by the commands."""

import gzip
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import LedgerError, UsageError
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.commands.verify_pack import omitted_leaves
from idtone.ledger.disclosure.pack import MANIFEST, leaf_files
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tiles import tile_writer
from idtone.ledger.tiles.tile_source import TileFolder
from idtone.ledger.tree.inclusion_proof import InclusionProof
from idtone.ledger.tree.merkle import leaf_hash
from idtone.ledger.tree.tiles import BUNDLE_LIMIT, ENTRY_LIMIT, compress_bundle, entries_of, expand_bundle
from lab.ledger.commands.run_ledger import json_output, run
from lab.ledger.disclosure.packs import pack_of, resealed
from lab.ledger.replication.nodes import Node
from lab.ledger.sample_evidence import ALICE, LOG, NOW, SEED, SHA256, cancelled_call, heard_call, time_after, url_of
from lab.ledger.sample_ledger import query, write
from lab.ledger.vectors.plans import Plan

WITNESS = Signer("witness.example/w", bytes(range(64, 96)))
LEAVES = 275


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def published(out: Path, *options: object) -> dict[str, Any]:
    """The command's report on the only ledger that it publishes."""
    (report,) = json_output("log tiles", out, *options)
    return report


def verdict(folder: Path | str, *options: object, key: object = LOG) -> dict[str, Any]:
    return json_output("verify tiles", folder, "--log-key", key, *options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def head(ledger: Path) -> Note:
    text = LedgerReader.open(url_of(ledger)).checkpoint()
    assert text
    return Note.parse(text.encode())


def test_a_ledger_is_published_and_verified_by_the_key_alone(ledger, out, monkeypatch):
    report = published(out)
    folder = out / "pbx-1/idtone"
    assert (report["leaves"], report["new_leaves"], report["signed"]) == (LEAVES, LEAVES, LEAVES)
    assert (report["folder"], report["log"], report["cosigned_by"]) == (str(folder), LOG.name, [])
    files = contents(folder)
    assert sorted(files) == [
        "checkpoint", "tile/0/000", "tile/0/001.p/19", "tile/1/000.p/1", "tile/entries/000",
        "tile/entries/001.p/19",
    ]  # fmt: skip
    assert (report["files"], report["bytes"]) == (len(files), sum(map(len, files.values())))
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*")} == {0o750, 0o640}
    shutil.rmtree(ledger.parent)
    monkeypatch.setenv("IDTONE_CONFIG", "missing")
    good = verdict(folder)
    assert (good["good"], good["leaves"], good["faults"]) == (True, LEAVES, [])
    assert run("verify tiles", folder, "--log-key", LOG).stdout.startswith(f"good: {LEAVES} leaves of ")


def test_the_folders_stay_those_of_a_group_that_the_user_is_not_in(ledger, out, monkeypatch):
    """The web server's group: for a user outside it, Linux takes the set-group-ID bit out of the mode of a chmod."""
    out.mkdir(exist_ok=True)
    out.chmod(0o2750)
    chmod = os.chmod
    monkeypatch.setattr(os, "chmod", lambda path, mode, **more: chmod(path, mode & 0o777, **more))
    before = os.umask(0o077)
    try:
        published(out)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o7777 for path in out.rglob("*")} == {0o2750, 0o640}


def test_what_a_call_proves_leads_to_the_same_tree(ledger, out):
    published(out)
    folder = out / "pbx-1/idtone"
    proof = InclusionProof.parse(run("prove", "pbx-1-1793491200.1").stdout.encode())
    assert str(proof.checkpoint).encode() == (folder / "checkpoint").read_bytes()
    entry = entries_of(expand_bundle((folder / "tile/entries/000").read_bytes(), BUNDLE_LIMIT), 256)[proof.index]
    assert proof.extra == entry
    proof.check(entry, LOG)


def test_a_leaf_that_a_pack_leaves_out_is_told_by_the_whole_tree(ledger, out):
    """The holder of the key could leave out steps that were recorded after the end of a call.

    The pack alone does not show that.
    """
    published(out)
    source = TileFolder(out / "pbx-1/idtone")
    files = pack_of(ledger.parent)
    assert list(omitted_leaves(source, verify_pack_files(files, LOG))) == []
    (record,) = (each for each in json.loads(files[MANIFEST])["records"] if len(each["leaves"]) > 1)
    gone = leaf_files(record["leaves"][-1])

    def shorten(manifest: dict[str, Any]) -> None:
        next(each for each in manifest["records"] if each["call"] == record["call"])["leaves"].pop()
        for name in gone:
            manifest["files"].pop(name)

    shorter = resealed({name: content for name, content in files.items() if name not in gone}, shorten)
    verdict = verify_pack_files(shorter, LOG)
    assert verdict.faults == []
    [fault] = omitted_leaves(source, verdict)
    assert (fault.rule, fault.partition(":")[0]) == ("leaf-left-out", f"call {record['call']}")
    write(url_of(ledger), [steps.sound_failed(record["call"], time_after(1e8), "x")])  # after the pack
    published(out)
    assert list(omitted_leaves(source, verify_pack_files(files, LOG))) == []
    other, *_ = omitted_leaves(source, verify_pack_files(Plan(cosigned=[], basis=None).files(), LOG))
    assert "the published tree: the pack" in other


def test_later_only_what_is_new_is_written(ledger, out, monkeypatch):
    folder = out / "pbx-1/idtone"
    published(out)
    before = contents(folder)
    kept = out / "kept"
    kept.write_bytes(before["checkpoint"])
    assert published(out)["files"] == 0
    write(url_of(ledger), *(heard_call(f"later-{number}", 10_000_000 + 1000 * number) for number in range(240)))
    write(
        url_of(ledger),
        cancelled_call("late", 20_000_000),
        [steps.sound_failed("pbx-1-1793491200.0", time_after(1e8), "x")],
    )

    # A reader sees the whole tree of the checkpoint that is there, whenever it looks.
    seen = []
    put = tile_writer.replace_durably

    def putting(target: Path, *rest: object) -> None:
        seen.append(verdict(folder)["leaves"])
        put(target, *rest)
        assert verdict(folder)["good"]

    with monkeypatch.context() as patched:
        patched.setattr(tile_writer, "replace_durably", putting)
        report = published(out)
    assert (report["leaves"], report["new_leaves"], set(seen)) == (LEAVES + 243, 243, {LEAVES})
    after = contents(folder)
    full = {name for name in before if name.endswith("/000")}
    assert {name: before[name] for name in full} == {name: after[name] for name in full}
    # The partial tiles that are full now are gone; one that is not full yet stays, for readers of the old checkpoint.
    assert sorted(after.keys() - before.keys()) == [
        "tile/0/001",
        "tile/0/002.p/6",
        "tile/1/000.p/2",
        "tile/entries/001",
        "tile/entries/002.p/6",
    ]
    assert before.keys() - after.keys() == {"tile/0/001.p/19", "tile/entries/001.p/19"}
    published(out.with_name("at-once"))
    at_once = contents(out.with_name("at-once") / "pbx-1/idtone")
    assert at_once == {name: octets for name, octets in after.items() if name in at_once}
    assert after.keys() - at_once.keys() == {"tile/1/000.p/1"}
    good = verdict(folder, "--checkpoint", kept)
    assert (good["good"], good["awaited_steps"]) == (True, 4)


def test_a_reader_of_the_old_checkpoint_takes_the_full_tile(ledger, out):
    folder = out / "pbx-1/idtone"
    published(out)
    old = (folder / "checkpoint").read_bytes()
    write(url_of(ledger), *(heard_call(f"later-{number}", 10_000_000 + 1000 * number) for number in range(240)))
    published(out)
    (folder / "checkpoint").write_bytes(old)
    assert verdict(folder)["good"]


def test_an_interrupted_run_is_completed_by_the_next(ledger, out, monkeypatch):
    put, count = tile_writer.replace_durably, 0

    def failing(*arguments: object) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(28, "No space left on device", str(arguments[0]))
        put(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tile_writer, "replace_durably", failing)
        failed = run("log tiles", out)
    assert failed.exit_code == 1
    assert "the tiles cannot be written: No space left on device" in failed.stderr
    assert not (out / "pbx-1/idtone/checkpoint").exists()
    with pytest.raises(LedgerError, match="there is no file checkpoint"):
        verdict(out / "pbx-1/idtone")
    published(out)
    assert verdict(out / "pbx-1/idtone")["good"]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE steps SET details = '{}' WHERE id = 700", "leaf 2[0-9]{2}, call pbx-1-1793491200"),
        ("UPDATE steps SET details = x'7b7d' WHERE id = 700", "leaf 2[0-9]{2}, call pbx-1-1793491200|is damaged"),
        ("DELETE FROM steps WHERE id > 700", "leaf [0-9]+ is missing"),
        ("UPDATE hashes SET hash = zeroblob(32) WHERE place = 0", "tile/0/000 is not what was signed"),
        ("UPDATE hashes SET hash = zeroblob(32) WHERE place > 500", "do not lead to the root"),
        ("UPDATE hashes SET hash = 'x' WHERE place = 8", "hashes of the tree are damaged"),
        ("DELETE FROM hashes WHERE place = 8", "hashes of the tree are missing"),
        ("UPDATE meta SET value = replace(value, '275', '274') WHERE key = 'checkpoint'", "not on this text"),
    ],
)  # fmt: skip
def test_a_ledger_that_is_not_what_was_signed_is_not_published(ledger, out, statement, fault):
    query(ledger, statement)
    refused = run("log tiles", out)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("pbx-1/idtone: ")
    assert re.search(fault, refused.stderr), refused.stderr
    assert not (out / "pbx-1/idtone/checkpoint").exists()


def test_another_tree_is_not_written_over_what_is_there(ledger, out, tmp_path):
    published(out)
    folder = out / "pbx-1/idtone"
    before = contents(folder)
    fork = tmp_path / "fork" / "ledger.sqlite3"
    write(url_of(fork), *(heard_call(f"other-{number}", 1000 * number) for number in range(300)))
    refused = run("log tiles", out, "--ledger", url_of(fork))
    assert (refused.exit_code, contents(folder)) == (1, before)
    assert "its first 275 leaves are not those that were signed" in refused.stderr
    # An older copy of the same ledger leaves the newer tree as it is.
    older = tmp_path / "older" / "ledger.sqlite3"
    write(url_of(older), heard_call())
    assert published(out, "--ledger", url_of(older))["files"] == 0
    stranger = Signer(LOG.name, bytes(32))
    note = head(ledger)
    (folder / "checkpoint").write_text(str(Note(note.text, (stranger.sign(note.text),))))
    assert "name another folder" in run("log tiles", out).stderr


def test_witnesses_decide_what_is_published(ledger, out, monkeypatch):
    monkeypatch.setenv("IDTONE_LEDGER_WITNESSES", f"https://witness.example {WITNESS.cosigner}")
    cosigned = head(ledger)
    cosigned = cosigned.with_lines([WITNESS.cosign(cosigned.text, 1793491200)])
    ledger.with_name("key.cosigned").write_text(str(cosigned))
    write(url_of(ledger), heard_call("later", 10_000_000))
    report = published(out)
    assert (report["leaves"], report["signed"], report["cosigned_by"]) == (275, 276, [WITNESS.key.name])
    shown = run("log tiles", out).stdout
    assert "cosigned by  witness.example/w" in shown
    assert "waiting      1 leaves" in shown
    folder = out / "pbx-1/idtone"
    assert verdict(folder, "--witness-key", WITNESS.cosigner)["cosigners"] == [WITNESS.key.name]
    report = published(out, "--uncosigned")
    assert (report["leaves"], report["cosigned_by"]) == (276, [])
    bad = verdict(folder, "--witness-key", WITNESS.cosigner)
    assert bad["faults"] == ["witness.example/w has not cosigned the checkpoint"]
    # The cosigned checkpoint is older than what is there: it stays, and gets its cosignature as soon as there is one.
    assert published(out)["files"] == 0
    now = head(ledger)
    ledger.with_name("key.cosigned").write_text(str(now.with_lines([WITNESS.cosign(now.text, 1793491300)])))
    assert published(out)["files"] == 1
    assert published(out, "--uncosigned")["files"] == 0
    assert verdict(folder, "--witness-key", WITNESS.cosigner)["good"]


def flip(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        octets = bytearray((folder / name).read_bytes())
        octets[100] ^= 1
        (folder / name).write_bytes(octets)

    return change


def flip_within(name: str) -> Callable[[Path], None]:
    """Function that changes a bit in the content of a compressed file."""

    def change(folder: Path) -> None:
        octets = bytearray(expand_bundle((folder / name).read_bytes(), BUNDLE_LIMIT))
        octets[100] ^= 1
        (folder / name).write_bytes(compress_bundle(octets))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def grow(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + bytes(2**20))


def repack(name: str, pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Function that writes the entries in another form."""
    return lambda folder: (folder / name).write_bytes(pack(gzip.decompress((folder / name).read_bytes()))) and None


def named(name: str) -> Callable[[Path], None]:
    def pack(octets: bytes) -> bytes:
        made = io.BytesIO()
        with gzip.GzipFile("0312345678", "wb", fileobj=made) as file:
            file.write(octets)
        return made.getvalue()

    return repack(name, pack)


def plain(name: str) -> Callable[[Path], None]:
    return repack(name, lambda octets: octets)


def cut(name: str) -> Callable[[Path], None]:
    return repack(name, lambda octets: compress_bundle(octets)[:-8])


def bomb(name: str) -> Callable[[Path], None]:
    return repack(name, lambda octets: compress_bundle(octets + bytes(2 * BUNDLE_LIMIT)))


def more(name: str) -> Callable[[Path], None]:
    return repack(name, lambda octets: compress_bundle(octets + bytes(2)))


TAMPERED = {
    "a bit of an entry": (flip_within("tile/entries/000"), "tile/entries/000: leaf 0 is not what was signed"),
    "a bit of the last entries": (flip_within("tile/entries/001.p/19"), "tile/entries/001.p/19: leaf 256 is not"),
    "a bit of what is compressed": (flip("tile/entries/000"), "tile/entries/000: it cannot be expanded: "),
    "a name with it": (named("tile/entries/000"), "tile/entries/000: it is not compressed as idtone does it"),
    "it is not compressed": (plain("tile/entries/000"), "tile/entries/000: it is not compressed as idtone does it"),
    "compressed entries are cut off": (cut("tile/entries/000"), "tile/entries/000: it is cut off, or more follows"),
    "entries expand without end": (bomb("tile/entries/000"), "tile/entries/000: it is larger than 16777472 bytes"),
    "more entries": (more("tile/entries/000"), "tile/entries/000: it does not hold 256 whole entries"),
    "a bit of a full tile": (flip("tile/0/000"), "tile/0/000 is not what was signed"),
    "a bit of a partial tile": (flip("tile/0/001.p/19"), "the last tiles do not lead to the root"),
    "a bit of the checkpoint": (flip("checkpoint"), "checkpoint is not signed|not on this text|not a signature line"),
    "entries are gone": (remove("tile/entries/000"), "tile/entries/000: it is missing"),
    "a tile is gone": (remove("tile/0/000"), "tile/0/000 is missing"),
    "a partial tile is gone": (remove("tile/1/000.p/1"), "tile/1/000.p/1 is missing"),
    "a tile is large": (grow("tile/0/000"), "tile/0/000 is larger than 8192 bytes"),
    "more follows the entries": (grow("tile/entries/000"), "tile/entries/000: it is cut off, or more follows"),
    "the checkpoint is large": (grow("checkpoint"), "checkpoint is larger than"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_not_what_was_signed_is_found(ledger, out, name):
    tamper, fault = TAMPERED[name]
    published(out)
    tamper(out / "pbx-1/idtone")
    bad = verdict(out / "pbx-1/idtone")
    assert not bad["good"]
    assert len(bad["faults"]) == 1, bad["faults"]
    assert re.search(fault, bad["faults"][0])
    shown = run("verify tiles", out / "pbx-1/idtone", "--log-key", LOG)
    assert (shown.exit_code, "NOT GOOD: " in shown.stdout) == (1, True)


def test_a_checkpoint_that_was_kept_shows_what_was_cut_off(ledger, out, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text(str(head(ledger)))
    smaller, other = tmp_path / "a" / "ledger.sqlite3", tmp_path / "b" / "ledger.sqlite3"
    write(url_of(smaller), heard_call())
    write(url_of(other), *(heard_call(f"other-{number}", 1000 * number) for number in range(300)))
    for path, fault in (
        (smaller, "it has 1 leaves, and 275 were signed"),
        (other, "its first 275 leaves are not those that were signed"),
    ):
        folder = path.with_name("out")
        published(folder, "--ledger", url_of(path))
        (told_of,) = verdict(folder / "pbx-1/idtone", "--checkpoint", kept)["faults"]
        assert fault in told_of
    stranger = verdict(other.with_name("out") / "pbx-1/idtone", key=Signer(LOG.name, bytes(32)).key)
    assert stranger["faults"] == ["the checkpoint is not signed by the key of pbx-1/idtone"]


def test_a_signed_leaf_that_breaks_the_rules_is_found(out, tmp_path, monkeypatch):
    """The log signs a leaf that no ledger writes."""
    monkeypatch.setattr("idtone.ledger.writing.log_store.leaf_closed_by", lambda unclosed, before: b"{}")
    monkeypatch.setattr("idtone.ledger.store.leaf_contents.leaf", lambda *_: b"{}")
    wrong = tmp_path / "wrong" / "ledger.sqlite3"
    write(url_of(wrong), heard_call("a"), heard_call("b"))
    (wrong.parent / "key.sign").write_bytes(SEED)
    (wrong.parent / "key.sign").chmod(0o600)
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(wrong.with_name("key")))
    monkeypatch.setenv("IDTONE_NODE", "pbx-1")
    published(out, "--ledger", url_of(wrong))
    faults = verdict(out / "pbx-1/idtone")["faults"]
    assert faults == [
        f"tile/entries/000.p/2: leaf {number}: it is not the canonical JSON of a leaf" for number in range(2)
    ]


def test_an_entry_that_no_tile_can_hold_is_refused(ledger, out):
    with pytest.raises(LedgerError, match="9000 calls are too many for one request"):
        steps.export_requested("act-1", NOW, ALICE, "2026-7", [f"c-{n}" for n in range(9000)], True, SHA256, NOW)
    write(url_of(ledger), [Step("act-1", StepKind.EXPORTED, NOW, {"case": "x" * ENTRY_LIMIT})])
    refused = run("log tiles", out)
    assert "leaf 275, call act-1, has 65" in refused.stderr
    assert "a tile holds entries of 65535 bytes at most" in refused.stderr


def test_the_replicas_of_all_nodes_are_published(untouched: dict[str, Node], out):
    reports = json_output("log tiles", out)
    assert [(each["node"], each["leaves"]) for each in reports] == [("osaka", 1), ("sendai", 1), ("tokyo", 1)]
    for name, node in untouched.items():
        folder = out / f"{name}/idtone"
        assert verdict(folder, key=node.key)["good"]
        bundle = expand_bundle((folder / "tile/entries/000.p/1").read_bytes(), BUNDLE_LIMIT)
        hashed = leaf_hash(entries_of(bundle, 1)[0])
        assert (folder / "tile/0/000.p/1").read_bytes() == hashed
    shutil.rmtree(out)
    assert [each["node"] for each in json_output("log tiles", out, "--node", "osaka")] == ["osaka"]
    assert [path.name for path in out.iterdir()] == ["osaka"]


def test_what_cannot_be_used_is_refused(ledger, out, monkeypatch):
    for arguments, fault in (
        (["ftp://tiles.example", "--log-key", LOG], "begins with https://"),
        ([out, "--log-key", WITNESS.cosigner], "this key is of another kind"),
        ([out, "--log-key", LOG, "--witness-key", LOG], "this key is of another kind"),
    ):
        with pytest.raises(UsageError, match=fault):
            run("verify tiles", *arguments)
    monkeypatch.setenv("IDTONE_LEDGER_ORIGIN", "a/../../b")
    write(url_of(ledger.with_name("other.sqlite3")), heard_call())
    monkeypatch.setattr(LedgerReader, "checkpoint", lambda self: "a/../../b\n1\nAAAA\n\n— a AAAAAAAA\n")
    assert run("log tiles", out).exit_code == 1
    assert not out.exists()
