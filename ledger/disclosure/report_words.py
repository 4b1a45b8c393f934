"""Codes of a record in words for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from idtone.calls import Party

from ..evidence.records import Record
from ..evidence.steps import Scalar, Step, StepKind


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


STEPS: Final[Mapping[str, Words]] = {
    StepKind.DECIDED: Words("判定", "decided"),
    StepKind.FALLBACK: Words("フックの決定", "fallback"),
    StepKind.ANSWERED: Words("応答", "answered"),
    StepKind.SOUND_STARTED: Words("鳴動開始", "sound started"),
    StepKind.SOUND_ENDED: Words("鳴動終了", "sound ended"),
    StepKind.SOUND_FAILED: Words("鳴動失敗", "sound failed"),
    StepKind.CONNECTED: Words("通話開始", "connected"),
    StepKind.SUSPENDED: Words("番号停止", "suspended"),
    StepKind.ENDED: Words("終了", "ended"),
    StepKind.INTERRUPTED: Words("中断", "interrupted"),
}
_HIDDEN: Final = ("_token", "_kind", "_last4", "numbers", "numbers_key", "day", "nonce")


def shown_details(step: Step) -> dict[str, Scalar]:
    """The details of a step that mean something to people."""
    return {name: value for name, value in step.details.items() if not name.endswith(_HIDDEN)}


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
