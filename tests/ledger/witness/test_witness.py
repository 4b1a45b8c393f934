"""A witness over HTTP, and a ledger that asks it."""

import asyncio
import json
import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from idtone.core.errors import DocumentError, LedgerError, UsageError
from idtone.core.signed_notes import Note, Signer, VerifierKey
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.witness.add_checkpoint import AddCheckpoint, log_digest
from idtone.ledger.witness.cosigning import Cosigning
from idtone.ledger.witness.witness import WitnessState, read_logs
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import LOG, heard_call, key_ring_of, url_of, write_each
from lab.ledger.sample_ledger import verification_faults, write, writer_of
from lab.ledger.tree.reference import SIGNER
from lab.ledger.witness.witness_request import WITNESS, witness_request
from lab.ledger.witness.witness_server import NAME, running_witness
from lab.ledger_copies import copy_ledger


async def ask(url: str, witness: str, writer: LedgerWriter | None = None, times: int = 1) -> None:
    """Send the witness the checkpoint several times.

    Without `writer`, the function opens the ledger.
    """
    with nullcontext(writer) if writer else writer_of(url) as asking:
        cosigning = Cosigning(asking, key_ring_of(url), [witness], 60)
        async with aiohttp.ClientSession() as session:
            for _ in range(times):
                await cosigning.ask(session)


async def written(url: str, *calls: str) -> None:
    await asyncio.to_thread(write, url, *map(heard_call, calls))


async def test_a_growing_ledger_is_cosigned_again_and_again(url, tmp_path):
    for size in (1, 2, 3):
        await written(url, f"c-{size}")
        async with running_witness(tmp_path) as witness:
            await ask(url, witness)
        note, checkpoint = key_ring_of(url).cosigned.latest(LOG)
        keys = (LOG, VerifierKey.parse(witness.split()[1]))
        assert (checkpoint.size, note.signed_by([*keys])) == (size, keys)
    assert verification_faults(url, ("cosigned", note)) == []


async def test_an_older_database_is_not_signed_any_more(url, file, tmp_path, caplog):
    """The disk is restored to an earlier state, including the record of the last signature.

    Only the witness has the later checkpoint.
    """
    await written(url, "c-1")
    shutil.copytree(file.parent, tmp_path / "backup")
    await written(url, "c-2")
    async with running_witness(tmp_path) as witness:
        await ask(url, witness)
        shutil.rmtree(file.parent)
        copy_ledger(tmp_path / "backup", file.parent)
        with writer_of(url) as writer, caplog.at_level(logging.ERROR):
            assert writer.stored_checkpoint
            await ask(url, witness, writer)
            assert writer.stored_checkpoint is None
            write_each(writer, *heard_call("c-3"))
            assert writer.stored_checkpoint is None
    assert "has cosigned 2 leaves of this log, and not this tree of 1" in caplog.text
    assert "no longer signed" in caplog.text


@pytest.mark.parametrize("more", [2, 3])
async def test_another_history_is_not_signed_any_more(url, file, tmp_path, more, caplog):
    """An attacker with the keys rewrites the history, with as many leaves or more."""
    await written(url, "c-1", "c-2")
    async with running_witness(tmp_path) as witness:
        await ask(url, witness)
        for path in (file, key_ring_of(url).seen.path, key_ring_of(url).cosigned.path):
            path.unlink()
        await written(url, *(f"forged-{number}" for number in range(more)))
        await ask(url, witness)
    assert f"{NAME} has cosigned" in caplog.text
    assert "no longer signed" in caplog.text


class Answering:
    """A server that gives arbitrary answers in place of a witness."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.shows = ""
        self.signer: Signer | None = None

    async def post(self, request: web.Request) -> web.Response:
        if self.signer is None:
            status, kind, text = self.answers.pop(0)
            return web.Response(status=status, body=text.encode(), headers={"Content-Type": kind})
        note = AddCheckpoint.parse(await request.read()).note
        return web.Response(text=str(self.signer.cosign(note.text, 1793491200)))

    async def get(self, request: web.Request) -> web.Response:
        return web.Response(text=self.shows) if self.shows else web.Response(status=404)

    @asynccontextmanager
    async def listening(self, signer: Signer) -> AsyncIterator[str]:
        """Run the server during the block; yields its entry in `ledger.witnesses`."""
        application = web.Application()
        application.router.add_post("/add-checkpoint", self.post)
        application.router.add_get("/checkpoint/{log}", self.get)
        async with TestServer(application) as server:
            yield f"http://127.0.0.1:{server.port} {signer.cosigner}"


def conflict(size: int) -> tuple[int, str, str]:
    return 409, "text/x.tlog.size", f"{size}\n"


UNSIGNED = {
    "a size that is larger": [conflict(7)],
    "a size that is ours": [conflict(0)],
    "a size, and another one": [conflict(1), conflict(2)],
    "not a size": [conflict(-1)],
    "another tree": [(422, "text/plain", "no proof\n")],
}


@pytest.mark.parametrize("name", UNSIGNED)
@pytest.mark.parametrize("shown", ["nothing", "another log's head", "our own head"])
async def test_what_nobody_has_signed_is_logged_and_stops_nothing(url, name, shown, caplog):
    await written(url, "c-1")
    answering = Answering(*UNSIGNED[name])
    with writer_of(url) as writer:
        heads = {"another log's head": Signer(LOG.name, bytes(32)).sign(writer.stored_checkpoint.text)}
        if shown != "nothing":
            line = heads.get(shown)
            answering.shows = str(Note(writer.stored_checkpoint.text, (line,)) if line else writer.stored_checkpoint)
        async with answering.listening(WITNESS) as witness:
            await ask(url, witness, writer)
        assert f"no cosignature: {WITNESS.key.name}" in caplog.text
        assert writer.stored_checkpoint
        write_each(writer, *heard_call("c-2"))
        assert Checkpoint.parse(writer.stored_checkpoint.text).size == 2
    assert verification_faults(url) == []


async def test_a_head_that_this_log_has_signed_and_that_is_of_another_tree_stops_it(url, tmp_path, caplog):
    other = url_of(tmp_path / "other" / "ledger.sqlite3")
    await written(url, "c-1")
    await written(other, "c-1", "c-2")
    answering = Answering(*UNSIGNED["another tree"])
    answering.shows = str(key_ring_of(other).seen.latest(LOG)[0])
    with writer_of(url) as writer:
        async with answering.listening(WITNESS) as witness:
            await ask(url, witness, writer)
        assert "has cosigned 2 leaves of this log, and not this tree of 1" in caplog.text
        write_each(writer, *heard_call("c-3"))
        assert writer.stored_checkpoint is None
    assert verification_faults(url) == ["call c-3: its leaf 1 is not signed"]


async def test_cosignatures_of_one_head_are_kept_together_and_the_best_head_stays(url, monkeypatch):
    one, two = Signer("one.example/w", bytes(32)), Signer("two.example/w", bytes(31) + b"2")
    first, second = Answering(), Answering(*[(503, "text/plain", "")] * 3)
    first.signer = one

    def kept() -> tuple[int, list[str]]:
        note, checkpoint = key_ring_of(url).cosigned.latest(LOG)
        return checkpoint.size, [key.name for key in note.signed_by([one.cosigner, two.cosigner])]

    with writer_of(url) as writer:
        write_each(writer, *heard_call("c-1"))
        async with first.listening(one) as here, second.listening(two) as there, aiohttp.ClientSession() as session:
            cosigning = Cosigning(writer, key_ring_of(url), [here, there], 60)
            await cosigning.ask(session)
            assert kept() == (1, [one.key.name])
            second.signer = two
            await cosigning.ask(session)
            assert kept() == (1, [one.key.name, two.key.name])
            second.signer = None
            write_each(writer, *heard_call("c-2"))
            await cosigning.ask(session)
            assert kept() == (1, [one.key.name, two.key.name])
            monkeypatch.setattr("idtone.ledger.witness.cosigning.BEST_FOR_S", 0.0)
            write_each(writer, *heard_call("c-3"))
            await cosigning.ask(session)
            assert kept() == (3, [one.key.name])


async def test_a_witness_that_is_away_or_does_not_know_the_log_gives_no_cosignature(url, tmp_path, caplog):
    await written(url, "c-1")
    async with running_witness(tmp_path, Signer("another", bytes(32)).key) as witness:
        await ask(url, witness)
    assert "it answered 404: this witness does not know that log" in caplog.text
    caplog.clear()
    with writer_of(url) as writer:
        await ask(url, witness, writer, times=2)
    assert caplog.text.count("no cosignature: witness.example/1") == 1
    assert key_ring_of(url).cosigned.latest(LOG) is None


async def test_what_a_witness_answers(tmp_path):
    async with running_witness(tmp_path, SIGNER.key) as witness, aiohttp.ClientSession() as session:
        place = f"{witness.split()[0]}/add-checkpoint"

        async def post(data: bytes | AddCheckpoint) -> tuple[int, str]:
            async with session.post(place, data=bytes(data)) as response:
                return response.status, await response.text()

        # No two requests at once are cosigned from the same size.
        answers = await asyncio.gather(*(post(witness_request(0, size)) for size in (8, 3, 5, 7)))
        assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
        cosigned = next(size for size, (status, _) in zip((8, 3, 5, 7), answers, strict=True) if status == 200)
        if cosigned < 8:
            assert (await post(witness_request(cosigned, 8)))[0] == 200
        assert (await post(AddCheckpoint(0, (), witness_request(0, 8).note)))[0] == 409
        assert await post(b"hello") == (400, "the request does not begin with: old SIZE\n")
        assert (await post(b"x" * 2**20))[0] == 413
        async with session.get(place) as response:
            assert response.status == 405
        # Clients of tlog-witness refuse a size with a character set.
        async with session.post(place, data=bytes(witness_request(3, 8))) as response:
            assert (response.headers["Content-Type"], await response.read()) == ("text/x.tlog.size", b"8\n")
        async with session.get(f"{witness.split()[0]}/checkpoint/{log_digest(SIGNER.key.name)}") as response:
            shown = Note.parse(await response.read())
        assert shown.signed_by([SIGNER.key, VerifierKey.parse(witness.split()[1])])
        assert shown.text == witness_request(0, 8).note.text
        async with session.get(f"{witness.split()[0]}/checkpoint/{log_digest('another')}") as response:
            assert response.status == 404


async def test_a_witness_whose_state_is_damaged_cosigns_nothing(url, tmp_path, caplog):
    await written(url, "c-1")
    async with running_witness(tmp_path) as witness:
        await ask(url, witness)
        (kept,) = (tmp_path / "witness").glob("*.checkpoint")
        kept.write_text("nothing")
        await written(url, "c-2")
        await ask(url, witness)
    assert "restore it from a backup that is not older" in caplog.text
    assert "it answered 500: this witness cannot keep what it cosigns" in caplog.text


def test_only_one_witness_has_a_state(tmp_path):
    with (
        WitnessState.locked(tmp_path),
        pytest.raises(LedgerError, match="another witness has its state here"),
        WitnessState.locked(tmp_path),
    ):
        pass


def test_the_keys_of_logs_are_read_with_every_fault(tmp_path):
    path = tmp_path / "logs"
    path.write_text(f"# members\n\n{LOG} # pbx-1\nnonsense\n{WITNESS.cosigner}\n")
    with pytest.raises(DocumentError) as caught:
        read_logs(path)
    assert [(fault.line, fault.problem) for fault in caught.value.faults] == [
        (4, "is not a verifier key (NAME+ID+BASE64) with an Ed25519 key"),
        (5, "witness.example/1 is a witness's key"),
    ]
    path.write_text(f"{LOG}\n")
    assert read_logs(path) == {LOG.name: [LOG]}


async def test_a_setting_that_names_no_witness_is_wrong_use_and_without_witnesses_nothing_is_asked(url):
    for key, problem in (("x+0+AA==", "is not a verifier key"), (str(LOG), "this is the key of a log")):
        with pytest.raises(UsageError, match=rf"ledger.witnesses: https://w.example: {problem}"):
            Cosigning(None, key_ring_of(url), [f"https://w.example {key}"], 60)
    await asyncio.wait_for(Cosigning(None, key_ring_of(url), [], 60).run(), 60)


def test_the_command_serves_until_it_is_told_to_stop_and_logs_as_the_service_does(url, tmp_path):
    write(url, heard_call())
    (tmp_path / "idtone.yaml").write_text("log: {format: json}\n")
    logs = tmp_path / "logs"
    logs.write_text(f"{LOG}\n")
    command = [sys.executable, "-c", "from idtone.evidence_cli import main; main()", "witness", "--name", NAME]
    options = ["--state", tmp_path / "w", "--logs", logs, "--listen", "127.0.0.1:0", "-c", tmp_path / "idtone.yaml"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            asyncio.run(ask(url, process.stdout.readline().strip()))
            assert key_ring_of(url).cosigned.latest(LOG)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        records = [json.loads(line) for line in process.stderr]
    assert [(each["level"], each["message"]) for each in records] == [("info", f"{LOG.name}: 200")]
