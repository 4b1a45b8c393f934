"""Decides when emails about trouble are due.

An email is due when trouble begins, when trouble returns, and once when all is well again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from idtone.service.troubles import Trouble

LASTS_S: Final = 20.0
"""Seconds after which trouble counts. An upgrade or a restart takes less."""
BACK_S: Final = 120.0
"""Seconds of absence after which trouble counts as new, so that its return is reported too."""
OVER_S: Final = 600.0
"""Seconds without any trouble before an email says that all is well."""


@dataclass(frozen=True, slots=True)
class MailedTroubles:
    """Times when earlier runs observed each trouble, in seconds since the machine started."""

    first_s: dict[str, float] = field(default_factory=dict)
    """Id of a trouble that every run has seen since it began → time when it began."""
    last_s: dict[str, float] = field(default_factory=dict)
    """Id of a trouble that an email has named → time when it was last seen."""

    @classmethod
    def of(cls, kept: bytes) -> MailedTroubles:
        """Parse the text that `to_json` wrote.

        For any other content, the result is empty, so that trouble is reported again.
        """
        try:
            found = json.loads(kept)
            return cls(
                {str(name): float(at_s) for name, at_s in found["first_s"].items()},
                {str(name): float(at_s) for name, at_s in found["last_s"].items()},
            )
        except (ValueError, TypeError, LookupError, AttributeError):
            return cls()

    def to_json(self) -> bytes:
        return json.dumps({"first_s": self.first_s, "last_s": self.last_s}).encode()

    def after(self, present: Iterable[Trouble], now_s: float) -> TroubleChanges:
        """Troubles that began or ended since the last run.

        After the machine restarts, nothing counts as seen, because the clock starts at zero.
        """
        before = (
            self if all(at_s <= now_s for at_s in (*self.first_s.values(), *self.last_s.values())) else MailedTroubles()
        )
        here = {each.id: each for each in present}
        first_s = {name: before.first_s.get(name, now_s) for name in here}
        due = {name for name, each in here.items() if each.at_once or now_s - first_s[name] >= LASTS_S}
        last_s = {name: at_s for name, at_s in before.last_s.items() if name in here or now_s - at_s < OVER_S}
        known = {
            name
            for name, at_s in before.last_s.items()
            if now_s - at_s < BACK_S or at_s >= before.first_s.get(name, now_s)
        }
        begun = due - known
        last_s |= {name: now_s for name in here if name in known or name in due}
        soon = {each.id for each in here.values() if each.is_warning}
        is_over = bool(before.last_s.keys() - last_s.keys()) and {*last_s, *here} <= soon
        return TroubleChanges(MailedTroubles(first_s, last_s), bool(begun), is_over)


@dataclass(frozen=True, slots=True)
class TroubleChanges:
    told: MailedTroubles
    has_begun: bool
    is_over: bool
    """True if all is well again; warnings of coming trouble may remain."""

    @property
    def is_worth_a_mail(self) -> bool:
        return self.has_begun or self.is_over
