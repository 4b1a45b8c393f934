"""The page of the lines that the brake holds."""

import re

import pytest

from idtone.call_control.brake.state_files import state_path
from idtone.console.access.rights import Role
from idtone.core.settings.brake import BrakeSettings, HighestStep
from lab.console.brake_holds import write_holds


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("stopped", "slowed", "marked")), ("ja", ("停止", "抑制", "記録"))],
)
async def test_what_is_held_the_stops_first_without_a_number(site, settings, language, words):
    """The page links the call that caused the hold, if this node's ledger has that call."""
    write_holds(settings, settings.node)
    answer = await (await site.visitor(Role.VIEWER, language=language)).get("/brake")
    assert answer.status == 200
    table = answer.text[answer.text.index("<table") :]
    places = [table.index(f">{word}</td>") for word in words]
    assert places == sorted(places)
    assert "12345678" not in answer.text
    assert "<script>a" not in answer.text
    assert "idtone brake release" in answer.text
    assert re.findall(r'href="(/calls/[^"]*)"', table) == ["/calls/a%2Fb-1", "/calls/1.3-1"]


async def test_a_brake_that_is_off_or_holds_nothing_or_is_damaged(site, settings):
    viewer = await site.visitor(Role.VIEWER)
    assert "The brake holds nothing" in (await viewer.get("/brake")).text
    site.console.settings = settings.model_copy(update={"brake": BrakeSettings(highest=HighestStep.NOTHING)})
    assert "The brake is off" in (await viewer.get("/brake")).text
    state_path(settings).write_text("{")
    answer = await viewer.get("/brake")
    assert (answer.status, "is damaged" in answer.text) == (503, True)
