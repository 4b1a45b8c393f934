"""Forms that change with the visitor's choices, in a browser. The tests of the pages send them without a browser."""

import re
from collections.abc import Iterator

import pytest

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.console.page import ALL_PAGES
from idtone.core.settings.settings import Settings
from lab.console.browser.browser import Browser
from lab.console.browser.visits import Visitor, html_of, visits
from lab.console.page_forms import PageForm, forms_of, sent_empty
from lab.console.site import Site, name_of, site_in_thread
from lab.console.word_faults import word_faults
from lab.publication import LAB_REGISTRY

FACTS = """
const fields = [...document.querySelectorAll("[data-fact]")].filter(each => each.checkVisibility());
return fields.map(each => [each.dataset.fact, each.querySelector("input").required]);
"""
CHOOSE = """
const basis = document.querySelector("[name=basis]");
basis.value = arguments[0];
basis.dispatchEvent(new Event("change"));
return document.querySelector("[name=sealed]").checked;
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("node")
    settings = Settings.model_validate(
        {
            "node": "pbx-1",
            "registry": {"source": str(LAB_REGISTRY), "trust": "unsigned"},
            "ledger": {"url": f"sqlite:///{folder}/ledger.sqlite3", "key_file": str(folder / "ledger.key")},
            "console": {"users": str(folder / "users.yaml")},
        }
    )
    with site_in_thread(settings) as site:
        yield site


def test_the_request_shows_and_requires_what_its_legal_basis_needs(browser: Browser, node: Site) -> None:
    token, _ = node.console.sessions.begin(name_of(Role.INVESTIGATOR))
    browser.keep(node.address, {LANGUAGE.name: "en", SESSION.name: token})
    browser.look(1440, "light")
    browser.open(f"{node.address}/evidence/exports/request")
    browser.settle()
    run = browser.driver.execute_script
    assert run(FACTS) == [["deadline", False]], "no basis is chosen yet"
    run("document.querySelector('[name=sealed]').checked = false")
    assert run(CHOOSE, "warrant") is False
    needed = [[each, True] for each in ("authority", "reference", "scope", "received", "court", "valid_until")]
    assert run(FACTS) == [*needed, ["deadline", False]]
    run("document.querySelector('[name=court]').value = 'a court'")
    assert run(CHOOSE, "inquiry") is True, "it opens no number"
    assert run(FACTS) == [*needed[:4], ["deadline", False]]
    sent = run("return [...new FormData(document.querySelector('[data-needed-facts]')).keys()]")
    assert "court" not in sent, "what is not shown is not sent"
    assert browser.errors() == []


@pytest.mark.nightly
def test_each_form_shows_all_that_it_lacks_at_once(demo: Site) -> None:
    """Each error is at its field, and the first field has the focus. The list of errors has links to the fields."""
    cookies = {
        role: {LANGUAGE.name: "en", SESSION.name: demo.console.sessions.begin(name_of(role))[0]} for role in Role
    }
    visitors = [Visitor.of(role, cookies=of) for role, of in cookies.items()]
    wrong, seen = {}, set()
    for shown in visits(demo.app[ALL_PAGES], demo.address, visitors):
        text = html_of(demo.address, shown.path, shown.visitor.cookies, is_linked=False) if shown.is_html else None
        for form in forms_of(text or ""):
            kind = re.sub(r"m-\d+|[A-Z]-[\w-]+|pbx-1-[\w-]+", "{}", form.action), tuple(form.required)
            if kind not in seen and "password" not in form.values:
                seen.add(kind)
                if faults := lacking(form, *sent_empty(form, demo.address, shown.visitor.cookies)):
                    wrong[shown.path, form.action] = faults
    assert len(seen) > 30
    assert not wrong, "\n".join(f"{page}: {faults}" for page, faults in wrong.items())


def lacking(form: PageForm, status: int, text: str) -> list[str]:
    """The fields and marks that the answer to an empty form lacks."""
    wrong = [] if status == 400 else [f"status {status}"]
    named = re.findall(r'href="#field-(\w+)"', text)
    wrong += [f"{each} is not named" for each in form.required if each not in named]
    wrong += [f"{each} has no field" for each in named if text.count(f'id="field-{each}"') != 1]
    wrong += [f"{each} is not marked" for each in named if f'aria-describedby="error-{each}"' not in text]
    focused = re.findall(r'id="field-(\w+)"[^>]* autofocus', text)
    return wrong if focused == named[:1] else [*wrong, f"the focus is at {focused}"]


@pytest.mark.nightly
@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_page_shows_what_is_written_for_programs(demo: Site, language: str) -> None:
    visitors = [Visitor.of(cookies={LANGUAGE.name: language})]
    for role in Role:
        token, _ = demo.console.sessions.begin(name_of(role))
        visitors.append(Visitor.of(role, cookies={LANGUAGE.name: language, SESSION.name: token}))
    wrong = {}
    for shown in visits(demo.app[ALL_PAGES], demo.address, visitors):
        text = html_of(demo.address, shown.path, shown.visitor.cookies, is_linked=False) if shown.is_html else None
        if odd := [*word_faults(text or "", language)]:
            wrong[shown.path] = odd
    assert not wrong, "\n".join(f"{page}:\n  " + "\n  ".join(odd) for page, odd in wrong.items())
