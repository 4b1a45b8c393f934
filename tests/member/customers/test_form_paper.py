"""The form on paper."""

import io
from datetime import UTC, datetime

import pypdf
import pytest

from idtone.core.paper.content import Paper
from idtone.core.paper.html import as_html
from idtone.core.paper.pdf import as_pdf
from idtone.core.yaml_documents import parse
from idtone.member.customers.customer_form import Application, CustomerForm, CustomerKind
from idtone.member.customers.field_labels import GROUPS, KINDS, labels
from idtone.member.customers.form_paper import form_paper
from lab.member.customers.sample_forms import RULES, complete_form, form_text

AT = datetime(2026, 11, 27, tzinfo=UTC)


def filled(kind: CustomerKind) -> Application:
    return parse(form_text(complete_form(kind)), "form.yaml", CustomerForm).application


def facts(paper: Paper) -> list[tuple[str, str]]:
    return [fact for section in paper.sections for fact in section.facts]


@pytest.mark.parametrize("kind", CustomerKind)
def test_an_empty_form_has_a_box_for_each_field_and_only_the_kind_is_marked(kind):
    found = facts(form_paper(kind, None, RULES, AT))
    shown = {name for name, _ in found}
    seldom = {label for field, label in labels(kind).items() if ".second_document" in field}
    assert set(labels(kind).values()) - seldom - {labels(kind)["date"]} <= shown
    marked = {line for _, value in found for line in value.splitlines() if line.startswith("■")}
    subjects = {"■ 利用者 / customer", "■ 取引担当者 / person in charge"}
    assert marked - subjects == {f"■ {KINDS[kind]}"}
    assert {value for _, value in found if not value.startswith(("■", "□"))} <= {"", "\n\n"}


def test_a_filled_form_marks_what_was_chosen():
    found = dict(facts(form_paper(CustomerKind.COMPANY, filled(CustomerKind.COMPANY), RULES, AT)))
    assert found["法人番号 / corporate number"] == "8700110005901"
    purposes = found["取引を行う目的 / purpose of the transaction"].splitlines()
    assert [line for line in purposes if line.startswith("■")] == [
        "■ 事務所の代表電話 / main line of an office",
        "■ その他 / other: as a test",
    ]
    assert "■ 対面・IC チップの読取り / in person, reading the chip" in found["確認の方法 / method"].splitlines()


def test_page_and_pdf_say_it():
    made = form_paper(CustomerKind.COMPANY, filled(CustomerKind.COMPANY), RULES, AT)
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(as_pdf(made))).pages]
    on_paper, on_page = "".join("".join(pages).split()), as_html(made).decode()
    assert len(pages) <= 5
    for heading in GROUPS.values():
        assert heading in on_page
        assert "".join(heading.split()) in on_paper
    assert "U+" not in on_paper, "the font has all characters"
    assert "class=boxed" in on_page
