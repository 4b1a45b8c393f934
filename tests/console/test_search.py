"""The search field, the saved searches, and the tasks that wait for a visitor."""

import shutil
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from idtone.console.access.rights import Right, Role
from idtone.console.access.users import SavedSearch, User, read_users
from idtone.console.console import Console
from idtone.console.operator.saved_searches import MOST, with_search
from idtone.console.pending_tasks import PendingTask, tasks_of
from idtone.console.search import is_number
from idtone.core.errors import LedgerError, UsageError
from idtone.core.persons import console_person
from idtone.core.translation import Message
from lab.console.past_calls import write_past_calls
from lab.console.site import running_site
from lab.publication import LAB_REGISTRY

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("03-1234-5678", True), ("+81 3 1234 5678", True), ("０３１２３４５６７８", True), ("R-7", False),
        ("m-0001", False), ("pbx-1-1780000000.12", False), ("1780000000.12", False), ("", False),
    ],
)  # fmt: skip
def test_what_is_a_number(wanted, found):
    assert is_number(wanted) is found


def things(*, by=None, right=Right.STOP_NUMBERS, is_late=False):
    return PendingTask(1, Message("x"), "/", right, is_late, by)


def test_a_request_waits_for_others_with_the_right_and_not_for_its_own_person():
    duty, viewer = (User(name=str(role), roles=(role,)) for role in (Role.DUTY, Role.VIEWER))
    own, others, late = things(by=console_person("duty")), things(by=console_person("abe")), things(is_late=True)
    assert tasks_of(duty, [own, others, late]) == [late, others]
    assert tasks_of(viewer, [own, others, late]) == []


@pytest.fixture
async def with_calls(settings):
    shutil.copy(LAB_REGISTRY, settings.registry.source)
    write_past_calls(settings, 5, timedelta(hours=1), NOW)
    async with running_site(settings) as site:
        yield site


async def found_by(visitor, wanted):
    return await visitor.send("/account", "/find", {"wanted": wanted})


async def test_one_field_finds_calls_members_licences_and_asks_what_a_number_is_for(with_calls):
    investigator, viewer = await with_calls.visitor(Role.INVESTIGATOR), await with_calls.visitor(Role.VIEWER)
    with with_calls.console.reader() as reader:
        call_id = reader.call_ids("pbx-1", 1)[0]
    only = await found_by(viewer, call_id)
    assert (only.status, urlsplit(only.headers["Location"]).path) == (303, f"/calls/{call_id}")
    assert "/calls?member=m-0001" in (await found_by(viewer, "m-00")).text
    assert (await found_by(viewer, "L-0001")).headers["Location"] == "/calls?licence=L-0001"
    nothing = await found_by(viewer, "<b>no such thing")
    assert (nothing.status, "&lt;b&gt;no such thing" in nothing.text) == (200, True)
    for visitor, may in ((investigator, True), (viewer, False)):
        number = await found_by(visitor, "03-1234-5678")
        assert ("/calls/by-number" in number.text, number.status) == (may, 200)


async def test_members_and_users_are_found_though_the_ledger_cannot_be_read(with_calls, monkeypatch):
    def fail():
        raise LedgerError("it is damaged")

    monkeypatch.setattr(Console, "reader", lambda self: fail())
    administrator = await with_calls.visitor(Role.ADMINISTRATOR)
    found = await found_by(administrator, "m-00")
    assert (found.status, "/calls?member=m-0001" in found.text, "it is damaged" in found.text) == (200, True, True)
    found = await found_by(administrator, "investigator")
    assert (found.status, "/administration/users/investigator" in found.text) == (200, True)


async def test_a_search_is_saved_shown_and_removed(with_calls, settings):
    viewer = await with_calls.visitor(Role.VIEWER)
    fields = {"name": "no <licence>", "query": "outcome=NOTICE&before=1-1&x=y"}
    saved = await viewer.send("/calls", "/calls/searches", fields)
    assert (saved.status, saved.headers["Location"]) == (303, "/calls?outcome=NOTICE")
    shown = (await viewer.get("/calls")).text
    assert '<a href="/calls?outcome=NOTICE">no &lt;licence&gt;</a>' in shown
    assert "no &lt;licence&gt;" not in (await (await with_calls.visitor(Role.APPROVER)).get("/calls")).text
    assert (await viewer.send("/calls", "/calls/searches/remove", {"name": "no <licence>"})).status == 303
    assert [user.searches for user in read_users(settings.console.users).users if user.name == "viewer"] == [()]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("a", "x=y"),
        ("a", "from=never"),
        ("a" * 61, "call=1"),
        ("a", "member=0312345678"),
        ("a", "call=%2B81+3-1234-5678"),
    ],
)
def test_a_search_that_cannot_be_saved(name, query):
    with pytest.raises(UsageError):
        with_search(User(name="viewer", roles=(Role.VIEWER,)), name, query)


def test_so_many_searches_can_be_saved():
    searches = tuple(SavedSearch(name=f"{number}", query="call=1") for number in range(MOST))
    user = User(name="viewer", roles=(Role.VIEWER,), searches=searches)
    assert len(with_search(user, "0", "call=2").searches) == MOST
    with pytest.raises(UsageError, match="remove one first"):
        with_search(user, "another", "call=2")
