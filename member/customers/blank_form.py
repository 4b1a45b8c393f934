"""Writes an empty form for one kind of customer as YAML.

Each field has a label and a mark that shows whether it is required.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from .customer_form import ROOT, CustomerKind, Subject
from .field_labels import GROUPS, KINDS, labels
from .form_rules import FormRules

_HEAD: Final = """\
# Application form / 標準申込書: {kind}
# *: required / 必須   -: where it applies / 該当する場合
# The ids of methods, documents, checks and purposes: customer_rules.yaml, version {version}.
# 確認方法、書類、利用場所の確認、目的の id は customer_rules.yaml(版 {version})にあります。
{root}:
"""
_LISTS: Final = ("beneficial_owners", "sites", "verifications")
_EMPTY_LISTS: Final = ("purposes", "numbers.kinds", "numbers.assigned")
_COMMENTS_AT: Final = 40


@dataclass(frozen=True, slots=True)
class _Leaf:
    value: str
    comment: str


def blank_form(kind: CustomerKind, id_: str, rules: FormRules, today: date) -> str:
    """Text of an empty form. Groups that this kind of customer does not need are omitted.

    Fields that are left empty count as missing.
    """
    required = {row.field for row in rules.required(kind)}
    optional_groups = {group for group in ("representative", "agent") if group not in required}
    tree: dict[str, Any] = {"id": _Leaf(id_, "* 管理番号 / id"), "kind": _Leaf(kind, f"* {KINDS[kind]}")}
    verification: dict[str, Any] = {}
    for field, label in labels(kind).items():
        group, _, inner = field.partition(".")
        if group not in optional_groups and not inner.startswith("second_document"):
            value = today.isoformat() if field == "date" else "[]" if field in _EMPTY_LISTS else ""
            leaf = _Leaf(value, f"{'*' if field in required else '-'} {label}")
            _put(verification if group == "verifications" else tree, inner if group == "verifications" else field, leaf)
    subjects = [row.of for row in rules.verified if kind in row.kinds and row.of not in optional_groups]
    tree["verifications"] = [_about(subject, verification) for subject in subjects]
    for group in set(_LISTS[:2]) & tree.keys():
        tree[group] = [tree[group]]
    head = _HEAD.format(kind=KINDS[kind], version=rules.version, root=ROOT)
    return head + "".join(f"  {line}\n" for line in _lines(tree))


def _put(tree: dict[str, Any], path: str, leaf: _Leaf) -> None:
    *groups, name = path.split(".")
    for group in groups:
        tree = tree.setdefault(group, {})
    tree[name] = leaf


def _about(subject: Subject, verification: dict[str, Any]) -> dict[str, Any]:
    return verification | {"of": _Leaf(subject, verification["of"].comment)}


def _lines(tree: dict[str, Any]) -> Iterator[str]:
    for name, node in tree.items():
        if isinstance(node, _Leaf):
            yield f"{f'{name}: {node.value}'.rstrip():<{_COMMENTS_AT}} # {node.comment}"
            continue
        yield f"{name}:" + (f"  # {GROUPS[name]}" if name in GROUPS else "")
        for item in node if isinstance(node, list) else [node]:
            first, *others = _lines(item)
            yield f"{'- ' if isinstance(node, list) else '  '}{first}"
            yield from (f"  {line}" for line in others)
