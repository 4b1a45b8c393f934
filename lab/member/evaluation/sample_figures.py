"""Sample figures signed by a node, with its key and tree, two witnesses, and criteria that name one of them."""

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from idtone.core.signed_notes import Note, Signer
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.member.evaluation.criteria import Criteria, parse_criteria
from idtone.member.evaluation.figures import KIND, NodeFigures, figures_of
from idtone.member.evaluation.period import Period
from idtone.registry.correspondence.signed_document import sign_document, verified_document
from lab.repository import ROOT

SEED = b"7" * 32
NODE = Signer("m-0001/pbx-1", SEED)
LOG = Signer("pbx-1/idtone", SEED)
WITNESS, STRANGER = Signer("witness.example/1", b"w" * 32), Signer("witness.example/2", b"x" * 32)
LAST_YEAR, YEAR = Period.parse("2024-01-01", "2024-12-31"), Period.parse("2025-01-01", "2025-12-31")
LAST_DAY = "2025-12-31"
"""Last day of `YEAR`, as a user types it."""
NOW = datetime(2026, 2, 1, tzinfo=UTC)

SAMPLE = (ROOT / "config" / "evaluation.yaml").read_text("utf-8")
LIST = "https://list.test/operators/"
CRITERIA = SAMPLE.replace("witnesses: []", f"witnesses: ['{WITNESS.cosigner}']").replace(
    "https://association.example/operators/", LIST
)


@cache
def criteria(text: str = CRITERIA) -> Criteria:
    return parse_criteria(text, "evaluation.yaml")


def head_of(
    period: Period,
    size: int = 30_000,
    log: Signer = LOG,
    witness: Signer = WITNESS,
    at: datetime | None = None,
    root: str = "",
) -> str:
    """A head that a witness cosigned at the time `at`, or by default a day after the period."""
    text = Checkpoint(log.key.name, size, hashlib.sha256(f"{root}{size}".encode()).digest()).text
    time_s = int((at or period.ends).timestamp()) + (0 if at else 86_400)
    return str(Note(text, (log.sign(text), witness.cosign(text, time_s))))


def content_of(period: Period, calls: int = 1000, head: str | None = None, **other: Any) -> dict[str, Any]:
    """Figures with `calls` calls in each month. Each connected call has a sent sound."""
    month = {"calls": calls, "fallback": 0, "connected": calls // 2, "sent": calls // 2}
    return {
        "version": 1,
        "period": {"from": period.start.isoformat(), "until": period.until.isoformat()},
        "head": head or head_of(period, 13 * calls * (2 if period == YEAR else 1)),
        "began": "2023-12-31T00:00:00+00:00",
        "continues": None,
        "missing_steps": 0,
        "months": [{"month": name, **month} for name in period.months],
        **other,
    }


def document_of(content: dict[str, Any], signer: Signer = NODE, member: str = "m-0001") -> bytes:
    return sign_document(KIND, member, content, signer, NOW)


def node_figures(content: dict[str, Any], signer: Signer = NODE) -> NodeFigures:
    return figures_of(verified_document(document_of(content, signer), lambda _: [signer.key]))


def write_criteria(folder: Path, text: str = CRITERIA) -> None:
    (folder / "evaluation.yaml").write_text(text, "utf-8")
