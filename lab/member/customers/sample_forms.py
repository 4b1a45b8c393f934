"""Complete sample forms for each kind of customer and each method of verification, derived from the rules."""

from datetime import date
from typing import Any

import yaml

from idtone.core.errors import DocumentError
from idtone.core.yaml_documents import parse
from idtone.member.customers.completeness import faults
from idtone.member.customers.customer_form import CustomerForm, CustomerKind, Subject
from idtone.member.customers.field_labels import labels
from idtone.member.customers.form_rules import FormRules, Method, load_rules

RULES = load_rules(None)
TODAY = date(2026, 11, 27)
VALUES: dict[str, Any] = {
    "birth_date": "1980-02-29", "corporate_number": "8700110005901", "date": "2026-11-20", "checked": "2026-11-20",
    "day": "2026-11-21", "count": 2, "purposes": ["office", "as a test"], "how": "visit", "name.en": "Sample",
    "numbers.kinds": ["fixed"], "transfer_told": "2026-11-20",
}  # fmt: skip


def value(field: str) -> Any:
    return next((sample for end, sample in VALUES.items() if f".{field}".endswith(f".{end}")), f"見本 {field}")


def verification(of: Subject, method: Method, rules: FormRules = RULES) -> dict[str, Any]:
    def document(kind: str) -> dict[str, Any]:
        known = rules.document(kind)
        assert known
        return {
            "kind": kind,
            **({"number_ends": "9z01"} if known.keeps_number else {}),
            **({"issued": "2026-11-01"} if known.months else {}),
            **({"expires": "2027-03-01"} if known.expires else {}),
        }

    needs = {"posted": "2026-11-21", "reference": "T-1", "second_document": document(method.documents[-1])}
    return {
        "of": of.value, "method": method.id, "document": document(method.documents[0]),
        "at": "2026-11-20T10:00:00+09:00", "by": "A", **{need: needs[need] for need in method.needs},
    }  # fmt: skip


def complete_form(kind: CustomerKind, rules: FormRules = RULES) -> dict[str, Any]:
    """A form with all fields that make sense for this kind of customer."""
    tree: dict[str, Any] = {"id": "C-1", "kind": kind.value}
    for field in labels(kind):
        if not field.startswith(("verifications", "numbers.assigned", "no_beneficial_owner")):
            *groups, name = field.split(".")
            at = tree
            for group in groups:
                at = at.setdefault(group, {})
            at[name] = value(field)
    for group in {"beneficial_owners", "sites"} & tree.keys():
        tree[group] = [tree[group]]
    tree["verifications"] = [
        verification(subject, rules.methods_for(subject.party(kind), TODAY)[0], rules) for subject in Subject
    ]
    return tree


def form_text(tree: dict[str, Any]) -> str:
    """The text of a form's file."""
    return yaml.dump({"application": tree}, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)


def faults_of(tree: dict[str, Any], rules: FormRules = RULES, today: date = TODAY) -> list[str]:
    """Field and problem of each fault that the rules find in this form."""
    try:
        parse(form_text(tree), "form.yaml", CustomerForm, lambda form: faults(form, rules, today))
    except DocumentError as error:
        return [
            f"{fault.field.removeprefix('application.')}: {fault.problem}"
            for fault in error.faults
            if fault.line and fault.remedy
        ]
    return []
