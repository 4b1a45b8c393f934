"""Printable papers about disclosures, in Japanese and English: the receipt to sign and the yearly index."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.core.paper.content import Paper, Section, Table, known_facts

from .disclosure_index import SMALL, BasisFigures, IndexEntry
from .disclosure_request import RequestState
from .disclosures import Disclosure, Receipt
from .evidence_report import basis_facts, japanese_time

_STATES: Final = {
    RequestState.OPEN: "申請中 / open",
    RequestState.APPROVED: "承認済み / approved",
    RequestState.REFUSED: "却下 / refused",
    RequestState.EXPIRED: "期限切れ / expired",
    RequestState.EXPORTED: "開示済み / disclosed",
}
_BLANKS: Final = (
    "受領年月日 / Received on",
    "官署名 / Office",
    "官職・氏名 / Officer",
    "署名又は記名押印 / Signature or seal",
)
"""Lines to fill in by hand. Each is a separate section, which leaves room for writing."""
_LINE: Final = "＿" * 40


def receipt_sheet(export: Disclosure, file_name: str, file_sha256: str, log_key: str, now: datetime) -> Paper:
    """The receipt that the receiving officer signs.

    `file_sha256` is the digest of the delivered file.
    """
    about = {
        "案件 / case": export.case,
        **basis_facts(export.basis),
        "作成 / exported": japanese_time(export.at),
        "記録 / records": str(export.calls),
        "電話番号 / telephone numbers": _numbers(export.sealed),
        "ファイル / file": file_name,
        "ファイルの SHA-256 / SHA-256 of the file": file_sha256,
        "目録の SHA-256 / SHA-256 of the manifest": export.sha256,
        "台帳の記録 / record in the ledger": export.act,
        "検証鍵 / verifier key": log_key,
    }
    return Paper(
        f"受領書 / Receipt {export.case}",
        now.astimezone(JAPAN),
        (
            Section("受領書 / Receipt of an evidence pack", known_facts(about)),
            Section(
                "受領 / Receipt",
                paragraphs=(
                    "上記の証跡パックを受領しました。",
                    "I have received the evidence pack that is named above.",
                ),
            ),
            *(Section(blank, paragraphs=(_LINE,)) for blank in _BLANKS),
            Section(
                "確認方法 / How to compare",
                paragraphs=(
                    "受領したファイルの SHA-256 は、sha256sum などで確認できます。"
                    "検証鍵は、証跡パックとは別の方法でも受け取ってください。",
                    "`sha256sum FILE` shows the SHA-256 of the file that you have received. Get the verifier key by "
                    "another way, too, than the pack.",
                ),
            ),
        ),
    )


def index_paper(year: int, entries: Sequence[IndexEntry], by_basis: Sequence[BasisFigures], now: datetime) -> Paper:
    """The yearly index of disclosures as a printable paper.

    Without `entries`, the paper contains only the figures.
    """
    today = now.astimezone(JAPAN).date()
    overdue = [each for each in entries if each.export and each.export.overdue(today)]
    about = {
        "年 / year": str(year),
        "作成 / made": japanese_time(now),
        "期限を過ぎた確認 / overdue confirmations": ", ".join(each.act for each in overdue),
    }
    return Paper(
        f"証跡の開示目録 / Disclosures of {year}",
        now.astimezone(JAPAN),
        (
            Section("証跡の開示目録 / Index of disclosures", known_facts(about)),
            Section(
                "集計 / Figures",
                paragraphs=(
                    f"1 件以上 {SMALL} 件未満の数は、個人が特定されることを防ぐため「<{SMALL}」とします。"
                    "その場合、合計は示しません。",
                    f"Counts from 1 to {SMALL - 1} are written as <{SMALL}, so that they point at nobody. Then the "
                    "total is left out.",
                ),
                table=Table(
                    ("法的根拠 / basis", "開示 / disclosed", "却下 / refused", "通話数 / calls"),
                    [each.row() for each in by_basis],
                ),
            ),
            *(_entry(number, each, overdue) for number, each in enumerate(entries, 1)),
        ),
    )


def _entry(number: int, entry: IndexEntry, overdue: Sequence[IndexEntry]) -> Section:
    export, persons = entry.export, entry.persons()
    receipt, confirmation = (export.receipt, export.confirmation) if export else (None, None)
    facts = {
        "状態 / state": _STATES[entry.state],
        "日時 / time": japanese_time(entry.at),
        "案件 / case": entry.case,
        **basis_facts(entry.basis),
        "申請 / requested by": persons["requested"],
        "承認 / approved by": persons["approved"],
        "作成者 / exported by": persons["exported"],
        "却下 / refused by": persons["refused"] and f"{persons['refused']}: {entry.refusal}",
        "記録 / records": str(entry.calls),
        "電話番号 / telephone numbers": _numbers(entry.sealed),
        "目録の SHA-256 / SHA-256 of the manifest": export.sha256 if export else None,
        "受領 / receipt": f"{receipt.received}, {receipt.receiver} ({_proof(receipt)})" if receipt else None,
        "書面による確認 / confirmed in writing": f"{confirmation.received}, {confirmation.reference}"
        if confirmation
        else None,
        "確認の期限 / confirmation": "期限超過 / overdue" if entry in overdue else None,
    }
    return Section(f"{number}. {entry.act}", known_facts(facts))


def _numbers(sealed: bool) -> str:
    return "封緘 / sealed" if sealed else "開封 / opened"


def _proof(receipt: Receipt) -> str:
    return next((words for name, words in _PROOFS.items() if name in receipt.proof), "書面 / paper")


_PROOFS: Final = {"scan": "写し / scan", "signature": "電子署名 / signature"}
