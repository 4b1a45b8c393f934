"""Certificates and letters to members in Japanese and English, containing only facts from the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.calls import Direction, LicenceStatus
from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN, last_day
from idtone.core.paper.content import Paper, Section
from idtone.core.translation import template
from idtone.registry.model import LicenceEntry, Member, RegistryDocument, day_begins

from ..authority.operator_list import licence_end

SOON: Final = timedelta(days=60)
"""How long before its end a licence, pledge or certification is due for renewal."""
_DIRECTIONS: Final = {
    Direction.INCOMING: "着信転送 / incoming forwarding",
    Direction.OUTGOING: "発信転送 / outgoing forwarding",
}


class Letter(StrEnum):
    """Reasons for a letter to a member."""

    RENEWAL = "renewal"
    PLEDGE = "pledge"
    CERTIFICATION = "certification"
    STOPPED = "stopped"


LETTER_WORDS: Final = {
    Letter.RENEWAL: template("a licence ends"),
    Letter.PLEDGE: template("the pledge is to be renewed"),
    Letter.CERTIFICATION: template("the certification is to be checked"),
    Letter.STOPPED: template("numbers are suspended"),
}
_TITLES: Final = {
    Letter.RENEWAL: "利用許諾の期限について / The end of your licence",
    Letter.PLEDGE: "誓約の更新について / Renewal of your pledge",
    Letter.CERTIFICATION: "認定の確認について / Your certification is to be checked",
    Letter.STOPPED: "番号停止のお知らせ / Notice of a suspension",
}
_BODIES: Final = {
    Letter.RENEWAL: (
        "下記の利用許諾は、記載の日に期限を迎えます。継続を希望される場合は、期限の 30 日前までに"
        "更新をお申し出ください。期限の後の通話では、協会標準識別音は再生されません。",
        "The licence below ends on the day that is written there. If you want to keep it, ask for its renewal 30 days "
        "before. After its end, calls do not get the association's sound.",
    ),
    Letter.PLEDGE: (
        "下記の誓約の期限が近づいています。新しい誓約書に署名し、PDF でお送りください。誓約が有効でない間は、"
        "利用許諾は有効になりません。",
        "The pledge below ends soon. Sign a new one, and send it as PDF. Without a pledge in force, no licence is "
        "valid.",
    ),
    Letter.CERTIFICATION: (
        "下記の認定について、期限または次回確認の日が近づいています。認定通知書の写しをお送りください。"
        "登記事項証明書では確認できません。",
        "The certification below ends soon, or is to be checked. Send a copy of the notice of the certification. An "
        "extract of the commercial register proves nothing.",
    ),
    Letter.STOPPED: (
        "協会は、要請に基づき、貴社が保有する番号を停止しました。対象の番号は、公開された登録簿でご確認ください。この書面には"
        "番号を記載していません。各ノードで停止が有効であることを確認し、協会に報告してください。",
        "On request, the association has suspended numbers that you hold. Your registry shows which; this letter names "
        "no number. Confirm that your nodes refuse their calls.",
    ),
}


@dataclass(frozen=True, slots=True)
class Sender:
    """Person who signs a paper. The office types the name each time, and it is never stored."""

    person: str
    number: str
    """The office's document number; may be empty."""


def certificate(
    published: RegistryDocument, member: Member, licence: LicenceEntry, is_stopped: bool, sender: Sender, now: datetime
) -> Paper:
    """Create a licence's certificate (利用許諾証). Raises UsageError if the licence is not valid now.

    `member` and `licence` are entries of `published`. The licence must be active, with a pledge in force and a
    certification that has not lapsed. `is_stopped` is True if all the member's numbers are suspended.
    """
    ends = licence_end(licence, member)
    if licence.status is not LicenceStatus.ACTIVE or licence.valid.until <= now:
        raise UsageError("the licence is not active any more; there is no certificate for it")
    if now < licence.valid.start:
        raise UsageError("the licence has not begun; there is no certificate for it")
    if member.pledge is None or not member.pledge.in_force(now):
        raise UsageError("the member has no pledge in force, so the licence is not valid")
    if ends <= now:
        raise UsageError("the member's certification has lapsed, so the licence is not valid")
    if is_stopped:
        raise UsageError("all numbers of the member are suspended; there is no certificate now")
    title = "利用許諾証 / Certificate of licence"
    tones = {tone.id: tone.title for tone in published.tones}
    facts = {
        "番号 / number": sender.number, "会員 / member": f"{member.name.ja} / {member.name.en} ({member.id})",
        "法人番号 / corporate number": member.corporate_number or "", "利用許諾 / licence": licence.id,
        "音 / sound": f"{tones[licence.tone]} ({licence.tone})",
        "方向 / directions": "\n".join(_DIRECTIONS[each] for each in licence.directions),
        "有効期間 / valid": f"{_day(licence.valid.start)} – {last_day(ends)}",
        "登録簿の版 / registry version": str(published.registry.version),
    }  # fmt: skip
    return signed_paper(
        title,
        published,
        facts,
        sender,
        now,
        "当協会は、上記の会員に、協会標準識別音の利用を許諾したことを証します。許諾の現在の状態は、公開リストで確認してください。",
        "The association certifies that it has licensed the sound to this member. The public list says how the licence "
        "stands now.",
    )


def letter(which: Letter, document: RegistryDocument, member: Member, sender: Sender, now: datetime) -> Paper:
    """Create a letter to a member. Raises UsageError if the registry contains nothing for the letter to report."""
    facts = {"番号 / number": sender.number, "宛先 / to": f"{member.name.ja} / {member.name.en} ({member.id})"}
    facts |= _about(which, member, now)
    return signed_paper(_TITLES[which], document, facts, sender, now, *_BODIES[which])


def _about(which: Letter, member: Member, now: datetime) -> Mapping[str, str]:
    if which is Letter.STOPPED:
        return {}
    found, pledge, certification = {}, member.pledge, member.certification
    if which is Letter.RENEWAL:
        found = {
            f"利用許諾 / licence {each.id}": f"{last_day(each.valid.until)} まで / until"
            for each in member.licences
            if each.status is LicenceStatus.ACTIVE and _is_soon(each.valid.until, now)
        }
    if which is Letter.PLEDGE and pledge and pledge.until and _is_soon(day_begins(pledge.until), now):
        found = {"誓約 / pledge": f"{pledge.signed} – {last_day(pledge.until)}"}
    if which is Letter.CERTIFICATION and certification and _is_soon(certification.lapses, now):
        found = {
            "認定 / certification": f"{certification.number}, {last_day(certification.until)} まで / until",
            "次回確認 / next check": certification.next_check.isoformat(),
        }
    if not found:
        raise UsageError("nothing of this member that the letter speaks of ends within {days} days", days=SOON.days)
    return found


def _is_soon(end: datetime, now: datetime) -> bool:
    return now < end <= now + SOON


def signed_paper(
    title: str, document: RegistryDocument, facts: Mapping[str, str], sender: Sender, now: datetime, *words: str
) -> Paper:
    end = {
        "日付 / date": _day(now).isoformat(),
        "発行 / issued by": document.registry.association,
        "担当 / signed for it by": f"{sender.person}\n\n",
    }
    return Paper(
        f"{title} {sender.number}".rstrip(),
        now.astimezone(JAPAN),
        (
            Section(title, [(name, value) for name, value in facts.items() if value], words),
            Section("", [*end.items()], boxed=True),
        ),
    )


def _day(at: datetime) -> date:
    return at.astimezone(JAPAN).date()
