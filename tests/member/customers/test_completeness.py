"""Missing fields of a form, for each row of the rules."""

import re
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from importlib import resources
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import DocumentError
from idtone.core.yaml_documents import parse
from idtone.member.customers.blank_form import blank_form
from idtone.member.customers.completeness import faults
from idtone.member.customers.corporate_number import check_digit, is_corporate_number
from idtone.member.customers.customer_form import CustomerForm, CustomerKind, Party, Subject
from idtone.member.customers.field_labels import LABELS
from idtone.member.customers.form_rules import FIELDS, SHIPPED, NumberMethod, Requirement, load_rules
from lab.member.customers.sample_forms import RULES, TODAY, complete_form, faults_of, verification

ROWS = [(kind, row) for kind in CustomerKind for row in RULES.required(kind)]


def without(tree: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    tree = deepcopy(tree)
    for field in fields:
        *groups, name = field.split(".")
        places: list[Any] = [tree]
        for group in groups:
            inner = [place[group] for place in places if group in place]
            places = [item for each in inner for item in (each if isinstance(each, list) else [each])]
        for place in places:
            place.pop(name, None)
    return tree


def lacking(found: list[str]) -> set[str]:
    """The missing fields among the faults, without their indices in lists."""
    return {re.sub(r"\[\d+\]", "", each.partition(":")[0]) for each in found if each.endswith(": is missing")}


@pytest.mark.parametrize("kind", CustomerKind)
def test_a_complete_form_has_no_fault(kind):
    assert faults_of(complete_form(kind)) == []


@pytest.mark.parametrize(("kind", "row"), ROWS, ids=lambda each: getattr(each, "field", each))
def test_each_required_field_is_missed_where_its_group_is_given(kind: CustomerKind, row: Requirement):
    form = complete_form(kind)
    here = {each: faults_of(without(form, {each})) for each in row.fields}
    is_given = without(form, {row.field}) != form
    wanted = {row.field} if is_given else set()
    assert lacking(faults_of(without(form, set(row.fields)))) == wanted
    if row.instead and without(form, {row.instead}) != form:
        assert lacking(here[row.field]) == set(), "the other field will do"
    elif row.instead is None:
        assert lacking(here[row.field]) == wanted


@settings(max_examples=30)
@given(kind=st.sampled_from(CustomerKind), data=st.data())
def test_all_that_is_missing_is_named_at_once(kind, data):
    rows = [row for row in RULES.required(kind) if "." in row.field and row.instead is None]
    form = complete_form(kind)
    taken = data.draw(st.sets(st.sampled_from(sorted({row.field for row in rows}))))
    gone = {each for each in taken if without(form, {each}) != form}
    assert lacking(faults_of(without(form, gone))) == gone


@pytest.mark.parametrize("kind", CustomerKind)
def test_an_empty_form_lacks_what_is_marked_as_required_and_nothing_else(kind):
    text = blank_form(kind, "C-1", RULES, TODAY)
    with pytest.raises(DocumentError) as caught:
        parse(text, "form.yaml", CustomerForm, lambda form: faults(form, RULES, TODAY))
    marked = {
        number for number, line in enumerate(text.splitlines()[3:], 4) if re.search(r"(: |:)(\[\])? +# \* ", line)
    }
    assert {fault.line for fault in caught.value.faults} == marked
    assert {fault.problem for fault in caught.value.faults} == {"is missing"}


METHODS = [
    (subject, method)
    for method in RULES.methods
    for subject in Subject
    if method.party in {subject.party(kind) for kind in CustomerKind}
]


@pytest.mark.parametrize(("subject", "method"), METHODS, ids=str)
def test_each_method_needs_what_it_says_and_counts_in_its_time(subject, method):
    kind = CustomerKind.COMPANY if method.party is Party.LEGAL or subject is Subject.AGENT else CustomerKind.PERSON
    form = complete_form(kind)
    index = list(Subject).index(subject)

    def with_(**changes: Any) -> list[str]:
        made = {**verification(subject, method), **changes}
        form["verifications"][index] = {name: each for name, each in made.items() if each is not None}
        return faults_of(form, today=date(2030, 1, 1))

    place = f"verifications[{index}]"
    assert with_() == []
    for need in method.needs:
        assert with_(**{need: None}) == [f"{place}.{need}: is missing"]
    assert with_(document={"kind": "library-card"}) == [
        f"{place}.document.kind: is not a document for the method {method.id}"
    ]
    late = with_(at="2027-04-01T00:00:00+09:00")
    assert any("was not allowed on 2027-04-01" in each for each in late) is (method.until == date(2027, 3, 31))


def changed(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(form: dict[str, Any]) -> None:
        at: Any = form
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = to

    return change


AGENT, FIRST = ("verifications", 1), ("verifications", 0)
CARD = {"kind": "my-number-card", "expires": "2027-03-01"}
WRONG = {
    "corporate number": (changed("customer", "corporate_number", to="7700110005901"), "customer.corporate_number"),
    "corporate number too short": (changed("customer", "corporate_number", to="123"), "customer.corporate_number"),
    "unborn": (changed("agent", "birth_date", to="2026-11-28"), "agent.birth_date"),
    "of the future": (changed("date", to="2026-11-28"), "date"),
    "seen tomorrow": (changed(*FIRST, "at", to="2026-11-28T00:00:00+09:00"), "verifications[0].at"),
    "expired": (changed(*AGENT, "document", "expires", to="2026-11-19"), "verifications[1].document.expires"),
    "too old": (changed(*FIRST, "document", "issued", to="2026-01-01"), "verifications[0].document.issued"),
    "issued later": (changed(*FIRST, "document", "issued", to="2026-11-21"), "verifications[0].document.issued"),
    "a whole number": (changed(*AGENT, "document", "number_ends", to="123456789012"),
                       "verifications[1].document.number_ends"),
    "the end of an Individual Number": (changed(*AGENT, "document", to={**CARD, "number_ends": "9012"}),
                                        "verifications[1].document.number_ends"),
    "a company's method for a person": (changed(*AGENT, "method", to="company-post"), "verifications[1].method"),
    "unknown method": (changed(*FIRST, "method", to="by-eye"), "verifications[0].method"),
    "unknown check of a site": (changed("sites", 0, "checked", "how", to="by-eye"), "sites[0].checked.how"),
    "nobody verified": (changed("verifications", to=[]), "verifications"),
    "a number twice": (changed("numbers", "assigned", to=["0312345678", "+81312345678"]), "numbers.assigned"),
    "too many numbers": (changed("numbers", to={"count": 1, "area": "03", "assigned": ["0312345678", "0312345679"]}),
                         "numbers.assigned"),
    "no Japanese number": (changed("numbers", "assigned", to=["+12025550123"]), "numbers.assigned[0]"),
    "strange field": (changed("customer", "shoe_size", to="27"), "customer.shoe_size"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_found_at_its_field(what):
    change, field = WRONG[what]
    form = complete_form(CustomerKind.COMPANY)
    change(form)
    found = faults_of(form)
    assert {each.partition(":")[0] for each in found} == {field}
    assert not any("12025550123" in each or "123456789012" in each for each in found)


@pytest.mark.parametrize(
    ("numbers", "faults_"),
    [
        ({"kinds": ["fixed"]}, []),
        ({"kinds": ["mobile"]}, ["numbers.transfer_told: is missing"]),
        ({"kinds": ["fixed", "050"], "transfer_told": "2026-11-28"}, ["numbers.transfer_told: is in the future"]),
        ({"kinds": ["050"], "transfer_told": "2026-11-20"}, []),
        (
            {"kinds": ["fixed"], "assigned": ["09012345678"]},
            [
                "numbers.transfer_told: is missing",
                "numbers.kinds: lacks the kind of a number that was assigned: mobile",
            ],
        ),
        ({"kinds": ["fixed"], "assigned": ["0570123456"]}, []),
        ({"kinds": ["pigeon"]}, ["numbers.kinds[0]: "]),
    ],
)
def test_mobile_and_050_numbers_need_what_their_own_act_demands(numbers, faults_):
    form = complete_form(CustomerKind.COMPANY)
    form["numbers"] = {"count": 2, "area": "03", **numbers}
    found = faults_of(form)
    assert len(found) == len(faults_), found
    assert all(each.startswith(expected) for each, expected in zip(sorted(found), sorted(faults_), strict=True)), found


METHODS_OF_PERSONS = [each for each in RULES.methods if each.party is Party.NATURAL]


@pytest.mark.parametrize("method", METHODS_OF_PERSONS, ids=lambda each: each.id)
@pytest.mark.parametrize("kind", ["fixed", "050", "mobile"])
def test_numbers_with_an_act_of_their_own_are_given_out_by_its_methods_alone(method, kind):
    form = complete_form(CustomerKind.PERSON)
    form["numbers"] |= {"kinds": [kind], "transfer_told": "2026-11-20"}
    form["verifications"][0] = verification(Subject.CUSTOMER, method)
    rows = [row for row in RULES.number_methods if row.method == method.id and kind in row.numbers]
    is_good = kind == "fixed" or any(row.is_allowed(TODAY) for row in rows)
    found = faults_of(form)
    assert len(found) == (not is_good), found
    assert all(each.startswith("verifications[0].method: is not in the table") for each in found)
    if rows and rows[0].until:
        form["verifications"][0] |= {"at": "2026-03-31T23:59:00+09:00", "posted": "2026-03-31"}
        form["verifications"][0]["document"] |= {"issued": "2026-03-01"}
        assert not any("method" in each for each in faults_of(form)), "it was allowed on its last day in Japan"


def test_each_kind_of_customer_has_a_method_for_each_kind_of_number():
    for party in Party:
        assert RULES.methods_for(party, TODAY, {"050"})
        assert RULES.methods_for(party, date(2027, 4, 1), {"mobile"})


def test_a_method_must_be_allowed_for_each_kind_of_number_from_the_first_day_of_its_table():
    first, last = date(2027, 4, 1), date(2027, 9, 30)
    rows = [
        {"act": "mobile", "method": "jpki", "numbers": ["050"], "since": first, "until": last},
        {"act": "mobile", "method": "post-original", "numbers": ["mobile"]},
    ]
    rules = RULES.model_copy(update={"number_methods": tuple(map(NumberMethod.model_validate, rows))})
    for day, kinds, allowed in (
        (date(2027, 3, 31), {"050"}, {"jpki", "post-original"}),
        (first, {"050"}, {"jpki"}),
        (last, {"050"}, {"jpki"}),
        (date(2027, 10, 1), {"050"}, set()),
        (first, {"mobile"}, {"post-original"}),
        (first, {"050", "mobile"}, set()),
        (first, {"fixed"}, {"jpki", "post-original"}),
    ):
        assert {each for each in ("jpki", "post-original") if not rules.forbidden_by(each, day, kinds)} == allowed


def test_an_agent_that_is_not_there_cannot_be_verified():
    found = faults_of(without(complete_form(CustomerKind.PERSON), {"agent"}))
    assert found == ["verifications[1].of: names no one of this form"]


def test_the_sample_is_complete():
    text = (resources.files("idtone.config") / "customer_application.yaml").read_text("utf-8")
    assert parse(text, "sample", CustomerForm, lambda form: faults(form, RULES, TODAY)).application.id


BREAKS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "less than seven years": (lambda rules: rules.update(keep_years=6), "keep_years"),
    "an act that is not there": (lambda rules: rules["requirements"][0].update(act="x"), "requirements[0].act"),
    "no field of the form": (lambda rules: rules["requirements"][0].update(field="shoe"), "requirements[0].field"),
    "no document": (lambda rules: rules["methods"][0].update(documents=["x"]), "methods[0].documents"),
    "no method": (lambda rules: rules["number_methods"][0].update(method="x"), "number_methods[0].method"),
    "an act of numbers that is not there": (
        lambda rules: rules["number_methods"][0].update(act="x"),
        "number_methods[0].act",
    ),
    "an id twice": (lambda rules: rules["purposes"][1].update(id="office"), "purposes[1].id"),
    "a strange need": (lambda rules: rules["methods"][0].update(needs=["money"]), "methods[0].needs[0]"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_rules_that_contradict_themselves_are_refused(what, tmp_path):
    change, field = BREAKS[what]
    rules = yaml.load((resources.files("idtone.config") / SHIPPED).read_text("utf-8"), yaml.CBaseLoader)  # noqa: S506
    change(rules["customer_rules"])
    (tmp_path / "rules.yaml").write_text(yaml.dump(rules, Dumper=yaml.CSafeDumper, allow_unicode=True), "utf-8")
    with pytest.raises(DocumentError) as caught:
        load_rules(tmp_path / "rules.yaml")
    assert [fault.field for fault in caught.value.faults] == [f"customer_rules.{field}"]


def test_a_requirement_for_a_kind_of_number_that_no_form_has_is_refused(tmp_path):
    text = (resources.files("idtone.config") / SHIPPED).read_text("utf-8")
    assert "mobile]" in text
    (tmp_path / SHIPPED).write_text(text.replace("mobile]", "mobil]"), "utf-8")
    with pytest.raises(DocumentError, match=r"numbers\[\d\]: "):
        load_rules(tmp_path / SHIPPED)


def test_rules_and_names_cover_all_fields():
    groups = {field.rpartition(".")[0] for field in FIELDS if "." in field}
    assert set(LABELS) == set(FIELDS) - groups - {"id", "kind"}


PUBLISHED = ("4011001098993", "1180301018771", "7000012050002", "7123456789012")
"""Published corporate numbers of two companies and of the tax agency, and the rule's own example."""


def test_published_corporate_numbers():
    for number in PUBLISHED:
        assert is_corporate_number(number)


@given(st.text("0123456789", min_size=12, max_size=12))
def test_exactly_one_check_digit_fits(base):
    digit = check_digit(base)
    assert 1 <= digit <= 9
    assert [d for d in range(10) if is_corporate_number(f"{d}{base}")] == [digit]
