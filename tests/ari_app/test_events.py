import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idtone.ari_app import events
from idtone.ari_app.events import EVENTS, read, read_channel, read_waiting
from idtone.core.errors import AriUnavailable

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
    for answer in (inner, {"id": inner, "dialplan": inner}, channel):
        with suppress(AriUnavailable):
            read_channel(answer, "idtone")
    for answer in (inner, {"channel_ids": inner}, {"channel_ids": [inner]}):
        with suppress(AriUnavailable):
            read_waiting(answer)


def test_the_filter_lets_answers_through():
    assert "RESTResponse" in EVENTS


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ({"app_name": "Stasis", "app_data": "idtone,decide,1.1-1,,%2C"}, ("decide", "1.1-1", "", "%2C")),
        ({"app_name": "Stasis", "app_data": "idtone"}, ()),
        ({"app_name": "Stasis", "app_data": "idtones,decide"}, None),
        ({"app_name": "Dial", "app_data": "idtone,decide"}, None),
        ({}, None),
    ],
)
def test_what_asterisk_says_of_a_waiting_channel_equals_its_event(place, arguments):
    entered = None if arguments is None else events.Entered("1.1", arguments)
    assert read_channel({"id": "1.1", "dialplan": place}, "idtone") == events.Channel("1.1", entered)


@pytest.mark.parametrize(
    "answer",
    [None, 7, "x", [], {}, {"id": "1.1"}, {"id": "1.1", "dialplan": None}, {"id": [], "dialplan": {}},
     {"id": "1\n2", "dialplan": {}}],
    ids=repr,
)  # fmt: skip
def test_a_malformed_channel(answer):
    with pytest.raises(AriUnavailable, match="differs from its documentation"):
        read_channel(answer, "idtone")


def test_the_channels_that_wait_in_the_application():
    assert read_waiting({"name": "idtone", "channel_ids": ["1.1", "1.2"]}) == {"1.1", "1.2"}
    assert read_waiting({"name": "idtone", "channel_ids": []}) == frozenset()


@pytest.mark.parametrize(
    "answer", [None, 7, [], {}, {"channel_ids": 7}, {"channel_ids": [7]}, {"channel_ids": ["1\n"]}]
)
def test_a_malformed_application(answer):
    with pytest.raises(AriUnavailable, match="differs from its documentation"):
        read_waiting(answer)
