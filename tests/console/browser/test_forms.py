"""Forms that follow what is chosen, in a browser; the tests of the pages themselves send them without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.core.settings.settings import Settings
from lab.console.browser.browser import Browser
from lab.console.site import Site, in_a_thread, name_of
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
    with in_a_thread(settings) as site:
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
