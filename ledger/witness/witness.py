"""A witness's HTTP server, which cosigns logs and stores the last cosigned heads.

The witness handles one request at a time per log.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from idtone.core.errors import DocumentError, Fault, LedgerError, ProofError
from idtone.core.files import read_if_there, replace_durably, writing
from idtone.core.signed_notes import Algorithm, Note, Signer, VerifierKey
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text

from ..keys.key_file import load_key
from ..keys.private_files import PRIVATE_FILE, make_parents
from ..tree.checkpoints import Checkpoint
from .add_checkpoint import REQUEST_LIMIT, AddCheckpoint, WitnessAnswer, judge, log_digest, origin_of

_log = logging.getLogger(__name__)


class WitnessState:
    """A folder with a witness's key and each log's last cosigned checkpoint.

    Open it with `locked`. The key and the checkpoints share a folder on purpose, because a witness that loses its
    checkpoints must also lose its key and start over as a new witness.
    """

    def __init__(self, folder: Path) -> None:
        """Use `locked`."""
        self._folder = folder

    @classmethod
    @contextmanager
    def locked(cls, folder: Path) -> Iterator[WitnessState]:
        """Lock a witness's folder during the block.

        Raises LedgerError if the folder cannot be used or another witness is using it.
        """
        try:
            make_parents(folder / "lock")
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            raise LedgerError(
                "{folder}: a witness cannot keep its state here: {reason}", folder=folder, reason=error.strerror
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield cls(folder)
        except BlockingIOError as error:
            raise LedgerError(
                "{folder}: another witness has its state here; stop it, or name another folder", folder=folder
            ) from error
        finally:
            os.close(descriptor)

    def signer(self, name: str) -> Signer:
        """Signer with the given name and the witness's key, which is created if missing."""
        return Signer(name, load_key(self._folder / "witness.key"))

    def latest(self, origin: str) -> Checkpoint | None:
        """A log's last cosigned checkpoint; None if there is none.

        Raises LedgerError if the checkpoint cannot be read, in which case the witness must not cosign.
        """
        note = self.latest_note(origin)
        return Checkpoint.parse(note.text) if note else None

    def latest_note(self, origin: str) -> Note | None:
        """A log's last checkpoint, signed by the log and the witness; None if there is none.

        Raises LedgerError.
        """
        path = self._path(origin)
        octets = read_if_there(path, LedgerError)
        if octets is None:
            return None
        try:
            note = Note.parse(octets)
            checkpoint = Checkpoint.parse(note.text)
        except ProofError as error:
            raise LedgerError(
                "{path}: {error}; restore it from a backup that is not older", path=path, error=error
            ) from error
        if checkpoint.origin != origin:
            raise LedgerError("{path}: is of another log; restore it from a backup that is not older", path=path)
        return note

    def keep(self, note: Note) -> None:
        """Store a cosigned checkpoint on disk.

        Raises LedgerError.
        """
        path = self._path(note.text.partition("\n")[0])
        with writing(path, LedgerError):
            replace_durably(path, str(note).encode(), PRIVATE_FILE)

    def _path(self, origin: str) -> Path:
        return self._folder / f"{log_digest(origin)}.checkpoint"


def read_logs(path: Path) -> dict[str, list[VerifierKey]]:
    """Read the keys, by origin, of the logs to cosign.

    The file has one key per line, and `#` begins a comment. Raises DocumentError, which lists every line that is not a
    key.
    """
    logs: dict[str, list[VerifierKey]] = defaultdict(list)
    faults = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = VerifierKey.parse(text)
        except ProofError as error:
            faults.append(
                Fault(
                    str(path), number, 1, "", str(error), Message("Write what `idtone-evidence log key` prints there")
                )
            )
            continue
        if key.algorithm is not Algorithm.ED25519:
            faults.append(
                Fault(
                    str(path),
                    number,
                    1,
                    "",
                    Message("{name} is a witness's key", name=key.name),
                    Message("Write the key of a log here"),
                )
            )
            continue
        logs[key.name].append(key)
    if faults:
        raise DocumentError(faults)
    return dict(logs)


class Witness:
    """A witness's HTTP endpoints, for `add-checkpoint` requests and the last cosigned heads."""

    def __init__(
        self,
        state: WitnessState,
        signer: Signer,
        logs: Mapping[str, Sequence[VerifierKey]],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._signer = signer
        self._logs = logs
        self._clock_s = clock_s
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def application(self) -> web.Application:
        application = web.Application(client_max_size=REQUEST_LIMIT)
        application.router.add_post("/add-checkpoint", self._add)
        application.router.add_get("/checkpoint/{log}", self._show)
        return application

    async def _show(self, request: web.Request) -> web.Response:
        """A log's last cosigned head, from which the log learns whether another tree was signed under its name."""
        digest = request.match_info["log"]
        origin = next((origin for origin in self._logs if log_digest(origin) == digest), None)
        try:
            note = await asyncio.to_thread(self._state.latest_note, origin) if origin else None
        except LedgerError as error:
            _log.error("%s", error)
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        if note is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="this witness has cosigned nothing of that log\n")
        return web.Response(text=str(note))

    async def _add(self, request: web.Request) -> web.Response:
        try:
            asked = AddCheckpoint.parse(await request.read())
        except ProofError as error:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text=f"{error}\n")
        origin = origin_of(asked)
        if origin not in self._logs:  # anyone may send this: nothing of it is kept
            answer = judge(asked, self._logs, None, self._signer, 0)
        else:
            async with self._turns[origin]:
                answer = await asyncio.to_thread(self._answer, asked, origin)
        _log.info("%s: %d", origin if origin in self._logs else "an unknown log", answer.status)
        # With exactly this type: clients refuse the size if a character set is named.
        headers = {"Content-Type": answer.content_type}
        return web.Response(status=answer.status, body=answer.text.encode(), headers=headers)

    def _answer(self, asked: AddCheckpoint, origin: str) -> WitnessAnswer:
        try:
            answer = judge(asked, self._logs, self._state.latest(origin), self._signer, int(self._clock_s()))
            if answer.cosigned:
                self._state.keep(answer.cosigned)
        except LedgerError as error:
            _log.error("%s", error)
            return WitnessAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, "this witness cannot keep what it cosigns\n")
        return answer


async def attend(witness: Witness, host: str, port: int, ready: Callable[[int], None], over: asyncio.Event) -> None:
    """Run the witness's HTTP server until `over` is set.

    `ready` receives the port. Raises LedgerError if the address cannot be used.
    """
    runner = web.AppRunner(witness.application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        ready(_ports(runner.addresses)[0])
        await over.wait()
    except OSError as error:
        raise LedgerError(
            "{host}:{port}: cannot be listened at: {reason}; name another address",
            host=host,
            port=port,
            reason=error.strerror,
        ) from error
    finally:
        await runner.cleanup()


def _ports(addresses: Iterable[tuple[object, ...]]) -> list[int]:
    return [int(str(address[1])) for address in addresses]
