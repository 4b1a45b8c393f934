"""Legal bases with all the texts that they need."""

from dataclasses import replace
from datetime import date, timedelta

from idtone.ledger.disclosure.legal_basis import LegalBasis, complete_basis, load_legal_bases
from lab.ledger.sample_evidence import NOW

BASES = load_legal_bases(None)
DAY = date(2026, 11, 1)
"""Date of `NOW` in Japan."""
ALL = LegalBasis(
    "warrant",
    "",
    "見本警察署",
    "見本 第7号",
    "calls of one number",
    NOW - timedelta(hours=1),
    DAY + timedelta(days=9),
    "見本簡易裁判所",
    DAY,
    "a life is in danger",
)


def make_legal_basis(basis: str, **changes: object) -> LegalBasis:
    return complete_basis(replace(ALL, basis=basis, **changes), BASES)  # type: ignore[arg-type]
