"""Tasks of the first day, done by somebody who has read nothing. Each takes at most three clicks from the first page.

A click follows a link, unfolds a part, or sends a form. Typing does not count.
"""

from typing import Final

import pytest
from selenium.webdriver.common.by import By

from idtone.console.access.cookies import LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.console.operator.masked_reader import opening_reader
from idtone.console.page import ALL_PAGES
from idtone.core.numbers import parse
from lab.console.browser.browser import Browser
from lab.console.site import PASSWORD, Site, name_of

MOST: Final = 3
WITHIN_S: Final = 30
FIND: Final = "header [name=wanted]"
SEARCH: Final = "header form[action='/find'] button"
Step = str | tuple[str, str]
"""A thing that is clicked, or a field and the text that is typed into it; NUMBER stands for a number that had calls."""


def menu(path: str) -> str:
    return f"body > nav a[href='{path}']"


def unfolds(action: str) -> str:
    return f"main details:has(form[action='{action}']) > summary"


def sends(action: str) -> str:
    return f"main form[action='{action}'] button"


TASKS: Final[dict[str, tuple[Role | None, list[Step], str]]] = {
    "find the calls of this number, and ask for the evidence of one": (
        Role.INVESTIGATOR,
        [(FIND, "NUMBER"), SEARCH, ("[action='/calls/by-number'] [name=purpose]", "request 7 of the police"),
         sends("/calls/by-number"), "main td a[href^='/evidence/exports/request']"],
        "Request an export",
    ),
    "see the refused calls": (
        Role.VIEWER, [menu("/calls"), ("main [name=outcome]", "refused"), "main [role=search] button"], "suspended",
    ),
    "download the calls": (Role.VIEWER, [menu("/calls"), "main a[href^='/calls.csv']"], "Newest first"),
    "see how a call went": (Role.VIEWER, [menu("/calls"), "main tbody a[href^='/calls/']"], "Outcome"),
    "what would a call of this number get": (
        Role.VIEWER, [(FIND, "0312345678"), SEARCH, sends("/licences")], "identification tone",
    ),
    "which licence ends next": (Role.VIEWER, [menu("/expiries")], "licence L-0001"),
    "stop this number": (
        Role.DUTY,
        [menu("/suspensions/stop"), ("[name=entered]", "0312345699"), ("main [name=reference]", "R-99"),
         ("main [name=why]", "the police ask"), sends("/suspensions/stop"), "main form.summary button.danger"],
        r"Done\.",
    ),
    "is this reference stopped": (Role.VIEWER, [(FIND, "R-1"), SEARCH, "main .hits a"], "Suspensions of the registry"),
    "verify the ledger": (Role.VIEWER, [menu("/evidence"), sends("/evidence/verify")], "erif"),
    "count the calls of a month": (Role.VIEWER, [menu("/evidence"), "main a[href='/evidence/statistics']"], "By day"),
    "listen to the sound": (Role.VIEWER, [menu("/sounds")], "sln16"),
    "examine the machine": (Role.VIEWER, [menu("/health"), sends("/health/run")], "check"),
    "change one's own password": (Role.VIEWER, ["header a[href='/account']"], "Change your password"),
    "end another session": (
        Role.ADMINISTRATOR,
        [menu("/administration"), "main tr:not(:has(.badge)) details.confirm > summary",
         "main tr:not(:has(.badge)) details[open] button"],
        "Users and sessions",
    ),
    "add a user": (
        Role.ADMINISTRATOR,
        [menu("/administration"), unfolds("/administration/users"), ("[action$='/users'] [name=name]", "sato"),
         ("[name=role-viewer]", ""), ("[action$='/users'] [name=password]", PASSWORD), sends("/administration/users")],
        "Password for sato",
    ),
    "lock a user": (
        Role.ADMINISTRATOR,
        [(FIND, "approver"), SEARCH, unfolds("/administration/users/approver/lock"),
         ("[action$='/lock'] [name=password]", PASSWORD), sends("/administration/users/approver/lock")],
        "locked",
    ),
    "what waits for the office": (Role.OFFICE, [menu("/office/today")], "What waits today"),
    "which node has not confirmed a stop": (
        Role.OFFICE, [menu("/office/suspensions"), "main table:last-of-type td details > summary"], "m-01",
    ),
    "find a member": (Role.OFFICE, [(FIND, "m-0101"), SEARCH], "Licences"),
    "who holds this number": (Role.OFFICE, [(FIND, "0362345678"), SEARCH, sends("/office/members")], "m-01"),
    "see where a report is": (Role.OFFICE, [menu("/office/reports"), "main td a[href^='/office/reports/']"], "Trace"),
    "what was done last": (Role.OFFICE, [menu("/office/history")], "Time"),
    "prepare a package for the holders of the keys": (
        Role.OFFICE, [menu("/office/publication"), "main form[action='/office/publication/prepare'] button"], "ackage",
    ),
    "open a stop to make its paper for the police": (
        Role.DUTY, [menu("/suspensions"), "//main//tr[contains(., 'R-99')]//a"], "Paper for the police",
    ),
    "what was disclosed this year": (
        Role.INVESTIGATOR, [menu("/evidence"), "main a[href='/evidence/disclosures']"], "Disclosures of a year",
    ),
    "see who is braked": (Role.VIEWER, [menu("/brake")], "Brake"),
    "enter who took the course": (
        Role.OFFICE,
        [menu("/office/course"), unfolds("/office/course/record"), ("[action$='/record'] [name=person]", "Hanako"),
         sends("/office/course/record")],
        "Enter a test",
    ),
    "enter what is due by a day": (
        Role.OFFICE,
        [menu("/office/duties"), unfolds("/office/duties/enter"), ("[action$='/enter'] [name=what]", "the report"),
         sends("/office/duties/enter")],
        "Enter a duty",
    ),
    "stop a number at night": (
        Role.OFFICE,
        [menu("/office/night"), ("[action='/office/night/request'] [name=entered]", "0362345678"),
         ("[action='/office/night/request'] [name=reference]", "R-98"), sends("/office/night/request")],
        "You have entered this",
    ),
    "who witnesses whose log": (Role.OFFICE, [menu("/office/logs")], "Logs and witnesses"),
    "which numbers were ported": (Role.OFFICE, [menu("/office/portings")], "Portings"),
    "who has agreed to what": (
        Role.OFFICE, [menu("/office/agreements"), "main a[href^='/office/agreements?kind=']"], "Agreements of members",
    ),
    "under which conditions a number is stopped": (Role.OFFICE, [menu("/office/conditions")], "Stopping conditions"),
    "whom to call at a member": (Role.OFFICE, [menu("/office/contacts")], "Contacts of members"),
    "over whose networks calls go": (Role.OFFICE, [menu("/office/chains")], "Wholesale chains"),
    "print the annual report": (
        Role.OFFICE, [menu("/office/papers"), "main a[href^='/office/papers?since=']"], "The whole account as PDF",
    ),
    "evaluate a period": (
        Role.OFFICE, [menu("/office/evaluations"), "main a[href='/office/evaluations/new']"], "Evaluate",
    ),
    "by what members are evaluated": (
        Role.OFFICE, [menu("/office/evaluations/criteria")], "Criteria of the evaluation",
    ),
    "what the office has seen of a member": (
        Role.OFFICE, [menu("/office/evaluations/observations")], "Observations of members",
    ),
    "which application waits": (
        Role.OFFICE, [menu("/office/applications"), "main td a[href^='/office/applications/']"], "Application",
    ),
    "which contractors are refused": (Role.OFFICE, [menu("/office/refusals")], "Refused contractors"),
    "which sounds are licensed": (Role.OFFICE, [menu("/office/tones")], "Sounds of the association"),
}  # fmt: skip


OTHERS: Final = {"/now", "/licences", "/office/members"}
"""The first page, and the results of the search in the head."""


def test_each_page_of_the_menu_has_a_task(demo: Site) -> None:
    titled = {page.path for page in demo.app[ALL_PAGES] if page.title}
    assert titled - OTHERS == {path for path in titled if any(menu(path) in steps for _, steps, _ in TASKS.values())}


@pytest.mark.nightly
@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_done_within_three_clicks(browser: Browser, demo: Site, task: str) -> None:
    role, steps, shown = TASKS[task]
    assert sum(isinstance(step, str) for step in steps) <= MOST
    assert role is not None
    demo.console.sessions.begin(name_of(Role.VIEWER))
    token, _ = demo.console.sessions.begin(name_of(role))
    browser.keep(demo.address, {LANGUAGE.name: "en", SESSION.name: token})
    browser.look(1440, "light")
    browser.open(f"{demo.address}/")
    for step in steps:
        selector, typed = (step, None) if isinstance(step, str) else step
        browser.driver.implicitly_wait(WITHIN_S)
        found = browser.driver.find_element(By.XPATH if selector.startswith("//") else By.CSS_SELECTOR, selector)
        if typed is None:
            found.click()
        elif typed:
            found.send_keys(number_with_calls(demo) if typed == "NUMBER" else typed)
        else:
            found.click()  # a box that is chosen, as a field is filled in
    browser.driver.implicitly_wait(0)
    browser.wait_for(shown, WITHIN_S)


def number_with_calls(demo: Site) -> str:
    with opening_reader(demo.console.settings) as reader:
        numbers = (f"03123456{end:02}" for end in range(100))
        return next(number for number in numbers if reader.find(parse(number), None, None, 1))
