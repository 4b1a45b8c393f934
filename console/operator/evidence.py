"""The evidence page: verification, the witnesses that cosigned, and the keys that others need to verify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import Note, VerifierKey, cosigned_at
from idtone.core.translation import Message, template
from idtone.ledger.evidence.log_ends_given_up import KINDS, EndsGivenUp
from idtone.ledger.keys.checkpoint_file import cosigned_file
from idtone.ledger.keys.key_ring import own_key, successor_trees_of
from idtone.ledger.keys.timestamp_store import Stamps
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.witness.cosigning import witness_of
from idtone.service.status_command import duration

from ..access.rights import Right
from ..downloads import TEXT, download
from ..event_stream import stream_work
from ..ledger_verification import Verification, VerificationResult
from ..page import Method, Page, Visit

PATH: Final = "/evidence"
VERIFICATION: Final = web.AppKey("verification", Verification)
LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class WitnessRow:
    """A witness in the settings. `leaves` is the size of the last tree that it cosigned, or 0 if unknown."""

    name: str
    url: str
    leaves: int
    at: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Heads:
    """The tree's latest signed and latest cosigned checkpoints, and the log's key.

    `leaves` is the size of the tree. `stamped` is the size and time of the largest tree with a timestamp.
    `unsigned_ends` lists this node's earlier logs whose ends are not signed yet. `given_up` maps each earlier log that
    ended without a signature to the recorded reason, or to a general text if none is recorded.
    """

    signed: Note | None
    cosigned: Note | None
    key: VerifierKey
    leaves: int
    stamped: tuple[int, datetime] | None
    unsigned_ends: tuple[str, ...]
    given_up: Mapping[str, str]

    @property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint.parse(self.signed.text) if self.signed else None

    @property
    def unsigned(self) -> int:
        """Number of leaves not signed yet."""
        return max(0, self.leaves - (self.checkpoint.size if self.checkpoint else 0))

    @classmethod
    def read(cls, settings: Settings) -> Heads:
        """Read the checkpoints of this node's ledger. Raises LedgerError."""
        ledger = settings.ledger
        with LedgerReader.open(ledger.own_url()).on_one_connection() as reader:
            # Leaves are read first: a leaf that is signed meanwhile must not count as unsigned.
            leaves, held, given = reader.leaves(), reader.checkpoint(), reader.acts(KINDS)
        signed = Note.parse(held.encode()) if held else None
        key = own_key(ledger, settings.node, signed.text.partition("\n")[0] if signed else None)
        cosigned = cosigned_file(ledger).latest(key)
        trees = successor_trees_of(ledger, settings.node)
        ends = tuple(each.after for each in trees.unsigned)
        acts = EndsGivenUp.of(given)
        given_up = {
            each.after: found.words if (found := acts.of_log(each.after)) else Message("its end was given up")
            for each in trees.without_end
            if each.given_up
        }
        stamped = Stamps(ledger.stamps()).newest(key.name)
        return cls(signed, cosigned[0] if cosigned else None, key, leaves, stamped, ends, given_up)


def witness_rows(
    witnesses: Sequence[str], cosigned: Note | None, told: Sequence[Mapping[str, Any]]
) -> list[WitnessRow]:
    """Rows for the witnesses in the settings.

    `told` is the running service's report on the witnesses. Raises UsageError, ProofError.
    """
    by_name = {each["name"]: each for each in told}
    rows = []
    for text in witnesses:
        witness = witness_of(text)
        said = by_name.get(witness.key.name, {})
        at, leaves = None, int(said.get("leaves", 0))
        if cosigned and cosigned.signed_by([witness.key]):
            line = next(each for each in cosigned.signatures if each.key_id == witness.key.key_id)
            at = datetime.fromtimestamp(cosigned_at(line), UTC)
            leaves = max(leaves, Checkpoint.parse(cosigned.text).size)
        rows.append(WitnessRow(witness.key.name, witness.url, leaves, at, str(said.get("trouble") or "")))
    return rows


async def evidence(visit: Visit) -> web.StreamResponse:
    settings, feed = visit.console.settings, visit.console.live.newest.feed
    heads, rows, trouble = None, list[WitnessRow](), None
    found, verified = await visit.in_thread(lambda: (_heads(settings), visit.request.app[VERIFICATION].last()))
    try:
        if isinstance(found, Exception):
            raise found
        heads = found
        told = feed["ledger"]["witnesses"] if feed else ()
        rows = witness_rows(settings.ledger.witnesses, heads.cosigned, told)
    except (IdtoneError, OSError) as error:
        trouble = error
    return visit.render(
        "evidence.html",
        heads=heads,
        witnesses=rows,
        trouble=trouble,
        is_running=feed is not None,
        cosigners=sum(bool(heads and heads.checkpoint and each.leaves == heads.checkpoint.size) for each in rows),
        has_authority=settings.ledger.timestamp.url is not None,
        now=datetime.now(UTC),
        **_verification(visit, verified),
    )


def _heads(settings: Settings) -> Heads | IdtoneError | OSError:
    try:
        return Heads.read(settings)
    except (IdtoneError, OSError) as error:
        return error


def _verification(visit: Visit, verified: VerificationResult | None) -> dict[str, Any]:
    """Context for the template `evidence_verification.html`."""
    verification = visit.request.app[VERIFICATION]
    return {
        "task": verification.work.task,
        "verified": verified,
        "kept_trouble": verification.trouble,
        "duration": duration,
    }


async def verify(visit: Visit) -> web.StreamResponse:
    visit.request.app[VERIFICATION].start()
    return visit.redirect(PATH)


async def cancel(visit: Visit) -> web.StreamResponse:
    visit.request.app[VERIFICATION].work.cancel()
    return visit.redirect(PATH)


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the progress of the verification and finally its result."""

    async def shown() -> str:
        verified = await visit.in_thread(visit.request.app[VERIFICATION].last)
        return visit.fragment("evidence_verification.html", **_verification(visit, verified))

    return await stream_work(visit, visit.request.app[VERIFICATION].work, "verification", shown, LOOK_EVERY_S)


async def checkpoint(visit: Visit) -> web.StreamResponse:
    return _note(visit, "checkpoint.txt", (await visit.in_thread(Heads.read, visit.console.settings)).signed)


async def cosigned(visit: Visit) -> web.StreamResponse:
    heads = await visit.in_thread(Heads.read, visit.console.settings)
    return _note(visit, "cosigned-checkpoint.txt", heads.cosigned)


def _note(visit: Visit, name: str, note: Note | None) -> web.Response:
    if note is None:
        problem = Message("there is no such checkpoint yet")
        return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=problem)
    return download(name, str(note).encode(), f"{TEXT}; charset=utf-8")


async def key(visit: Visit) -> web.StreamResponse:
    heads = await visit.in_thread(Heads.read, visit.console.settings)
    return download("verifier-key.txt", f"{heads.key}\n".encode(), f"{TEXT}; charset=utf-8")


PAGES = (
    Page(PATH, evidence, Right.LOOK, title=template("Evidence")),
    Page(f"{PATH}/changes", changes, Right.LOOK),
    Page(f"{PATH}/verify", verify, Right.LOOK, Method.POST),
    Page(f"{PATH}/cancel", cancel, Right.LOOK, Method.POST),
    Page(f"{PATH}/checkpoint", checkpoint, Right.LOOK),
    Page(f"{PATH}/cosigned", cosigned, Right.LOOK),
    Page(f"{PATH}/key", key, Right.LOOK),
)
