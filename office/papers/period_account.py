"""Account of the office's activity in a period, as CSV and PDF, for the ministry and the annual report.

The account contains no telephone numbers and hides small report counts. The office's acts come from the signed history.
Members, licences and numbers are those published when the account is created, because the history does not contain
earlier ones.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from idtone.core.calls import LicenceStatus
from idtone.core.japan_time import JAPAN, last_day
from idtone.core.paper.content import Paper, Section, Table
from idtone.registry.model import Member, RegistryDocument, day_begins
from idtone.registry.registry_report import number_count

from ..authority.history import Action, HistoryEntry, ReviewResult
from ..authority.operator_list import licence_end
from ..desk.reports.call_traceback import ReportResult, Stage

TOTAL: Final = "total"
_HIDDEN: Final = "非公表 / hidden"
_STOPS: Final = {
    Action.SUSPEND_NUMBER: "番号の停止 / number stopped",
    Action.SUSPEND_RANGE: "番号帯の停止 / range stopped",
    Action.SUSPEND_MEMBER: "会員の停止 / member stopped",
    Action.NO_NEW_NUMBERS: "新規割当ての停止 / no new numbers",
    Action.LIFT: "停止の解除 / stop ended",
    Action.ALLOW_NEW_NUMBERS: "新規割当ての再開 / new numbers allowed",
}
_ACTS: Final = {
    Action.APPLY: "申込みの受理 / application received",
    Action.REVIEW: "審査 / application examined",
    Action.GRANT: "許諾 / licence granted",
    Action.RENEW: "許諾の更新 / licence renewed",
    Action.SUSPEND_LICENCE: "許諾の一時停止 / licence suspended",
    Action.RESUME_LICENCE: "許諾の再開 / licence resumed",
    Action.REVOKE: "許諾の取消し / licence revoked",
    Action.PLEDGE: "誓約の記録 / pledge recorded",
    Action.CERTIFY: "認定の記録 / certification recorded",
    Action.ASSIGN_NUMBER: "番号の割当て / numbers assigned",
    Action.RELEASE_NUMBER: "番号の返却 / numbers taken back",
    Action.ADD_LINK: "卸の登録 / wholesale link added",
    Action.CHECK_LINK: "卸先の確認 / reseller checked",
    Action.REMOVE_LINK: "卸の終了 / wholesale link removed",
    Action.EVALUATE: "評価の登録 / evaluations entered",
}

_REVIEW_WORDS: Final = {ReviewResult.PASSED: "適合 / passed", ReviewResult.REFUSED: "不適合 / refused"}
_REPORT_WORDS: Final = {
    Stage.MEMBER.value: "会員の回答待ち / waits for a member",
    Stage.OFFICE.value: "協会で確認中 / with the office",
    ReportResult.TRACED.value: "発信元が判明 / origin found",
    ReportResult.OPEN.value: "発信元が不明 / origin not found",
    ReportResult.UNFOUNDED.value: "事実なし / unfounded",
    ReportResult.EXAMINED.value: "調査済み / examined",
    TOTAL: "合計 / total",
}


@dataclass(frozen=True, slots=True)
class AccountTable:
    """A table in the account. `name` is its CSV file name."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class PeriodAccount:
    """Account of the office's activity from the day `since` through the day `through`, in Japan."""

    association: str
    since: date
    through: date
    made: datetime
    tables: Sequence[AccountTable]

    def table(self, name: str) -> AccountTable | None:
        return next((each for each in self.tables if each.name == name), None)


def fiscal_year_days(year: int) -> tuple[date, date]:
    """First and last days of a fiscal year (年度), which begins in April."""
    return date(year, 4, 1), date(year + 1, 3, 31)


def period_account(
    document: RegistryDocument,
    history: Iterable[HistoryEntry],
    unsigned: Iterable[HistoryEntry],
    reports: Mapping[str, int | None],
    since: date,
    through: date,
    now: datetime,
) -> PeriodAccount:
    """Create the account for a period.

    `document` is the published registry. `history` contains all signed history entries in chronological order, and
    `unsigned` contains the others. `reports` contains publishable report counts by result; None means that a count is
    hidden.
    """
    begins, ends = day_begins(since), day_begins(through + timedelta(days=1))
    history = [*history]
    lines, waiting = [*_between(history, begins, ends)], [*_between(unsigned, begins, ends)]
    return PeriodAccount(
        document.registry.association, since, through, now,
        (
            AccountTable(
                "members", "会員(作成日現在) / Members on the day of this account",
                ("会員 / member", "名称 / name", "法人番号", "届出番号", "有効な許諾 / active licences",
                 "番号数 / numbers", "誓約の期限 / pledge until", "認定の期限 / certified until"),
                [_member(each, now) for each in document.members],
            ),
            AccountTable(
                "acts", "期間中の事務 / Acts of the period", ("事務 / act", "件数 / count"),
                [*_counted(_done(history, begins, ends)), *_taken_back_rows(lines, waiting)],
            ),
            AccountTable(
                "stops", "期間中の番号停止 / Stops of the period",
                ("日時 / at", "内容 / what", "文書番号・対象 / reference", "要請の日時 / requested",
                 "要請から承認まで(分) / minutes to the approval", "承認 / approval"),
                [*_stops(lines)],
            ),
            AccountTable(
                "reports", "期間中に受けた申告 / Reports received in the period",
                ("状態・結果 / result", "件数 / count"),
                [
                    (_REPORT_WORDS.get(name, name), _HIDDEN if count is None else str(count))
                    for name, count in reports.items()
                ],
            ),
            AccountTable(
                "evaluations", "現在の評価 / Evaluations in the registry",
                ("会員 / member", "等級 / grade", "得点率 / percent", "期間 / period"),
                [
                    (each.member, each.title.ja, f"{each.percent} %",
                     f"{each.period.start} – {last_day(each.period.until)}")
                    for each in document.evaluations
                ],
            ),
        ),
    )  # fmt: skip


def account_paper(account: PeriodAccount, is_annual: bool) -> Paper:
    """Printable version of the account. With `is_annual`, it is the annual report (年次報告)."""
    title = f"{account.since.year} 年度 年次報告 / Annual report" if is_annual else "期間報告 / Account of a period"
    head = Section(
        title,
        [
            ("協会 / association", account.association),
            ("期間 / period", f"{account.since} – {account.through}"),
            ("作成 / made", account.made.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")),
        ],
        (
            "電話番号は含みません。申告の少ない件数は、個人が推測されないよう非公表です。",
            "This account has no telephone number. Small counts of reports are hidden, so that they name nobody.",
        ),
    )
    tables = [
        Section(each.title, table=Table(each.columns, each.rows))
        if each.rows
        else Section(each.title, paragraphs=("なし / none",))
        for each in account.tables
    ]
    return Paper(title, account.made.astimezone(JAPAN), (head, *tables))


def _member(member: Member, now: datetime) -> Sequence[str]:
    active = [
        each
        for each in member.licences
        if each.status is LicenceStatus.ACTIVE and each.valid.start <= now < licence_end(each, member)
        if member.pledge and member.pledge.in_force(now)
    ]
    pledge, certification = member.pledge, member.certification
    return (
        member.id, member.name.ja, member.corporate_number or "", member.notification or "",
        " ".join(each.id for each in active), str(number_count(member)),
        last_day(pledge.until).isoformat() if pledge and pledge.until else "",
        last_day(certification.until).isoformat() if certification else "",
    )  # fmt: skip


def _done(history: Iterable[HistoryEntry], begins: datetime, ends: datetime) -> list[HistoryEntry]:
    """Entries in a period, except changes undone then or later, which were never published."""
    kept: list[HistoryEntry] = []
    for each in history:
        if each.undone is None:
            kept.append(each)
        elif (taken := _taken_back(kept, each)) is not None:
            del kept[taken]
    return [*_between(kept, begins, ends)]


def _between(lines: Iterable[HistoryEntry], begins: datetime, ends: datetime) -> Iterator[HistoryEntry]:
    return (each for each in lines if begins <= each.at < ends)


def _taken_back_rows(signed: Iterable[HistoryEntry], unsigned: Iterable[HistoryEntry]) -> Iterator[Sequence[str]]:
    counts = [sum(each.action is Action.UNDO for each in lines) for lines in (signed, unsigned)]
    yield "公開前に取り消した変更 / changes taken back before their publication", str(sum(counts))
    yield "- うち未署名 / of these, not signed yet", str(counts[1])


def _taken_back(lines: Sequence[HistoryEntry], undo: HistoryEntry) -> int | None:
    """Index of the change that `undo` undid; None if it is not in `lines`.

    It is the newest change that produced the file content from before the undo.
    """
    places = reversed(range(len(lines)))
    return next((at for at in places if lines[at].action is undo.undone and lines[at].after == undo.before), None)


def _counted(lines: Sequence[HistoryEntry]) -> Iterator[Sequence[str]]:
    counts = Counter(each.action for each in lines)
    for action, words in _ACTS.items():
        yield words, str(counts[action])
        if action is Action.REVIEW:
            results = Counter(each.result for each in lines if each.result)
            yield from ((f"- {_REVIEW_WORDS[result]}", str(count)) for result, count in sorted(results.items()))


def _stops(lines: Sequence[HistoryEntry]) -> Iterator[Sequence[str]]:
    for each in lines:
        if each.action in _STOPS:
            minutes = (each.at - each.requested).total_seconds() / 60 if each.requested else None
            yield (
                _shown(each.at), _STOPS[each.action], each.subject, _shown(each.requested) if each.requested else "",
                "" if minutes is None else f"{minutes:.0f}",
                "2 アカウント / two accounts" if each.entered_by else "",
            )  # fmt: skip


def _shown(at: datetime) -> str:
    return at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")
