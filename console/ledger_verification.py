"""Verifies this node's ledger, and keeps the last result and the time of the last success.

The last result is stored in a file next to the ledger, so that it survives a restart.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from idtone.core.settings.settings import Settings
from idtone.core.translation import Message
from idtone.ledger.commands.options import days_of
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.verification.verification_report import verification_report

from .background_work import Progress, Work

SUFFIX: Final = ".verified"


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """Result of a verification. `report` has the format of `idtone ledger verify --json`."""

    at: datetime
    took_s: float
    report: Mapping[str, Any]
    good_at: datetime | None
    """Time of the last successful verification, which may be this one. None if there is none."""


class Verification:
    """Runs the console's verification. Use only from the event loop, except `last`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.work: Work[dict[str, Any]] = Work(verify, self._keep)
        self.trouble: str | None = None
        """Why the last result could not be stored, or None."""

    @property
    def path(self) -> Path:
        ledger = path_of(self._settings.ledger.own_url())
        return ledger.with_name(ledger.name + SUFFIX)

    def start(self) -> None:
        self.work.start(self._settings)

    def last(self) -> VerificationResult | None:
        """The last verification, or None if there has been none or its file is unreadable."""
        try:
            kept = json.loads(self.path.read_bytes())
            good = kept["good_at"]
            return VerificationResult(
                datetime.fromisoformat(kept["at"]),
                float(kept["took_s"]),
                _with_texts(kept["report"], _read),
                None if good is None else datetime.fromisoformat(good),
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def _keep(self, report: Mapping[str, Any]) -> None:
        task, now, before = self.work.task, datetime.now(UTC), self.last()
        good_at = now if report["good"] else before and before.good_at
        kept = {
            "at": now.isoformat(),
            "took_s": (now - task.began).total_seconds() if task else 0,
            "good_at": good_at and good_at.isoformat(),
            "report": _with_texts(report, _written),
        }
        try:
            replace_private(self.path, json.dumps(kept, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            self.trouble = Message("{path}: cannot be written: {reason}", path=self.path, reason=error.strerror)
        else:
            self.trouble = None


def _with_texts(report: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """The report with `change` applied to each of its texts."""
    signed = [{**each, "source": change(each["source"])} for each in report["signed"]]
    return {**report, "faults": [*map(change, report["faults"])], "signed": signed}


def _written(text: object) -> Any:
    """A text as stored in the file.

    Messages are stored as template and values, because visitors use different languages.
    """
    if not isinstance(text, Message):
        return str(text)
    fields = {name: value if isinstance(value, int) else _written(str(value)) for name, value in text.fields.items()}
    return {"template": text.template, "fields": fields}


def _read(written: Any) -> str:
    if isinstance(written, str):
        return written
    fields = {name: value if isinstance(value, int) else _read(value) for name, value in written["fields"].items()}
    return Message(written["template"], **fields)


def verify(settings: Settings, *, progress: Progress) -> dict[str, Any]:
    """Verify this node's own ledger and return the same report as `idtone ledger verify`. Raises LedgerError."""
    days = days_of(settings.ledger)
    reader = LedgerReader.open(settings.ledger.own_url(), days)
    key = own_key(settings.ledger, settings.node, reader.origin())
    return {
        "node": settings.node,
        **verification_report(reader, key, "own", (), settings, has_keys=days is not None, progress=progress),
    }
