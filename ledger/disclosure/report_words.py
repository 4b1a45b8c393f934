"""Readable descriptions of a record's codes, in Japanese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from idtone.core.calls import Delivery, Party

from ..evidence.call_record import Record
from ..evidence.steps import Scalar, Step, StepKind

if TYPE_CHECKING:
    from .log_registration import LogRegistration


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
"""The ways in which idtone knows that a sound was played to its end."""
DELIVERY: Final[Mapping[str, Words]] = {
    Delivery.CONFIRMED: Words("相手側の報告で確認", "confirmed by the phone's reports"),
    Delivery.SENT: Words("送信済み", "sent"),
    Delivery.NOT_KNOWN: Words("不明", "not known"),
}
"""Descriptions of each degree of delivery, from confirmed to not known."""


STEPS: Final[Mapping[str, Words]] = {
    StepKind.DECIDED: Words("判定", "decided"),
    StepKind.FALLBACK: Words("フックの判定", "fallback"),
    StepKind.ANSWERED: Words("応答", "answered"),
    StepKind.SOUND_STARTED: Words("鳴動開始", "sound started"),
    StepKind.SOUND_ENDED: Words("鳴動終了", "sound ended"),
    StepKind.SOUND_FAILED: Words("鳴動失敗", "sound failed"),
    StepKind.SOUND_REPORTED: Words("電話機の受信報告", "sound reported"),
    StepKind.CONNECTED: Words("通話開始", "connected"),
    StepKind.SUSPENDED: Words("番号停止", "suspended"),
    StepKind.ENDED: Words("終了", "ended"),
    StepKind.INTERRUPTED: Words("中断", "interrupted"),
}
NOT_KNOWN: Final = Words("不明(登録簿が示していません)", "not known: no registry in the pack says it")
NOT_NAMED: Final = Words(
    "登録簿はこの鍵をどの会員のものとしても示していません", "the registry names no member for this key"
)


def owner_in_both(registration: LogRegistration) -> str:
    """The log's owner according to the association's registry, in both languages."""
    if registration.logs is None:
        return str(NOT_KNOWN)
    if (owner := registration.owner) is None:
        return str(NOT_NAMED)
    number = f", 法人番号 {owner.corporate_number}" if owner.corporate_number else ""
    return f"{owner.japanese} / {owner.english} ({owner.member}{number})"


def policy_in_both(registration: LogRegistration) -> str:
    """The witnesses that the association requires and whether enough have cosigned, in both languages."""
    if registration.logs is None:
        return str(NOT_KNOWN)
    if not registration.required:
        return str(Words("登録簿に定めがありません", "the registry demands none"))
    met = Words("満たしています", "met") if registration.is_met else Words("満たしていません", "not met")
    return f"{met}: {registration.required}/{len(registration.witnesses)} ({', '.join(registration.witnesses)})"


_HIDDEN: Final = ("_token", "_kind", "_last4", "numbers", "numbers_key", "day", "nonce")


def shown_details(step: Step) -> dict[str, Scalar]:
    """Details of a step that are meaningful to readers."""
    return {name: value for name, value in step.details.items() if not name.endswith(_HIDDEN)}


def delivery_in_english(record: Record) -> str:
    """Describe in English how each party's sound was delivered and what proves it.

    Example: `called party: sent (by packets), caller: not known (by time)`. Empty if no party was to hear a sound.
    """
    return ", ".join(
        f"{PARTIES[party].english}: {_english(DELIVERY.get(word), word)}{_behind(_english(KNOWN_BY.get(code), code))}"
        for party, word, code in _deliveries(record)
    )


def delivery_in_both(record: Record) -> str:
    """Describe in Japanese and English how each party's sound was delivered and what proves it."""
    return ", ".join(
        f"{PARTIES[party]}: {DELIVERY.get(word, word)}{_behind(str(KNOWN_BY.get(code, code)))}"
        for party, word, code in _deliveries(record)
    )


def _deliveries(record: Record) -> list[tuple[str, str, str]]:
    """Each party that was to hear a sound, with its `delivery` and `known_by` codes."""
    return [(party, word, record.known_by.get(party, "")) for party, word in record.delivery.items()]


def _english(words: Words | None, code: str) -> str:
    """The English words for a code; the code itself if this version does not know it."""
    return words.english if words else code


def _behind(words: str) -> str:
    return f" ({words})" if words else ""
