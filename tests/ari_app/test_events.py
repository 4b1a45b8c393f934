from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone.ari_app import events
from idtone.ari_app.events import EVENTS, read, read_channels
from idtone.errors import AriUnavailable

CHANNEL = {"id": "1795.1", "caller": {"name": "", "number": "0312345678"}}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {"type": "StasisStart", "channel": CHANNEL, "args": ["decide", "c"]},
            events.Entered("1795.1", ("decide", "c")),
        ),
        ({"type": "ApplicationReplaced"}, events.Replaced()),
        (
            {"type": "RESTResponse", "request_id": "7", "status_code": 204, "reason_phrase": "No Content"},
            events.AriResponse("7", 204, "No Content", ""),
        ),
        # The journal reports what happens to a call.
        ({"type": "StasisEnd", "channel": CHANNEL}, None),
        ({"type": "ChannelDestroyed", "channel": CHANNEL, "cause": 17}, None),
        ({"type": "ChannelUserevent", "eventname": "IdtoneEnded", "userevent": {}}, None),
        ({"type": "ChannelVarset"}, None),
        ({"type": "an event of a later version"}, None),
        # A message that differs from the documentation is named, and none of its content is used.
        ({"type": "StasisStart", "channel": CHANNEL}, events.MalformedEvent("StasisStart")),
        ({"type": "StasisStart", "channel": "x", "args": []}, events.MalformedEvent("StasisStart")),
        ({"type": "StasisStart", "channel": CHANNEL, "args": "decide"}, events.MalformedEvent("StasisStart")),
        ({"type": "StasisStart", "channel": CHANNEL, "args": [7]}, events.MalformedEvent("StasisStart")),
        ({"type": "StasisStart", "channel": {"id": "1\n2"}, "args": []}, events.MalformedEvent("StasisStart")),
        ({"type": "RESTResponse", "request_id": "7", "status_code": "204"}, events.MalformedEvent("RESTResponse")),
        ({"type": "RESTResponse", "request_id": 7, "status_code": 204}, events.MalformedEvent("RESTResponse")),
        ({}, events.MalformedEvent("unknown")),
        ([], events.MalformedEvent("unknown")),
    ],
)
def test_messages_become_events(message, event):
    assert read(json.dumps(message)) == event


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(), JSON)
def test_nothing_raises_another_exception(text, inner):
    """`make fuzz` tries many more."""
    read(text)
    for kind in EVENTS:
        read(json.dumps({"type": kind, "channel": inner, "args": inner, "request_id": inner, "status_code": inner}))
    channel = {"id": "1.1", "dialplan": {"app_name": inner}}
    for answer in (inner, [inner], [{"id": inner, "dialplan": inner}], [channel]):
        try:
            read_channels(answer, "idtone")
        except AriUnavailable:
            continue


def test_the_filter_lets_answers_through():
    assert "RESTResponse" in EVENTS


def listed(channel: str, name: str, data: str) -> dict[str, object]:
    return {"id": channel, "dialplan": {"exten": "s", "priority": 1, "app_name": name, "app_data": data}}


def test_waiting_channels_in_the_list_equal_their_events():
    assert read_channels([], "idtone") == events.Channels(frozenset(), {})
    channels = read_channels(
        [
            listed("1.1", "Stasis", "idtone,decide,1.1-1,,%2C"),
            listed("1.2", "Stasis", "idtone"),
            listed("1.3", "Stasis", "idtones,decide"),
            listed("1.4", "Dial", "idtone,decide"),
            {"id": "1.5", "dialplan": {}},
        ],
        "idtone",
    )
    assert channels.ids == {"1.1", "1.2", "1.3", "1.4", "1.5"}
    assert channels.waiting == {
        "1.1": events.Entered("1.1", ("decide", "1.1-1", "", "%2C")),
        "1.2": events.Entered("1.2", ()),
    }


@pytest.mark.parametrize(
    "answer",
    [None, 7, {"id": "1.1"}, "x", [None], [[]], [{}], [{"id": "1.1"}], [{"id": "1.1", "dialplan": None}],
     [{"id": [], "dialplan": {}}], [{"id": "1\n2", "dialplan": {}}]],
    ids=repr,
)  # fmt: skip
def test_a_malformed_list_of_channels(answer):
    with pytest.raises(AriUnavailable, match="differs from its documentation"):
        read_channels(answer, "idtone")
