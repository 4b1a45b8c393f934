"""Comparison of a record's claims about a sound with the sound that the phone received."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from idtone.core.calls import Delivery, Party
from lab.phones.received_sound import Received

FRAME_MS: Final = 20


@dataclass(frozen=True, slots=True)
class PlayedSound:
    """One sound for one party: what the phone received, and what the record claims.

    `played_for` means that the record reports a complete sound. `astray` means that the situation loses packets on
    purpose after Asterisk sent them.
    """

    party: Party
    received: Received
    delivery: str
    played_for: bool
    astray: bool = False
    played: Received | None = None
    """The sound in the phone's recording, if `received` comes from packets; None if `received` itself comes from the
    recording.
    """

    @property
    def claims_more(self) -> bool:
        """True if the record claims more than the phone received.

        That is `confirmed` although the phone did not receive all of the sound, or `sent` although the sound did not
        arrive over a lossless path.
        """
        if self.received.whole:
            return False
        return self.delivery == Delivery.CONFIRMED or (self.delivery == Delivery.SENT and not self.astray)

    @property
    def claims_less(self) -> bool:
        """True if the phone received all of the sound, and the record claims less.

        For the called party, the record must claim at least that the sound was sent. For the caller, whose packets are
        not counted, it must claim that the sound was played.
        """
        if not self.received.whole:
            return False
        return not self.played_for if self.party is Party.CALLER else self.delivery == Delivery.NOT_KNOWN


@dataclass
class SituationResults:
    """The results of one situation's calls.

    `missing` is the reason if no call was possible.
    """

    name: str
    phone: str
    soundings: list[PlayedSound] = field(default_factory=list)
    calls: int = 0
    missing: str = ""
    nat: bool = False
    unfinished: list[str] = field(default_factory=list)
    """For each call that did not come to its end, the reason: a fault of the test or of the phone."""

    @property
    def more(self) -> int:
        return sum(each.claims_more for each in self.soundings)

    @property
    def less(self) -> int:
        return sum(each.claims_less for each in self.soundings)

    def of(self, party: Party) -> list[PlayedSound]:
        return [each for each in self.soundings if each.party is party]

    def to_json(self) -> dict[str, Any]:
        parties = {}
        for party in Party:
            if found := self.of(party):
                loud = [each.received.loud for each in found]
                parties[party.value] = {
                    "sounds": len(found),
                    "whole": sum(each.received.whole for each in found),
                    "frames": _range(loud),
                    "of": found[0].received.of,
                    "recorded_frames": _range([each.played.loud for each in found if each.played]),
                    "verdicts": dict(Counter(each.received.verdict.value for each in found)),
                    "recorded": dict(Counter(each.delivery for each in found)),
                    "played": sum(each.played_for for each in found),
                }
        return {
            "name": self.name, "phone": self.phone, "calls": self.calls, "parties": parties, "claims_more": self.more,
            "claims_less": self.less, "nat": self.nat, "missing": self.missing, "unfinished": self.unfinished,
        }  # fmt: skip


def _range(values: Sequence[int]) -> list[int]:
    return [min(values), max(values)] if values else []


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Figures of all situations together; `rows` are from `to_json`."""
    tried = [row for row in rows if row["calls"]]
    behind = [row["parties"]["called"] for row in tried if row["nat"] and "called" in row["parties"]]
    return {
        "situations": len(tried),
        "situations_missing": len(rows) - len(tried),
        "calls": sum(row["calls"] for row in tried),
        "sounds": sum(party["sounds"] for row in tried for party in row["parties"].values()),
        "claims_more": sum(row["claims_more"] for row in tried),
        "claims_less": sum(row["claims_less"] for row in tried),
        "behind_nat": sum(party["sounds"] for party in behind),
        "behind_nat_whole": sum(party["whole"] for party in behind),
        "unfinished": sum(len(row["unfinished"]) for row in tried),
    }
