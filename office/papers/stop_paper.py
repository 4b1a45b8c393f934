"""Paper for the police about a suspension: the request, and its progress at the time of printing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.core.paper.content import Paper, Section, Table

_NOT_KNOWN: Final = "不明 / not known"
_NOT_YET: Final = "まだ / not yet"


@dataclass(frozen=True, slots=True)
class StopProgress:
    """Times of a suspension's steps. None means that the step was not done or its time is unknown.

    `is_published` and `is_end_approved` state whether these two steps were done. `number` shows only the last four
    digits. Of the `nodes`, `confirmed` reject calls from the number.
    """

    association: str
    reference: str
    number: str
    requested: datetime | None
    approved: datetime | None
    persons: Sequence[str]
    """Accounts in the history: two if one requested the suspension and the other approved it.

    Empty if the history contains no entry.
    """
    is_published: bool
    published: datetime | None
    confirmed: int
    nodes: int
    confirmed_at: datetime | None
    until: datetime | None = None
    is_end_approved: bool = False
    end_approved: datetime | None = None


def stop_paper(stop: StopProgress, now: datetime) -> Paper:
    steps: list[Sequence[str]] = [
        ("要請 / requested", _at(stop.requested, _NOT_KNOWN)),
        (_approval(stop), _at(stop.approved, _NOT_KNOWN)),
        ("公開 / published", _at(stop.published, _NOT_KNOWN) if stop.is_published else _NOT_YET),
        (
            "ノードでの適用 / in force on nodes",
            f"{stop.confirmed} / {stop.nodes}" + (f" ({_at(stop.confirmed_at, '')})" if stop.confirmed else "")
            if stop.is_published
            else _NOT_YET,
        ),
    ]
    if stop.until:
        steps.append(("終了の予定 / ordered until", _at(stop.until, "")))
    if stop.is_end_approved:
        steps.append(("解除の承認 / end approved", _at(stop.end_approved, _NOT_KNOWN)))
        steps.append(("解除の公開 / end published", _NOT_YET))
    title = "番号停止の経過 / Progress of a suspension"
    return Paper(
        f"{title} {stop.reference}",
        now.astimezone(JAPAN),
        (
            Section(
                title,
                [
                    ("文書番号 / reference", stop.reference),
                    ("番号(下 4 桁) / number, last digits", stop.number),
                    ("承認者 / persons", ", ".join(stop.persons) or _NOT_KNOWN),
                    ("協会 / association", stop.association),
                    ("この書面の時点 / as of", _at(now, "")),
                ],
                (
                    "適用は、会員のノードから署名付きの確認を受けたものだけを数えています。"
                    "確認のないノードで停止が有効かどうかは分かりません。",
                    "Only nodes that have confirmed it by a signature count. Of the others it is not known whether "
                    "they refuse the calls.",
                ),
            ),
            Section("経過 / Steps", table=Table(("段階 / step", "日時 / at"), steps)),
        ),
    )


def _approval(stop: StopProgress) -> str:
    """Line about the approval.

    If the history names only one account, either one or two people may have typed the number there.
    """
    if len(stop.persons) > 1:
        return "承認(記録は 2 アカウント) / approved (two accounts are recorded)"
    return "承認(記録は 1 アカウント) / approved (one account is recorded)" if stop.persons else "承認 / approved"


def _at(at: datetime | None, missing: str) -> str:
    return at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M:%S") if at else missing
