"""The page of current calls: without a service, with a running one, with updates each second, and with plots."""

import re
from collections import Counter
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from idtone.console.access.rights import Role
from idtone.console.decision_plots import plot_of
from idtone.console.decisions_by_minute import DecisionsByMinute
from idtone.console.drawings.stacked_plot import stacked_plot
from idtone.console.live_state import LiveState, ServiceState
from idtone.console.operator.live_page import STATES, calls_a_second, running_call
from idtone.console.templates import Templates
from idtone.core.translation import Message, speak
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.console.site import running_site
from lab.lab import wait_until
from lab.ledger import sample_evidence as sample
from lab.ledger.sample_ledger import write

HOUR = datetime(2026, 11, 1, 9, tzinfo=UTC)


def feed(decisions: int = 0, pid: int = 1, **call: str) -> dict:
    oldest = [{"call_id": "c-1", "outcome": "PLAY", "reason": "licence-valid", **call}] if call else []
    return {
        "instance": {"pid": pid},
        "calls": {"decisions": [{"outcome": "PLAY", "calls": decisions}], "oldest": oldest},
    }


@pytest.mark.parametrize(
    ("state", "lasted", "is_stuck"),
    [
        ("dialling", timedelta(minutes=4), False),
        ("dialling", timedelta(minutes=6), True),
        ("connected", timedelta(hours=1), False),
        ("connected", timedelta(hours=3), True),
        ("of a newer service", timedelta(seconds=-1), False),
    ],
)
def test_a_call_that_lasts_unusually_long_stands_out(state, lasted, is_stuck):
    (call,) = feed(state=state, decided=(HOUR - lasted).isoformat())["calls"]["oldest"]
    row = running_call(call, HOUR)
    assert row.is_stuck is is_stuck
    assert row.state == STATES.get(state, state)


def test_the_rate_is_of_one_service(tmp_path):
    live = LiveState(tmp_path / "ledger")
    assert [live.states.append(ServiceState(HOUR, feed(5))), calls_a_second(live)] == [None, None]
    live.states.append(ServiceState(HOUR + timedelta(seconds=4), feed(25)))
    assert calls_a_second(live) == 5
    live.states.append(ServiceState(HOUR + timedelta(seconds=5), feed(1, pid=2)))
    assert calls_a_second(live) is None
    live.states.append(ServiceState(HOUR + timedelta(seconds=6), None))
    assert calls_a_second(live) is None


def test_decided_calls_are_counted_by_minute_and_again_when_they_come_late(tmp_path):
    url = sample.url_of(tmp_path / "ledger.sqlite3")
    now = sample.NOW + timedelta(minutes=10)
    write(url, sample.heard_call("a"), sample.heard_call("b", 61_000), [sample.decided(sample.REFUSE, "c")])
    counts = DecisionsByMinute(lambda: LedgerReader.open(url))
    minute = sample.NOW.replace(second=0, microsecond=0)
    first = {minute: Counter(PLAY=1, REFUSE=1), minute + timedelta(minutes=1): Counter(PLAY=1)}
    assert counts.counts(now) == first
    write(url, sample.heard_call("late", 540_000), sample.heard_call("new", 590_000))
    write(url, sample.heard_call("when the clock was ahead", 3_600_000))
    assert counts.counts(now) == first | {minute + timedelta(minutes=9): Counter(PLAY=2)}
    assert counts.counts(now + timedelta(days=1)) == {minute + timedelta(hours=1): Counter(PLAY=1)}


def test_the_plot_has_each_call_once():
    counts = {HOUR - timedelta(minutes=n): Counter(PLAY=2, REFUSE=1) for n in range(30)}
    plot = plot_of(counts, HOUR - timedelta(hours=1), HOUR, timedelta(minutes=1))
    assert {area.name: area.total for area in plot.areas if area.total} == {"PLAY": 60, "REFUSE": 30}
    assert [tick.text for tick in plot.counts] == ["0", "5"]
    times = [HOUR + timedelta(minutes=n) for n in range(3)]
    unfinished = [
        stacked_plot(times, {"PLAY": [0, 2, 1]}, step, now=HOUR + timedelta(minutes=minutes)).unfinished
        for step in (None, timedelta(minutes=1))
        for minutes in (-1, 0, 2.5, 3)
    ]
    assert unfinished == [None, 48, 378, None, None, 48, 488, None]
    (area,) = stacked_plot(times, {"PLAY": [0, 2, 1]}).areas
    left, middle, right = (point.split(",") for point in area.points.split(" ")[:3])
    assert (left[0], right[0]) == ("48", "708")
    assert float(middle[1]) < float(right[1]) < float(left[1])


def test_decisions_and_ends_are_words_with_their_codes_as_tooltips():
    calls = {
        "decisions": [{"outcome": "REFUSE", "reason": "number-suspended", "calls": 1200}],
        "ended": {"CONNECTED": 7},
    }
    rows, shown = [(Message("decisions"), "REFUSE"), (Message("ended"), "CONNECTED 7")], {}
    for language in ("en", "ja"):
        context = copy_context()
        context.run(speak, language)
        page = {"rows": rows, "feed": {"calls": calls}}
        shown[language] = context.run(Templates().shared, "now_service.html", language, calls, lambda page=page: page)
    assert all(f'title="{code}"' in text for text in shown.values() for code in ("REFUSE", "number-suspended"))
    assert "refused call</span> – " in shown["en"]
    assert ": 1,200</dd>" in shown["en"]
    assert "CONNECTED 7" not in shown["ja"]
    assert not re.search(r">[^<]*(REFUSE|suspended|CONNECTED)[^<]*<", shown["ja"])


async def test_without_a_service_the_page_says_so(site):
    for language, words in (("en", "The service does not run."), ("ja", "サービスは動作していません。")):
        answer = await (await site.visitor(Role.VIEWER, language=language)).get("/now")
        assert answer.status == 200
        assert words in answer.text
        assert 'href="/health"' in answer.text.partition("<main")[2]
        since = re.search(r"(?:since |コンソールは )(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", answer.text)
        assert since, answer.text


async def test_each_second_the_page_gets_the_state(settings, monkeypatch):
    with LedgerWriter.open(settings.ledger.own_url(), settings.node, KeyRing.of(settings.ledger, settings.node)):
        pass
    async with running_site(settings) as site:
        visitor = await site.visitor(Role.VIEWER)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
        asked = visitor.http.get(f"{site.address}/now/changes", headers=headers)
        async with asked as answer:
            assert answer.content_type == "text/event-stream"
            text = ""
            while text.count("event: state") < 2:
                text += (await answer.content.readany()).decode()
        assert re.search(r"data: .*サービスは動作していません", text)
        await wait_until(lambda: not site.console.live.readers, "the page to be forgotten")


@pytest.mark.parametrize("part", ["now_state", "now_plots", "now_service", "nodes_states", "stop_state", "alerts_now"])
def test_what_can_have_the_focus_has_an_id_in_a_part_that_replaces_itself_again_and_again(part):
    """htmx needs the id to return the focus."""
    source = files("idtone.console").joinpath("templates", f"{part}.html").read_text("utf-8")
    elements = re.findall(r"<(?:a|button|input|select|textarea|summary)\b[^>]*|{% call table\(.*?%}", source, re.DOTALL)
    assert [each for each in elements if not re.search(r"\bid=", each)] == []
