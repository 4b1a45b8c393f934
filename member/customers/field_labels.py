"""Japanese and English labels for a form's fields, for empty and printed forms."""

from collections.abc import Mapping
from typing import Final

from .customer_form import CustomerKind, Party, Subject

KINDS: Final[Mapping[CustomerKind, str]] = {
    CustomerKind.PERSON: "個人 / natural person",
    CustomerKind.COMPANY: "法人 / company",
    CustomerKind.FOREIGN_PERSON: "日本に住居がない外国人 / person without a residence in Japan",
    CustomerKind.FOREIGN_COMPANY: "外国に本店がある法人 / company abroad",
}
SUBJECTS: Final[Mapping[Subject, str]] = {
    Subject.CUSTOMER: "利用者 / customer",
    Subject.AGENT: "取引担当者 / person in charge",
}
GROUPS: Final[Mapping[str, str]] = {
    "customer": "利用者 / Customer",
    "representative": "代表者 / Representative",
    "agent": "取引担当者 / Person in charge of the transaction",
    "beneficial_owners": "実質的支配者 / Beneficial owners",
    "numbers": "電話番号 / Telephone numbers",
    "sites": "利用場所 / Place of use",
    "verifications": "本人特定事項の確認(事業者記入欄) / Verification (for the operator)",
}
_PERSON: Final = {
    "name.ja": "氏名 / name",
    "name.kana": "フリガナ / reading",
    "name.en": "氏名(英字) / name in Latin letters",
    "address": "住居 / residence",
    "birth_date": "生年月日 / date of birth",
    "nationality": "国籍 / nationality",
}
LABELS: Final[Mapping[str, str]] = {
    "date": "申込日 / date of application",
    **{f"customer.{field}": label for field, label in _PERSON.items()},
    "customer.corporate_number": "法人番号 / corporate number",
    "customer.registration": "外国の登記・登録 / register abroad",
    "customer.occupation": "職業 / occupation",
    "customer.business": "事業の内容 / business",
    **{f"representative.{field}": label for field, label in _PERSON.items()},
    "representative.title": "役職 / title",
    **{f"agent.{field}": label for field, label in _PERSON.items()},
    "agent.relation": "利用者との関係 / relation to the customer",
    "agent.authority.document": "権限を示す書類など / proof of authority",
    "agent.authority.checked": "権限の確認日 / authority checked on",
    **{f"beneficial_owners.{field}": label for field, label in _PERSON.items()},
    "beneficial_owners.basis": "該当する理由 / why",
    "no_beneficial_owner": "該当者がない理由 / why none is named",
    "purposes": "取引を行う目的 / purpose of the transaction",
    "numbers.count": "希望する番号の数 / numbers asked for",
    "numbers.kinds": "番号の種類 / kinds of numbers",
    "numbers.area": "番号区画 / numbering area",
    "numbers.transfer_told": "譲渡の制限を説明した日 / told of the limits of a transfer on",
    "numbers.assigned": "割り当てた番号 / numbers assigned",
    "sites.address": "所在地 / address",
    "sites.use": "使い方 / what it is",
    "sites.checked.how": "確認の方法 / checked by",
    "sites.checked.day": "確認日 / checked on",
    "sites.checked.by": "確認者 / checked by whom",
    "verifications.of": "確認の対象 / of whom",
    "verifications.method": "確認の方法 / method",
    "verifications.document.kind": "本人確認書類 / document",
    "verifications.document.number_ends": "書類の番号(末尾) / end of its number",
    "verifications.document.copy_sha256": "写しの SHA-256 / digest of a copy",
    "verifications.document.issued": "発行日 / issued",
    "verifications.document.expires": "有効期限 / valid until",
    "verifications.second_document.kind": "2 種類目の書類 / second document",
    "verifications.second_document.number_ends": "2 種類目の番号(末尾) / end of its number",
    "verifications.second_document.copy_sha256": "2 種類目の写しの SHA-256 / digest of its copy",
    "verifications.second_document.issued": "2 種類目の発行日 / issued",
    "verifications.second_document.expires": "2 種類目の有効期限 / valid until",
    "verifications.at": "提示・受領の日時 / seen or received",
    "verifications.posted": "転送不要郵便の発送日 / letter sent",
    "verifications.reference": "取引番号 / reference",
    "verifications.by": "確認者 / verified by",
}
"""Labels by field path, in form order."""
_OF_COMPANY: Final[Mapping[str, str]] = {
    "customer.name.ja": "名称 / name",
    "customer.name.en": "名称(英字) / name in Latin letters",
    "customer.address": "本店又は主たる事務所の所在地 / head office",
}
_NEVER: Final[Mapping[Party, frozenset[str]]] = {
    Party.LEGAL: frozenset({"customer.birth_date", "customer.nationality", "customer.occupation"}),
    Party.NATURAL: frozenset({"customer.corporate_number", "customer.registration", "customer.business"}),
}
_COMPANIES_ALONE: Final = ("representative", "beneficial_owners", "no_beneficial_owner")


def labels(kind: CustomerKind) -> dict[str, str]:
    """Labels by field path, for the fields that apply to this kind of customer."""
    natural = kind.party is Party.NATURAL
    return {
        field: label if natural else _OF_COMPANY.get(field, label)
        for field, label in LABELS.items()
        if field not in _NEVER[kind.party]
        and not (natural and field.split(".")[0] in _COMPANIES_ALONE)
        and not (field == "customer.registration" and kind is CustomerKind.COMPANY)
    }
