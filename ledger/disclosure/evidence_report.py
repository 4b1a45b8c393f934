"""The readable report in an evidence pack, in Japanese and English."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from idtone.core.japan_time import JAPAN
from idtone.core.numbers import Number, NumberKind
from idtone.core.paper.content import Paper, Section, Table, known_facts

from ..evidence.call_record import Record
from ..evidence.masked_number import MaskedNumber
from ..evidence.steps import NumberRole, Step
from .disclosure_request import DisclosureRequest
from .legal_basis import LegalBasis
from .log_registration import LogRegistration
from .pack import PackRecord
from .report_words import STEPS, delivery_in_both, owner_in_both, policy_in_both, shown_details

_ROLES: Final = {
    NumberRole.FORWARDING: "転送元番号 / forwarding number",
    NumberRole.CALLER: "発信者番号 / caller's number",
    NumberRole.CALLED: "着信先番号 / called number",
}
_PROVES: Final = (
    "各記録は、署名された記録の木に含まれています。その署名の後に変更、削除、挿入されたものではありません。",
    "Each record is in the tree that was signed; it was not changed, removed or put in after that signature.",
    "記録は、その時に交換機が見聞きしたことの記述です。端末の先で人が実際に聞いたことは証明しません。",
    "A record says what the PBX saw at the time. That a person heard the sound at the other end of the telephone is "
    "not proven.",
    "形式 (format) のある SHA-256 は、その相手のコーデックに対して交換機が開く音声ファイルのものです。"
    "形式のない SHA-256 は、その音の全ファイルをまとめたもので、どのファイルが開かれたかは不明です。"
    "いずれも、再生の後にサービスが確認した内容で、ファイルシステムの記録上、再生の前から変更されていません。"
    "交換機がファイルから読み取った内容そのものは記録していません。",
    "A SHA-256 with a format is that of the file that the PBX opens for that party's codec. Without a format it is "
    "that of all files of the sound together, and it is not known which of them was opened. In both cases the service "
    "found this content after the playback, and by the file system's stamps it had not been changed since before the "
    "playback. What the PBX read from the file is not recorded itself.",
    "音の到達は、三つの語で示します。"
    "送信済み: 交換機が音の RTP パケットをすべて送信しました。届いたかどうかは示しません。"
    "相手側の報告で確認: 送信済みで、さらに電話機自身の報告 (RTCP) が、その通話で受信の欠落がないことを示しています。"
    "不明: そのどちらも確認できません。",
    "What is known of a sound is said in three words. Sent: the PBX sent all RTP packets of the sound; whether they "
    "arrived is not shown. Confirmed by the phone's reports: sent, and the telephone's own reports (RTCP) say that it "
    "missed no packet of the call. Not known: neither can be shown.",
    "括弧内は、音が最後まで再生されたことを何によって確認したかを示します。"
    "送信パケット数: 交換機が音の RTP パケットをすべて送信しました。"
    "再生時間: 交換機の時計で、音の長さ以上の時間が経過しました。"
    "再生の完了: 交換機が再生の完了を報告し、音の長さ以上の時間が経過しました。"
    "Dial() の続行のみ: 交換機が音の後の処理に進みました。再生時間は測定していません。",
    "In brackets stands by what it is known that the sound was played to its end. By packets: the PBX sent all RTP "
    "packets of the sound. By time: the sound lasted as long as it had to, by the clock of the PBX. By playback: the "
    "PBX reported "
    "the playback as complete, and it lasted as long as it had to. By Dial() alone: the PBX went on after the sound, "
    "and how long it lasted was not measured.",
    "記録の名義人と証人の定めは、このパックにある協会の登録簿の記載です。協会の署名は、"
    "協会の root で検証してください "
    "(idtone-evidence verify pack --root)。",
    "The association's registry in this pack says whose log this is and which witnesses count. Verify the "
    "association's signatures with its root (idtone-evidence verify pack --root).",
    "署名鍵の保持者が真実を記録したことは証明しません。"
    "証人の連署があれば、後から別の履歴に置き換えられていないことが示されます。",
    "That whoever holds the signing key recorded the truth is not proven. Where witnesses have cosigned the tree, it "
    "was not replaced by another one afterwards.",
)


def report(
    case: str,
    at: datetime,
    told: Sequence[PackRecord],
    profiles: Mapping[str, Mapping[str, Any]],
    log_key: str,
    basis: LegalBasis | None,
    request: DisclosureRequest | None = None,
    registration: LogRegistration | None = None,
) -> Paper:
    """Create the readable report for an evidence pack, in Japanese and English.

    Times are in Japan Standard Time. `request` is the approved request. `registration` names the log's owner and
    witnesses.
    """
    registration = registration or LogRegistration()
    approval = request.approval if request else None
    about = {
        "案件 / case": case,
        **basis_facts(basis),
        "作成 / exported": japanese_time(at),
        "申請 / requested by": f"{request.by.name}, {japanese_time(request.at)}" if request else None,
        "承認 / approved by": f"{approval.by.name}, {japanese_time(approval.at)}" if approval else None,
        "記録 / records": str(len(told)),
        "検証鍵 / verifier key": log_key,
        "記録の名義人 / whose log": owner_in_both(registration),
        "連署した証人 / cosigned by": ", ".join(registration.cosigners) or "なし / none that counts",
        "証人の定め / witness policy": policy_in_both(registration),
        "検証方法 / to verify": "idtone-evidence verify pack FILE --log-key KEY",
    }
    return Paper(
        f"再生証跡 / Evidence {case}",
        at.astimezone(JAPAN),
        (
            Section("再生証跡 / Evidence of decisions and of the sounds sent", known_facts(about)),
            Section("証明すること、しないこと / What this proves, and what it does not", paragraphs=_PROVES),
            *(_call(number, each) for number, each in enumerate(told, 1)),
            *(_profile(profile_id, profile) for profile_id, profile in profiles.items()),
        ),
    )


def basis_facts(basis: LegalBasis | None) -> dict[str, str | None]:
    """Facts about a disclosure's legal basis, by label."""
    if basis is None:
        return {"法的根拠 / legal basis": "記録なし / not recorded"}
    texts = {name: str(text) for name, text in basis.details().items()}
    return {
        "法的根拠 / legal basis": basis.law,
        "照会元 / requesting authority": basis.authority,
        "文書番号 / document": basis.reference,
        "照会の範囲 / scope": basis.scope,
        "受領日時 / demand received": japanese_time(basis.received) if basis.received else None,
        "回答期限 / deadline": texts.get("deadline"),
        "発付裁判所 / issued by": basis.court,
        "令状の有効期間の末日 / warrant valid until": texts.get("valid_until"),
        "緊急を要した理由 / why it could not wait": basis.why,
        "書面による確認の期限 / to be confirmed in writing by": texts.get("confirm_by"),
    }


def _call(number: int, told: PackRecord) -> Section:
    record = told.record
    facts = {
        "通話 / call": record.call_id,
        "交換機 / PBX": record.node,
        "方向 / direction": record.direction,
        **{_ROLES[role]: _number(told.numbers.get(role), masked) for role, masked in record.numbers.items()},
        "判定 / outcome": f"{record.outcome}, {record.reason}" if record.outcome else None,
        "フックが自分で判定 / decided by the hook itself": "はい / yes" if record.fallback else None,
        "会員 / member": record.member,
        "卸の経路 / wholesale chain": record.wholesale_chain,
        "利用者 / customer": record.customer,
        "利用許諾 / licence": record.licence,
        "登録簿の版 / registry version": _registry(record),
        "登録簿の SHA-256 / SHA-256 of the registry": record.registry_sha256,
        "音の到達 / sounds": delivery_in_both(record) or "音なし / no sound",
        "結果 / status": record.status,
        "葉 / leaves": ", ".join(map(str, told.leaves)),
        "矛盾 / anomalies": "; ".join(record.anomalies),
    }
    columns = ("時刻 / time", "段階 / step", "詳細 / details")
    table = Table(columns, list(map(_step, record.steps)), (38, 42, None))
    return Section(f"{number}. {record.call_id}", known_facts(facts), table=table)


def _registry(record: Record) -> str | None:
    return None if record.registry_version is None else f"{record.registry_version} ({record.registry_trust})"


def _number(number: Number | None, masked: MaskedNumber) -> str:
    if number is not None and number.kind is NumberKind.MALFORMED:
        return (
            f"{number.e164} (電話番号の形ではない文字列の数字部分 / the digits of a text that is no telephone number)"
        )
    if number is not None:
        return number.e164
    return f"{masked} (封緘 / sealed)" if masked.token else str(masked)


def _step(step: Step) -> tuple[str, str, str]:
    details = ", ".join(f"{name}={value}" for name, value in shown_details(step).items())
    return japanese_time(step.at), str(STEPS.get(step.kind, step.kind)), details


def _profile(profile_id: str, profile: Mapping[str, Any]) -> Section:
    as_in_file = json.loads(json.dumps(profile, sort_keys=True))  # from which the report is made again
    facts = {name: None if value is None else str(value) for name, value in as_in_file.items()}
    return Section(f"音 / Sound: {profile_id}", known_facts(facts))


def japanese_time(at: datetime) -> str:
    """Format a time in Japan Standard Time, with milliseconds."""
    return at.astimezone(JAPAN).isoformat(sep=" ", timespec="milliseconds")
