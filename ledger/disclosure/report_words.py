"""Codes of a record in words for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from idtone.calls import Party

from ..evidence.records import Record


class Words(NamedTuple):
    japanese: str
    english: str

    def __str__(self) -> str:
        return f"{self.japanese} / {self.english}"


PARTIES: Final[Mapping[str, Words]] = {
    Party.CALLED: Words("着信側", "called party"),
    Party.CALLER: Words("発信側", "caller"),
}
KNOWN_BY: Final[Mapping[str, Words]] = {
    "packets": Words("送信パケット数による", "by packets"),
    "time": Words("再生時間による", "by time"),
    "playback": Words("再生の完了による", "by playback"),
    "dial": Words("Dial() の続行のみによる", "by Dial() alone"),
}
"""By what it is known that a party heard its sound."""


def heard_in_english(record: Record) -> str:
    """`the called party (by packets) and the caller (by time)`; empty if no party heard its sound."""
    return " and ".join(
        f"the {PARTIES[party].english}{_behind(by.english if by else code)}" for party, code, by in _heard(record)
    )


def heard_in_both(record: Record) -> str:
    """Each party that heard its sound, and by what that is known, in Japanese and English."""
    return ", ".join(f"{PARTIES[party]}{_behind(str(by) if by else code)}" for party, code, by in _heard(record))


def _heard(record: Record) -> list[tuple[str, str, Words | None]]:
    """Each party that heard its sound, the code of `known_by`, and its words if this version knows it."""
    codes = {party: record.known_by.get(party, "") for party in record.heard_by}
    return [(party, code, KNOWN_BY.get(code)) for party, code in codes.items()]


def _behind(words: str) -> str:
    return f" ({words})" if words else ""
