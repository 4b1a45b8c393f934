"""Document for the police about a suspension by this node, in Japanese and English."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from idtone.core.japan_time import JAPAN
from idtone.core.number_spans import NumberSpan
from idtone.core.paper.content import Paper, Section, Table, known_facts
from idtone.ledger.evidence.steps import Step

from ..number_notation import span_notation
from .own_suspension import Act, Duty, OwnSuspension
from .suspension_states import DutyKind, SuspensionState

NOTE_TEXT: Final = "idtone suspension paper v1\n{id}\n{digest}\n"
"""The note that the ledger's key signs. `digest` is the PDF's digest."""
_STATES: Final = {
    SuspensionState.ASKED: "請求済み(2 人目の承認待ち) / asked, waits for the second person",
    SuspensionState.APPROVED: "承認済み(停止前) / approved, not in force yet",
    SuspensionState.IN_FORCE: "停止中 / in force",
    SuspensionState.TAKEN_OVER: "協会の番号停止に引き継ぎ / taken over by the association's suspension",
    SuspensionState.LIFTED: "解除 / lifted",
    SuspensionState.WITHDRAWN: "取下げ(停止していません) / withdrawn, never in force",
}
_DUTIES: Final = {
    DutyKind.CONTRACT_END: "契約解除 / end of the contract",
    DutyKind.CONTRACTOR_REPORT: "契約者の報告 / report of the contractor",
}


def note_text(one: OwnSuspension, digest: str) -> str:
    return NOTE_TEXT.format(id=one.id, digest=digest)


def suspension_paper(
    one: OwnSuspension, node: str, member: str | None, acts: Sequence[Step], log_key: str, now: datetime
) -> Paper:
    """Document about a suspension. `acts` are its ledger records. Times are in Japan Standard Time."""
    order = {
        "整理番号 / id": one.id,
        "要請の文書番号 / reference": one.reference,
        "要請元 / requesting authority": one.authority,
        "要請の受領 / received": _in_japan(one.requested),
        "理由 / reason": one.asked.why,
        "電話番号 / telephone numbers": "\n".join(span_notation(NumberSpan(*each)) for each in one.numbers),
        "番号の数 / how many": str(one.count),
        "契約者の管理番号 / customer": one.customer,
    }
    done = {
        "状態 / state": _STATES[one.state],
        "事業者 / member": member,
        "設備(ノード) / node": node,
        "停止を申請したノード / ordered on": one.home or None,
        "停止の請求 / asked by": _act(one.asked),
        "停止の承認 / approved by": _act(one.approved) if one.persons > 1 else None,
        "停止の開始 / in force since": _in_japan(one.in_force) or "未実施 / not in force",
        "確認 / confirmed by": _confirmed(one),
        "切断した通話の数 / calls ended": str(one.calls_ended),
        "協会の番号停止への引き継ぎ / taken over": _in_japan(one.taken_over),
        "解除 / lifted by": _act(one.lifted),
        "解除の実施 / calls pass since": _in_japan(one.over),
    }
    return Paper(
        f"番号停止の実施報告書 / Report of a suspension {one.reference}",
        now.astimezone(JAPAN),
        (
            Section("番号停止の実施報告書 / Report of a suspension", known_facts({"作成 / made": _in_japan(now)})),
            Section("要請の内容 / What was ordered", known_facts(order)),
            Section("実施の内容 / What was done", known_facts(done)),
            *_elsewhere(one),
            Section(
                "停止後の措置 / What follows",
                table=Table(
                    ("措置 / duty", "期限 / due", "状況 / state"), [_duty(each) for each in one.duties], (60, 30, None)
                ),
            ),
            Section(
                "台帳の記録 / Records in the ledger",
                table=Table(
                    ("時刻 / time", "記録 / record", "内容 / act"),
                    [(_in_japan(each.at) or "", each.call_id, str(each.details.get("act", ""))) for each in acts],
                    (50, 62, None),
                ),
            ),
            Section(
                "この報告書について / About this paper",
                known_facts({"検証鍵 / verifier key": log_key}),
                paragraphs=(
                    "停止の開始は、そのノードが停止を実施したことを自ら確認した時刻です。"
                    "この書面に記載のないノードの状況は示しません。緊急通報(110、118、119)は停止の対象外です。",
                    "`In force since` is when a node itself confirmed that it refuses the calls. The paper says "
                    "nothing of nodes that are not in it. Emergency calls (110, 118, 119) are never refused.",
                    "切断した通話の数は、この停止のためにこのノードが交換機に切断を求めた通話の数です。",
                    "`Calls ended` counts the calls in progress that this node asked the PBX to end because of it.",
                    "このファイルと同じ場所の .note ファイルは、台帳の鍵による署名です。"
                    "idtone-evidence verify paper で検証できます。"
                    "検証鍵は、この書面とは別の方法でも受け取ってください。",
                    "The file .note beside this one is the signature by the key of the ledger; `idtone-evidence verify "
                    "paper` checks it. Get the verifier key by another way, too, than this paper.",
                ),
            ),
        ),
    )


def _elsewhere(one: OwnSuspension) -> tuple[Section, ...]:
    """Section with the other nodes' confirmations, if any."""
    if not one.elsewhere:
        return ()
    rows = [
        (
            each.node,
            _in_japan(each.in_force) or "未確認 / not confirmed",
            _in_japan(each.over) or _in_japan(each.taken_over) or "",
            str(each.calls_ended),
        )
        for each in one.elsewhere
    ]
    columns = (
        "ノード / node",
        "停止の開始 / in force since",
        "解除・引き継ぎ / over or taken over",
        "切断した通話 / calls ended",
    )
    return (Section("ほかのノードでの実施 / On the other nodes", table=Table(columns, rows, (60, 62, 62, None))),)


def _confirmed(one: OwnSuspension) -> str | None:
    if one.in_force is None:
        return None
    if one.by_service:
        return "サービスと交換機 / the service and the PBX"
    return "交換機のみ(サービスの停止中) / the PBX alone, while the service was down"


def _duty(duty: Duty) -> tuple[str, str, str]:
    state = "未了 / open" if duty.closed is None else f"{duty.on} {duty.document} ({duty.closed.by})"
    return _DUTIES[duty.kind], duty.due.isoformat(), state


def _act(act: Act | None) -> str | None:
    return f"{act.by}, {_in_japan(act.at)}" if act else None


def _in_japan(at: datetime | None) -> str | None:
    return at.astimezone(JAPAN).isoformat(sep=" ", timespec="milliseconds") if at else None
