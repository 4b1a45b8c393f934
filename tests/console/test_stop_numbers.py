"""A person on duty stops a number in the console, and lifts the stop. Rules and record are those of the commands."""

import re
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from zipfile import ZipFile

import pytest

from idtone.call_control.fallback_conf import read_remembered
from idtone.console import number_search_limit
from idtone.console.access.rights import Role
from idtone.console.access.users import Administered, change_users
from idtone.console.operator.stop_summary import StopSummary, stop_summary
from idtone.console.pending_tasks import PendingTasks
from idtone.core.http.request_limits import Rate
from idtone.core.number_spans import NumberSpan
from idtone.core.settings.policy import OwnSuspensions
from idtone.core.signed_notes import Note
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.key_ring import KeyRing, own_key
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.registry.customer_lines.lines_document import Entry
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from lab.console.site import running_site
from lab.registry.examples import GOOD

NUMBER, E164 = "03-1234-5678", "81312345678"
WRITTEN = "0312345678"
DUTY_TOO = (Role.DUTY, Role.VIEWER)
"""Another person on duty."""
ORDER = {"entered": NUMBER, "reference": "R-77", "why": "the police called", "authority": "X police"}


@pytest.fixture
def settings(settings, tmp_path):
    """Settings with a folder for Asterisk. No service runs."""
    (tmp_path / "sounds").mkdir(exist_ok=True)
    (tmp_path / "registry.yaml").write_text(GOOD)
    registry = settings.registry.model_copy(update={"source": str(tmp_path / "registry.yaml"), "trust": "unsigned"})
    sounds = settings.sounds.model_copy(update={"directory": tmp_path / "sounds"})
    KeyRing.of(settings.ledger, settings.node)
    return settings.model_copy(update={"sounds": sounds, "registry": registry})


@pytest.fixture
async def site(settings):
    async with running_site(settings, DUTY_TOO) as one:
        yield one


def states(settings):
    return [each.state for each in read_suspensions(suspensions_path(settings)).suspensions]


def stopped(settings) -> bool:
    found = read_remembered(settings.sounds.directory)
    return found is not None and E164 in set(found.suspended)


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, text
    return found[1]


async def order(visitor, fields=ORDER):
    """Read the summary of the order, and confirm it."""
    looked = await visitor.send("/suspensions/stop", "/suspensions/stop", fields)
    assert looked.status == 200, looked.text
    return await visitor.send("/suspensions/stop", "/suspensions/stop", fields | {"seen": hidden(looked.text, "seen")})


def acts(settings) -> list[tuple[object, object]]:
    with LedgerReader.open(settings.ledger.url) as reader:
        found = reader.acts(frozenset({StepKind.DUTY}))
    return [(step.details["act"], step.details["by"]) for step in found]


async def test_one_person_stops_a_number_and_lifts_it(site, settings, caplog):
    caplog.set_level("DEBUG")
    duty = await site.visitor(Role.DUTY)
    answer = await order(duty)
    assert (answer.status, states(settings), stopped(settings)) == (303, ["in-force"], True), answer.text
    assert E164[2:] not in (await duty.get("/suspensions")).text + re.sub(r"\D", "", caplog.text)
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    assert (one.asked.by, one.asked.by_way, one.authority) == ("duty", "console", "X police")
    assert answer.headers["Location"] == f"/suspensions/stops/{one.id}?done=1"
    answer = await duty.send(
        f"/suspensions/stops/{one.id}", "/suspensions/lift", {"id": one.id, "why": "lifted by the police"}
    )
    assert (answer.status, states(settings), stopped(settings)) == (303, ["lifted"], False)
    assert acts(settings) == [
        ("suspension-in-force", "duty"),
        ("suspension-approved", "duty"),
        ("suspension-lifted", "duty"),
    ]


async def test_two_persons_where_the_policy_says_so(site, settings, caplog, monkeypatch):
    policy = settings.policy.model_copy(update={"own_suspensions": OwnSuspensions.TWO_PERSONS})
    site.console.settings = settings.model_copy(update={"policy": policy})
    first, second = await site.visitor(Role.DUTY), await site.visitor(*DUTY_TOO)
    looked = []
    monkeypatch.setattr(PendingTasks, "look_again", lambda _: looked.append(states(settings)))
    await order(first)
    assert (states(settings), stopped(settings)) == (["asked"], False)
    assert looked == [[], ["asked"]], "after the act"
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    page = f"/suspensions/stops/{one.id}"
    own = (await first.get(page)).text
    assert ("Another person has to approve it." in own, "Approve the stop" in own) == (True, False)
    refused = await first.send(page, "/suspensions/approve", {"id": one.id})
    assert (refused.status, "has asked for this" in refused.text) == (400, True)
    offered = (await second.get(page)).text
    assert all(each in offered for each in ("Approve the stop", WRITTEN, "m-0001")), "to compare it"
    made = Administered(by="abe", at=datetime(2026, 11, 1, tzinfo=UTC))

    def by_abe(users):
        users["duty-viewer"] = users["duty-viewer"].model_copy(update={"administered": made})

    change_users(settings.console.users, by_abe)
    await second.send(page, "/suspensions/approve", {"id": one.id})
    assert WRITTEN not in (await second.get(page)).text, "nothing waits any more"
    assert "duty-viewer has approved as a second person; abe made or reset the account" in caplog.text
    assert (states(settings), stopped(settings)) == (["in-force"], True)
    await second.send(page, "/suspensions/lift", {"id": one.id, "why": "by mistake"})
    assert stopped(settings), "until another person approves its end"
    await first.send(page, "/suspensions/approve", {"id": one.id})
    assert (states(settings), stopped(settings)) == (["lifted"], False)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"entered": "110"}, ["that number cannot be used"]),
        ({"entered": ""}, ["give a number, range or prefix, or a customer"]),
        ({"customer": "c-1"}, ["give a number, range or prefix, or a customer"]),
        ({"entered": "", "customer": "c-1"}, ["the table of lines"]),
        ({"reference": "call 03-1234-5678"}, ["contains a telephone number"]),
        ({"why": ""}, ["Reason"]),
        ({"requested": "2126-11-01T10:00"}, ["has not come yet"]),
        ({"requested": "soon"}, ["choose a day and a time"]),
        (
            {"entered": "0", "reference": "", "authority": "\0", "why": " ", "requested": "x"},
            ["cannot be used", "Reference of the request", "Authority that requests it", "Reason", "choose a day"],
        ),
    ],
)  # fmt: skip
async def test_what_is_refused_changes_nothing_and_all_errors_are_shown_at_once(site, settings, caplog, changed, says):
    caplog.set_level("DEBUG")
    duty = await site.visitor(Role.DUTY)
    answer = await duty.send("/suspensions/stop", "/suspensions/stop", ORDER | changed | {"seen": "0"})
    assert (answer.status, states(settings)) == (400, [])
    assert [each for each in says if each not in answer.text] == []
    for field in re.findall(r'href="#field-(\w+)"', answer.text):
        assert f'id="field-{field}"' in answer.text
        assert f'aria-describedby="error-{field}"' in answer.text
    assert E164[2:] not in re.sub(r"\D", "", caplog.text)


async def test_the_order_says_whose_number_it_is_and_what_is_stopped_already(site, settings, tmp_path):
    duty = await site.visitor(Role.DUTY)
    fields = {"entered": "03-1234-0000 - 03-1234-9999", "reference": "R-78", "why": "the police called"}
    first = (await duty.send("/suspensions/stop", "/suspensions/stop", fields)).text
    assert all(each in first for each in ("m-0001", "10,000 numbers in all")), first
    assert states(settings) == []
    await order(duty)
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    again = await duty.send("/suspensions/stop", "/suspensions/stop", fields | {"seen": hidden(first, "seen")})
    assert (again.status, f"/suspensions/stops/{one.id}" in again.text) == (200, True)
    assert "This has changed since you looked" in again.text
    assert len(states(settings)) == 1, "nobody has seen that a part is stopped already"
    nobodys = (await duty.send("/suspensions/stop", "/suspensions/stop", ORDER | {"entered": "0399999999"})).text
    assert "NO MEMBER HOLDS THIS" in nobodys
    changed = await duty.send("/suspensions/stop", "/suspensions/stop", fields | {"change": "yes"})
    assert (changed.status, 'value="R-78"' in changed.text) == (200, True)


async def test_whose_number_it_is_cannot_be_asked_without_end_and_stops_can_be_ordered(site, settings, monkeypatch):
    monkeypatch.setattr(number_search_limit, "NUMBER_SEARCHES", Rate(0.001, 2))
    duty = await site.visitor(Role.DUTY)
    answers = [
        (await duty.send("/suspensions/stop", "/suspensions/stop", ORDER | {"seen": seen})).text
        for seen in ("", "0", "", "1", "f" * 32)
    ]
    assert ["m-0001" in each for each in answers] == [True, True, False, False, False]
    assert all(WRITTEN in each for each in answers)
    assert "not looked up" in answers[2]
    assert (await order(duty)).status == 303
    assert states(settings) == ["in-force"]


def test_what_is_not_known_is_another_summary_than_that_no_member_holds_the_number():
    span = NumberSpan(int(E164), int(E164))
    unknown, nobodys = (StopSummary([WRITTEN], 1, holders, None, (), ()) for holders in (None, ()))
    assert unknown.digest("k") != nobodys.digest("k")
    now, day_s = datetime(2026, 11, 1, tzinfo=UTC), 86_400
    at = int(now.timestamp())
    lines = [
        Entry(name, (), (), (span,), period, is_checked=True)
        for name, period in (
            ("before", (at - day_s, at)),
            ("now", (at, at + day_s)),
            ("later", (at + 1, at + day_s)),
        )
    ]
    assert stop_summary([span], None, lines, (), now, "en").customers == ["now"]


async def test_the_page_of_a_stop_that_waits_does_not_say_without_end_whose_number_it_is(site, settings, monkeypatch):
    policy = settings.policy.model_copy(update={"own_suspensions": OwnSuspensions.TWO_PERSONS})
    site.console.settings = settings.model_copy(update={"policy": policy})
    monkeypatch.setattr(number_search_limit, "NUMBER_SEARCHES", Rate(0.001, 2))
    duty = await site.visitor(Role.DUTY)
    await order(duty)
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    pages = [(await duty.get(f"/suspensions/stops/{one.id}")).text for _ in range(3)]
    assert ["m-0001" in each for each in pages] == [True, False, False]
    assert all(WRITTEN in each for each in pages)
    assert (await order(duty, ORDER | {"entered": "03-1234-5601"})).status == 303


async def test_what_was_seen_by_one_person_orders_nothing_for_another(site, settings):
    first, second = await site.visitor(Role.DUTY), await site.visitor(*DUTY_TOO)
    looked = await first.send("/suspensions/stop", "/suspensions/stop", ORDER)
    seen = {"seen": hidden(looked.text, "seen")}
    assert (await second.send("/suspensions/stop", "/suspensions/stop", ORDER | seen)).status == 200
    other = ORDER | seen | {"entered": "03-1234-5679"}
    assert (await first.send("/suspensions/stop", "/suspensions/stop", other)).status == 200
    assert states(settings) == []


async def test_the_signed_paper_and_what_follows(site, settings, tmp_path):
    duty, viewer = await site.visitor(Role.DUTY), await site.visitor(Role.VIEWER)
    await order(duty)
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    page = f"/suspensions/stops/{one.id}"
    seen = (await viewer.get(page)).text
    assert ("in force on 1 of 1 nodes" in seen, "pbx-1" in seen) == (True, True)
    assert E164[2:] not in re.sub(r"\D", "", seen)
    token = (await duty.get(page)).form_token
    octets = await duty.download("/suspensions/paper", {"form_token": token, "id": one.id})
    with ZipFile(BytesIO(octets)) as archive:
        archive.extractall(tmp_path)
    paper = tmp_path / f"suspension-{one.id}.pdf"
    with LedgerReader.open(settings.ledger.url) as reader:
        key = own_key(settings.ledger, settings.node, reader.origin())
    note = Note.parse(paper.with_name(f"{paper.name}.note").read_bytes())
    assert note.signed_by([key])
    assert sha256(paper.read_bytes()).hexdigest() in note.text
    assert acts(settings)[-1] == ("suspension-paper", "duty")
    assert (await viewer.post("/suspensions/paper", {"id": one.id})).status == 403
    kind = one.duties[0].kind
    wrong = await duty.send(page, "/suspensions/close", {"id": one.id, "duty": "x", "document": "", "on": "-"})
    assert (wrong.status, wrong.text.count('href="#field-')) == (400, 3)
    done = {"id": one.id, "duty": kind, "document": "letter 7", "on": "2026-11-30"}
    assert (await duty.send(page, "/suspensions/close", done)).status == 303
    [after] = read_suspensions(suspensions_path(settings)).suspensions
    assert [(each.kind, each.document) for each in after.duties if each.closed] == [(kind, "letter 7")]


async def test_a_viewer_sees_no_form_and_may_do_nothing(site, settings):
    viewer = await site.visitor(Role.VIEWER)
    assert "/suspensions/stop" not in (await viewer.get("/suspensions")).text
    assert (await viewer.get("/suspensions/stop")).status == 403
    assert (await viewer.get("/suspensions/stops/s-00000000")).status == 404
    for path in ("stop", "approve", "lift", "close", "paper"):
        assert (await viewer.post(f"/suspensions/{path}", ORDER)).status == 403
    assert states(settings) == []
