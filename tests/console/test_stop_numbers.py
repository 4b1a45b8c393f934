"""A person on duty stops a number in the console, and lifts it: the rules and the record of the commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from idtone.call_control.fallback_file import remembered
from idtone.console.access.rights import Role
from idtone.console.access.users import Administered, change_users
from idtone.console.waiting import WhatWaits
from idtone.core.settings.policy import OwnSuspensions
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from lab.console.site import running
from lab.registry.examples import GOOD

NUMBER, E164 = "03-1234-5678", "81312345678"
DUTY_TOO = (Role.DUTY, Role.VIEWER)
"""Another person."""
ORDER = {"entered": NUMBER, "again": NUMBER, "reference": "R-77", "why": "the police called", "authority": "X police"}


@pytest.fixture
def settings(settings, tmp_path):
    """With a folder for Asterisk; no service runs."""
    (tmp_path / "sounds").mkdir(exist_ok=True)
    (tmp_path / "registry.yaml").write_text(GOOD)
    registry = settings.registry.model_copy(update={"source": str(tmp_path / "registry.yaml"), "trust": "unsigned"})
    sounds = settings.sounds.model_copy(update={"directory": tmp_path / "sounds"})
    KeyRing.of(settings.ledger, settings.node)
    return settings.model_copy(update={"sounds": sounds, "registry": registry})


@pytest.fixture
async def site(settings):
    async with running(settings, DUTY_TOO) as one:
        yield one


def states(settings):
    return [each.state for each in read_suspensions(suspensions_path(settings)).suspensions]


def stopped(settings) -> bool:
    found = remembered(settings.sounds.directory)
    return found is not None and E164 in set(found.suspended)


def acts(settings) -> list[tuple[object, object]]:
    with LedgerReader.open(settings.ledger.url) as reader:
        found = reader.acts(frozenset({StepKind.DUTY}))
    return [(step.details["act"], step.details["by"]) for step in found]


async def test_one_person_stops_a_number_and_lifts_it(site, settings, caplog):
    caplog.set_level("DEBUG")
    duty = await site.visitor(Role.DUTY)
    answer = await duty.send("/suspensions", "/suspensions/stop", ORDER)
    assert (answer.status, states(settings), stopped(settings)) == (303, ["in-force"], True), answer.text
    assert E164[2:] not in (await duty.get("/suspensions")).text + caplog.text
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    assert (one.asked.by, one.asked.by_way, one.authority) == ("duty", "console", "X police")
    answer = await duty.send("/suspensions", "/suspensions/lift", {"id": one.id, "why": "lifted by the police"})
    assert (answer.status, states(settings), stopped(settings)) == (303, ["lifted"], False)
    assert acts(settings) == [
        ("suspension-in-force", "duty"), ("suspension-approved", "duty"), ("suspension-lifted", "duty")
    ]  # fmt: skip


async def test_two_persons_where_the_policy_says_so(site, settings, caplog, monkeypatch):
    policy = settings.policy.model_copy(update={"own_suspensions": OwnSuspensions.TWO_PERSONS})
    site.console.settings = settings.model_copy(update={"policy": policy})
    first, second = await site.visitor(Role.DUTY), await site.visitor(*DUTY_TOO)
    looked = []
    monkeypatch.setattr(WhatWaits, "look_again", lambda _: looked.append(states(settings)))
    await first.send("/suspensions", "/suspensions/stop", ORDER)
    assert (states(settings), stopped(settings)) == (["asked"], False)
    assert looked == [["asked"]], "after the act"
    assert "Another person has to approve it." in (await first.get("/suspensions")).text
    [one] = read_suspensions(suspensions_path(settings)).suspensions
    refused = await first.send("/suspensions", "/suspensions/approve", {"id": one.id})
    assert (refused.status, "has asked for this" in refused.text) == (400, True)
    assert "Approve the stop" in (await second.get("/suspensions")).text
    made = Administered(by="abe", at=datetime(2026, 11, 1, tzinfo=UTC))

    def by_abe(users):
        users["duty-viewer"] = users["duty-viewer"].model_copy(update={"administered": made})

    change_users(settings.console.users, by_abe)
    await second.send("/suspensions", "/suspensions/approve", {"id": one.id})
    assert "duty-viewer has approved as a second person; abe made or reset the account" in caplog.text
    assert (states(settings), stopped(settings)) == (["in-force"], True)
    await second.send("/suspensions", "/suspensions/lift", {"id": one.id, "why": "by mistake"})
    assert stopped(settings), "until another person approves its end"
    await first.send("/suspensions", "/suspensions/approve", {"id": one.id})
    assert (states(settings), stopped(settings)) == (["lifted"], False)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"again": "03-1234-5679"}, "the two entries differ"),
        ({"entered": "110", "again": "110"}, "that number cannot be used"),
        ({"entered": "", "again": ""}, "give a number, range or prefix, or a customer"),
        ({"customer": "c-1"}, "give a number, range or prefix, or a customer"),
        ({"entered": "", "customer": "c-1"}, "the table of lines"),
        ({"reference": "call 03-1234-5678"}, "contains a telephone number"),
        ({"why": ""}, "Reason"),
    ],
)
async def test_what_is_refused_changes_nothing(site, settings, changed, says):
    duty = await site.visitor(Role.DUTY)
    answer = await duty.send("/suspensions", "/suspensions/stop", ORDER | changed)
    assert (answer.status, states(settings)) == (400, [])
    assert says in answer.text
    if "reference" not in changed:  # which the form shows again
        assert not re.search("12345678|1234-5678", answer.text)


async def test_a_viewer_sees_no_form_and_may_do_nothing(site, settings):
    viewer = await site.visitor(Role.VIEWER)
    assert "/suspensions/stop" not in (await viewer.get("/suspensions")).text
    for path in ("stop", "approve", "lift"):
        assert (await viewer.post(f"/suspensions/{path}", ORDER)).status == 403
    assert states(settings) == []
