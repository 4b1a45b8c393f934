"""The page of what the brake holds."""

from __future__ import annotations

import re

import pytest

from idtone.brake.holds import Hold, token_of
from idtone.brake.limits import BrakeStep, LineKind, SubjectKind
from idtone.brake.state_files import state_path, write_state
from idtone.brake_settings import BrakeSettings, HighestStep
from idtone.console.access.rights import Role

KEY = bytes(32)


def hold(name: str, step: BrakeStep, since_s: float, kind: SubjectKind, node: str, call_id: str) -> Hold:
    line = LineKind.NUMBER if kind is SubjectKind.NUMBER else LineKind.PBX
    label = "" if kind is SubjectKind.NUMBER else name
    return Hold(token_of(KEY, kind, name), kind, line, label, step, "calls-in-a-minute", since_s, node, call_id)


HOLDS = (
    hold("6001", BrakeStep.MARK, 1.8e9, SubjectKind.ENDPOINT, "other", "1.1-1"),
    hold("<script>alert(1)</script>", BrakeStep.STOP, 1.7e9, SubjectKind.CUSTOMER, "pbx", "a/b-1"),
    hold("+81312345678", BrakeStep.SLOW, 1.75e9, SubjectKind.NUMBER, "pbx", "1.3-1"),
)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("stopped", "slowed", "marked")), ("ja", ("停止", "制限", "記録"))],
)
async def test_what_is_held_the_stops_first_without_a_number(site, settings, language, words):
    write_state(state_path(settings), KEY, {"holds": [each.to_json() for each in HOLDS], "released": {}})
    answer = await (await site.visitor(Role.VIEWER, language=language)).get("/brake")
    assert answer.status == 200
    body = answer.text[answer.text.index("<tbody") if "<tbody" in answer.text else answer.text.index("<table") :]
    places = [body.index(f">{word}</td>") for word in words]
    assert places == sorted(places)
    assert "12345678" not in answer.text
    assert "<script>a" not in answer.text
    assert "idtone brake release" in answer.text
    nodes = re.findall(r'href="(/calls/[^"]*)"', body)
    own = settings.node
    assert nodes == [f"/calls/{each.call_id.replace('/', '%2F')}" for each in HOLDS if each.node == own]


async def test_a_brake_that_is_off_or_holds_nothing_or_is_damaged(site, settings):
    viewer = await site.visitor(Role.VIEWER)
    assert "The brake holds nothing" in (await viewer.get("/brake")).text
    site.console.settings = settings.model_copy(update={"brake": BrakeSettings(highest=HighestStep.NOTHING)})
    assert "The brake is off" in (await viewer.get("/brake")).text
    state_path(settings).write_text("{")
    answer = await viewer.get("/brake")
    assert (answer.status, "is damaged" in answer.text) == (503, True)
