"""The printed form, filled in or empty, for the customer to sign."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from idtone.core.japan_time import JAPAN
from idtone.core.paper.content import Paper, Section

from .customer_form import Application, CustomerKind, Verification
from .field_labels import GROUPS, KINDS, SUBJECTS, labels
from .form_rules import FormRules

_TITLE: Final = "電話転送サービス利用申込書 / Application for call forwarding"
_OFF, _ON = "□", "■"
_LISTS: Final = ("beneficial_owners", "sites", "verifications")
_EMPTY_ITEMS: Final = {"beneficial_owners": 2}
_OWN_WORDS: Final = "その他 / other: "
_DECLARATION: Final = (
    "私(当社)は、上記のとおり申し込みます。記載した事項に相違ありません。変更があったときは、直ちに届け出ます。"
    "申込者の確認は、犯罪による収益の移転防止に関する法律と電気通信番号計画に基づいて行われ、この申込書は契約の終了後も"
    "法令が定める期間、保存されます。",
    "I (we) apply as written above. All of it is true, and I (we) will report changes at once. The operator verifies "
    "its customers by law, and keeps this form after the end of the contract for as long as the law demands.",
)
_NOTE: Final = (
    "この様式は idtone が作成したもので、協会又は法令の様式ではありません。 / "
    "This form is idtone's own; neither the association nor the law prescribes it."
)


def form_paper(kind: CustomerKind, form: Application | None, rules: FormRules, at: datetime) -> Paper:
    """The printed form. If `form` is None, this is an empty form for this kind of customer to fill in by hand.

    `at` is the time of printing.
    """
    named = labels(kind)
    sections = [Section(_TITLE, _head(kind, form), boxed=True)]
    for group, heading in GROUPS.items():
        if group == "verifications":
            sections.append(_signature())
        fields = {field: label for field, label in named.items() if field.split(".")[0] == group}
        for number, item in enumerate(_items(group, kind, form, rules) if fields else (), 1):
            count = f" ({number})" if group in _LISTS else ""
            numbers = form.number_kinds() if form else ()
            facts = _facts(fields, item, _options(kind, item, rules, at.astimezone(JAPAN).date(), numbers))
            sections.append(Section(f"{heading}{count}", facts, boxed=True))
        if group == "beneficial_owners" and "no_beneficial_owner" in named:
            reason = form.no_beneficial_owner if form else None
            sections.append(Section("", [(named["no_beneficial_owner"], reason or "")], boxed=True))
        if group == "agent":
            sections.append(_purposes(named, form, rules))
    return Paper(f"{_TITLE} {form.id if form else ''}".rstrip(), at.astimezone(JAPAN), sections)


def _head(kind: CustomerKind, form: Application | None) -> list[tuple[str, str]]:
    return [
        ("管理番号 / id", form.id if form else ""),
        ("申込日 / date", _shown(form.date) if form else ""),
        ("申込者の種別 / kind of customer", _boxes(KINDS.values(), {KINDS[kind]})),
    ]


def _items(group: str, kind: CustomerKind, form: Application | None, rules: FormRules) -> Iterable[Any]:
    """Items of a group, one per printed section. None represents an empty section."""
    if form is None:
        subjects = [row.of for row in rules.verified if kind in row.kinds]
        optional = {"agent"} - {row.field for row in rules.required(kind)}
        if group == "verifications":
            return [Verification(of=subject) for subject in subjects if subject not in optional]
        return [None] * _EMPTY_ITEMS.get(group, 1)
    given = getattr(form, group)
    return given if isinstance(given, tuple) else [given] if given is not None else []


def _facts(fields: Mapping[str, str], item: Any, options: Mapping[str, Mapping[Any, str]]) -> list[tuple[str, str]]:
    """Each field's label and value.

    Empty fields are included so that they can be filled in by hand, except in a verification that is already filled in.
    """
    facts = []
    is_done = isinstance(item, Verification) and item.method is not None
    for field, label in fields.items():
        value = item
        for step in field.split(".")[1:]:
            value = getattr(value, step, None)
        names = options.get(field)
        if names is not None:
            facts.append((label, _boxes(names.values(), {names[value]} if value in names else set())))
        elif value not in (None, ()) or not (is_done or ".second_document" in field):
            facts.append((label, _shown(value)))
    return facts


def _options(
    kind: CustomerKind, item: Any, rules: FormRules, day: date, numbers: Collection[str]
) -> dict[str, dict[Any, str]]:
    """Names of values by field and id, for fields whose values the rules list.

    Methods and documents are limited to those that match the filled-in fields.
    """
    options: dict[str, dict[Any, str]] = {
        "sites.checked.how": {each.id: str(each.name) for each in rules.site_checks},
    }
    if isinstance(item, Verification):
        seen = item.at.astimezone(JAPAN).date() if item.at else day
        allowed = rules.methods_for(item.of.party(kind), seen, numbers)
        methods = [each for each in allowed if each.id == item.method] or allowed
        documents = {document for each in methods for document in each.documents}
        options["verifications.of"] = dict(SUBJECTS)
        options["verifications.method"] = {each.id: str(each.name) for each in methods}
        options["verifications.document.kind"] = {
            each.id: str(each.name) for each in rules.documents if each.id in documents
        }
    return options


def _purposes(named: Mapping[str, str], form: Application | None, rules: FormRules) -> Section:
    names = {each.id: str(each.name) for each in rules.purposes}
    chosen = form.purposes if form else ()
    own = ", ".join(purpose for purpose in chosen if purpose not in names)
    other = f"{_ON if own else _OFF} {_OWN_WORDS}{own}"
    boxes = _boxes(names.values(), {names[purpose] for purpose in chosen if purpose in names})
    return Section("取引の目的 / Purpose", [(named["purposes"], f"{boxes}\n{other}")], boxed=True)


def _boxes(options: Iterable[str], chosen: set[str]) -> str:
    return "\n".join(f"{_ON if option in chosen else _OFF} {option}" for option in options)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)


def _signature() -> Section:
    facts = [("署名した日 / signed on", ""), ("申込者の署名又は記名押印 / signature or seal", "\n\n")]
    return Section("申込者の署名 / Signature", facts, (*_DECLARATION, _NOTE), boxed=True)
