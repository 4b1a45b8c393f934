"""The yearly index of disclosures, and figures for a transparency report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from idtone.core.japan_time import JAPAN

from ..evidence.steps import Step
from .disclosure_request import DisclosureRequest, RequestState, requests
from .disclosures import Disclosure, disclosures_in
from .legal_basis import LegalBasis

SMALL: Final = 5
"""The smallest count that is published, apart from 0. Smaller counts could reveal a person."""

COLUMNS: Final = (
    "id", "time", "state", "case", "basis", "authority", "calls", "numbers", "persons", "pack", "received", "confirmed",
    "refusal",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A disclosure, or a request that has not led to a disclosure yet."""

    export: Disclosure | None
    request: DisclosureRequest | None
    state: RequestState

    @property
    def act(self) -> str:
        return self.export.act if self.export else self._asked.act

    @property
    def at(self) -> datetime:
        return self.export.at if self.export else self._asked.at

    @property
    def case(self) -> str:
        return self.export.case if self.export else self._asked.case

    @property
    def basis(self) -> LegalBasis | None:
        return self.export.basis if self.export else self._asked.basis

    @property
    def calls(self) -> int:
        return self.export.calls if self.export else len(self._asked.calls)

    @property
    def sealed(self) -> bool:
        return self.export.sealed if self.export else self._asked.sealed

    @property
    def refusal(self) -> str:
        return self.request.refusal.why if self.request and self.request.refusal else ""

    @property
    def _asked(self) -> DisclosureRequest:
        assert self.request
        return self.request

    def persons(self) -> dict[str, str | None]:
        """Names, by role, of the people who requested, approved or refused the disclosure, and who made the pack."""
        asked = self.request
        return {
            "requested": asked.by.name if asked else None,
            "approved": asked.approval.by.name if asked and asked.approval else None,
            "refused": asked.refusal.by.name if asked and asked.refusal else None,
            "exported": self.export.by.name if self.export else None,
        }

    def row(self, at: str, today: date, pack_digits: int | None = None) -> tuple[object, ...]:
        """The entry's values, in the order of `COLUMNS`.

        `pack_digits` is the number of digits of the pack's digest to show; None shows all.
        """
        export, basis = self.export, self.basis
        return (
            self.act, at, self.state, self.case, basis and basis.basis, basis and basis.authority, self.calls,
            "sealed" if self.sealed else "opened", ", ".join(dict.fromkeys(filter(None, self.persons().values()))),
            export and export.sha256[:pack_digits], export and export.receipt and export.receipt.received,
            self._confirmed(today), self.refusal,
        )  # fmt: skip

    def _confirmed(self, today: date) -> str | None:
        export = self.export
        if export is None or export.basis is None or export.basis.confirm_by is None:
            return None
        if export.confirmation:
            return str(export.confirmation.received)
        return f"overdue since {export.basis.confirm_by}" if export.overdue(today) else f"due {export.basis.confirm_by}"

    def to_json(self, today: date) -> dict[str, Any]:
        export = self.export
        receipt, confirmation = (export.receipt, export.confirmation) if export else (None, None)
        return {
            "id": self.act,
            "at": self.at.isoformat(),
            "state": self.state.value,
            "case": self.case,
            "basis": self.basis.details() if self.basis else None,
            **self.persons(),
            "calls": self.calls,
            "numbers_sealed": self.sealed,
            "pack": export.sha256 if export else None,
            "receipt": None
            if receipt is None
            else {
                "act": receipt.act, "receiver": receipt.receiver, "received": receipt.received.isoformat(),
                **receipt.proof,
            },
            "confirmed": None
            if confirmation is None
            else {
                "act": confirmation.act, "reference": confirmation.reference,
                "received": confirmation.received.isoformat(),
            },
            "overdue": export.overdue(today) if export else False,
            "refusal": self.refusal or None,
        }  # fmt: skip


def all_entries(acts: Sequence[Step], now: datetime) -> list[IndexEntry]:
    """All disclosures and requests, oldest first."""
    asked = requests(acts)
    found = [
        IndexEntry(each, asked.get(each.request) if each.request else None, RequestState.EXPORTED)
        for each in disclosures_in(acts).values()
    ]
    found += [IndexEntry(None, each, each.state(now)) for each in asked.values() if not each.export]
    return sorted(found, key=lambda each: each.at)


def disclosure_index(acts: Sequence[Step], year: int, now: datetime) -> list[IndexEntry]:
    """Disclosures and requests made in a calendar year in Japan time, oldest first."""
    return [each for each in all_entries(acts, now) if each.at.astimezone(JAPAN).year == year]


@dataclass(frozen=True, slots=True)
class BasisFigures:
    """Counts of disclosures, refusals and calls for one legal basis.

    None means that the count is too small to be published.
    """

    basis: str
    disclosed: int | None
    refused: int | None
    calls: int | None

    def row(self) -> tuple[str, str, str, str]:
        """The figures as text, in the order of the fields.

        A suppressed total is empty.
        """
        hidden = "" if self.basis == TOTAL else f"<{SMALL}"
        disclosed, refused, calls = (
            hidden if count is None else str(count) for count in (self.disclosed, self.refused, self.calls)
        )
        return (self.basis, disclosed, refused, calls)


TOTAL: Final = "total"
NO_BASIS: Final = "not recorded"


def figures(entries: Iterable[IndexEntry]) -> list[BasisFigures]:
    """Count disclosures, refusals and calls by legal basis, for a transparency report.

    The total is added only if no count is suppressed, because readers could otherwise derive a suppressed count from
    it.
    """
    counts: dict[str, list[int]] = {}
    for each in entries:
        row = counts.setdefault(each.basis.basis if each.basis else NO_BASIS, [0, 0, 0])
        if each.export:
            row[0] += 1
            row[2] += each.calls
        elif each.state is RequestState.REFUSED:
            row[1] += 1
    found = [
        BasisFigures(basis, _large(given), _large(refused), None if _large(given) is None else _large(calls))
        for basis, (given, refused, calls) in sorted(counts.items())
    ]
    columns = list(zip(*((each.disclosed, each.refused, each.calls) for each in found), strict=True))
    total = [None if None in column else sum(column) for column in columns] or [0, 0, 0]
    return [*found, BasisFigures(TOTAL, *total)]


def _large(count: int) -> int | None:
    return None if 0 < count < SMALL else count
